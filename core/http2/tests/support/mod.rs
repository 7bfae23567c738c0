//! A service that does what a request's path says, and a client that says whatever frames it is told.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test file uses a part of it")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use streamgauge_http2::{Answer, Body, Connection, Content, Error, Same, Service, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END: u8 = 1;
pub const HEADERS_END: u8 = 4;

pub const SETTINGS_OF_TESTS: Settings = Settings {
    frame: 1 << 20,
    stream_window: 1 << 20,
    connection_window: 4 << 20,
    streams: 100,
    header_list: 16 << 10,
    ping: None,
    pings: None,
};

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// The block of a POST to a path.
pub fn post(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0x04, path.len() as u8];
    block.extend(path.as_bytes());
    block
}

/// The block of a POST with these fields.
pub fn post_with(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = post(path);
    for (name, value) in fields {
        block.extend([0, name.len() as u8]);
        block.extend(name.as_bytes());
        block.push(value.len() as u8);
        block.extend(value.as_bytes());
    }
    block
}

/// What a handler was asked, and how many there are.
#[derive(Default)]
pub struct State {
    pub bodies: Mutex<Vec<Bytes>>,
    pub heads: Mutex<Vec<Arc<Parts>>>,
    pub at_work: AtomicUsize,
    pub go: Notify,
}

impl State {
    /// Waits until so many handlers are at work.
    pub async fn has(&self, count: usize) {
        let there = async {
            while self.at_work.load(Ordering::SeqCst) != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), there).await.expect("so many handlers");
    }
}

#[derive(Clone, Default)]
pub struct Paths(pub Arc<State>);

struct AtWork(Arc<State>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

static SAME: LazyLock<Same> = LazyLock::new(|| {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    Same::new(Response::new(Content { data: Bytes::from_static(&[0; 5]), trailers: Some(trailers) }))
});

impl Service for Paths {
    type Future = BoxFuture<'static, Answer>;

    fn call(&self, head: Arc<Parts>, body: Body) -> Self::Future {
        let state = self.0.clone();
        state.at_work.fetch_add(1, Ordering::SeqCst);
        let at_work = AtWork(state.clone());
        Box::pin(async move {
            let _at_work = at_work;
            state.heads.lock().unwrap().push(head.clone());
            let mut answer = Response::new(Content::default());
            match head.uri.path() {
                "/same" => {
                    let data = read(body).await;
                    state.bodies.lock().unwrap().extend(data);
                    return Answer::Same(&SAME);
                }
                "/echo" => {
                    let data = read(body).await.unwrap_or_default();
                    answer.headers_mut().insert("x-secret", "s".parse().unwrap());
                    let trailers = [(http::HeaderName::from_static("x-after"), "t".parse().unwrap())];
                    *answer.body_mut() = Content { data, trailers: Some(trailers.into_iter().collect()) };
                }
                "/read" => {
                    read(body).await.unwrap_or_default();
                    answer.body_mut().data = Bytes::from_static(b"all of it");
                }
                "/ignore" => drop(body),
                "/hold" => {
                    state.go.notified().await;
                    drop(body);
                }
                "/panic" => panic!("as it was told"),
                other => panic!("no such path: {other}"),
            }
            answer.into()
        })
    }
}

async fn read(body: Body) -> Result<Bytes, streamgauge_http2::BrokenOff> {
    body.collect().await.map(|all| all.to_bytes())
}

/// A client that knows no rules.
pub struct Raw {
    pub io: DuplexStream,
    pub state: Arc<State>,
    pub server: JoinHandle<Result<(), Error>>,
}

/// What a frame said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The next frame; `None` at the end.
pub async fn read_frame(io: &mut DuplexStream) -> Option<Frame> {
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    io.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

impl Raw {
    pub fn new(settings: Settings, room: usize) -> Self {
        let (io, theirs) = tokio::io::duplex(room);
        let paths = Paths::default();
        let state = paths.0.clone();
        let server = tokio::spawn(Connection::new(theirs, BytesMut::new(), settings, paths));
        Raw { io, state, server }
    }

    /// A connection whose settings are exchanged.
    pub async fn hello() -> Self {
        let mut raw = Raw::new(SETTINGS_OF_TESTS, 1 << 20);
        raw.say(SETTINGS, 0, 0, &[]).await;
        raw.until(|frame| frame.kind == SETTINGS && frame.flags == 1).await;
        raw
    }

    pub async fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.io.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    /// The same; a server that has had enough may not listen any more.
    pub async fn try_say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _heard = self.io.write_all(&frame(kind, flags, stream, payload)).await;
    }

    pub async fn next(&mut self) -> Option<Frame> {
        tokio::time::timeout(Duration::from_secs(20), read_frame(&mut self.io))
            .await
            .expect("a frame or the end")
    }

    /// The first frame of this kind.
    pub async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().await.expect("it comes before the end");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// Waits for the frame that says why the connection ends: its code.
    pub async fn goodbye(&mut self) -> u32 {
        let goodbye = self.until(|frame| frame.kind == GOAWAY).await;
        u32::from_be_bytes(goodbye.payload[4..8].try_into().unwrap())
    }

    /// A question whose answer says that all before has been heard. Panics when something else than it comes.
    pub async fn still_there(&mut self) {
        self.say(PING, 0, 0, b"still me").await;
        let frame = self.until(|frame| frame.kind == PING || frame.kind == GOAWAY).await;
        assert_eq!((frame.kind, &frame.payload[..]), (PING, &b"still me"[..]));
    }
}
