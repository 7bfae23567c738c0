//! Fuzz targets: each takes any bytes and panics when a promise is broken.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Response, Uri};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

use crate::frame::{HEAD, Head};
use crate::head::Collected;
use crate::hpack::Decoder;
use crate::{
    Answer, Body, Client, ClientSettings, Connection, Content, Error, Head as RequestHead, PREFACE, Service,
    Settings,
};

/// A connection means the same however its bytes are cut, and what is said on it are whole frames. The first byte says where it is cut.
pub fn connection(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let whole = serve(bytes, bytes.len().max(1));
    let cut = serve(bytes, usize::from(seed % 64) + 1);
    assert_eq!(whole, cut);
}

/// What a server says means the same to a client however it is cut: the first byte says where. Every call ends.
pub fn answers(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let whole = ask(bytes, bytes.len().max(1));
    let cut = ask(bytes, usize::from(seed % 64) + 1);
    assert_eq!(whole, cut);
}

/// Any block is read or refused, and never kept beyond its limit.
pub fn head(data: &[u8]) {
    const LIMIT: usize = 1 << 10;
    let mut decoder = Decoder::new();
    for block in data.chunks(64) {
        let mut collected = Collected::new(LIMIT);
        if decoder.decode(block, |field| collected.add(field)).is_err() {
            return;
        }
        if let Ok(known) = collected.request() {
            let size: usize =
                known.head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
            assert!(size <= LIMIT);
        }
    }
}

/// A request as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    uri: Uri,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Seen>>>);

impl Service for Recorder {
    type Future = BoxFuture<'static, Answer>;

    fn call(&self, head: Arc<Parts>, mut body: Body) -> Self::Future {
        let all = self.0.clone();
        Box::pin(async move {
            let mut bytes = Vec::new();
            while let Some(Ok(frame)) =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
            {
                bytes.extend(frame.into_data().unwrap_or_default());
            }
            let fields = head.headers.iter();
            let fields = fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
            if body.is_end_stream() {
                let seen = Seen { uri: head.uri.clone(), fields, body: bytes };
                all.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            }
            Response::new(Content::default()).into()
        })
    }
}

/// Reads pieces of a size, then the end; keeps what is written.
struct Script<'a> {
    /// Nothing comes at first.
    late: bool,
    input: std::slice::Chunks<'a, u8>,
    output: Vec<u8>,
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.late) {
            return Poll::Pending;
        }
        if let Some(piece) = self.input.next() {
            buffer.put_slice(&piece[..piece.len().min(buffer.remaining())]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// More than a piece is not read at once.
const MOST: usize = 4 << 10;

fn whole_frames(mut bytes: &[u8]) {
    while let Some(head) = Head::read(bytes) {
        assert!(bytes.len() >= HEAD + head.length, "a frame that is cut");
        bytes = &bytes[HEAD + head.length..];
    }
    assert!(bytes.is_empty(), "half a head");
}

/// Only its clock is used.
static RUNTIME: LazyLock<io::Result<Runtime>> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build());

/// The requests of a connection that says these bytes in pieces of this size, and why it ended.
fn serve(bytes: &[u8], size: usize) -> (Vec<Seen>, String) {
    let Ok(runtime) = &*RUNTIME else { return Default::default() };
    let _entered = runtime.enter();
    let recorder = Recorder::default();
    let settings = Settings {
        frame: 1 << 20,
        stream_window: 1 << 20,
        connection_window: 1 << 20,
        streams: 10,
        header_list: 1 << 10,
        ping: None,
        pings: None,
    };
    let mut script = Script { late: false, input: bytes.chunks(size.min(MOST)), output: Vec::new() };
    let mut connection = Connection::new(&mut script, BytesMut::new(), settings, recorder.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut ended = None;
    // A piece a poll would do; a connection that asks for more polls than that hangs.
    for _ in 0..bytes.len() + 10 {
        if let Poll::Ready(end) = connection.poll_unpin(&mut context) {
            ended = Some(end);
            break;
        }
    }
    drop(connection);
    whole_frames(&script.output);
    let end = match ended {
        Some(Err(Error::Client(reason, why))) => format!("{reason}: {why}"),
        Some(Ok(())) => "closed".to_owned(),
        other => panic!("it goes on without bytes, or fails: {other:?}"),
    };
    let seen = recorder.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (seen, end)
}

/// How calls end on a connection whose server says these bytes in pieces of this size, and how that ends.
fn ask(bytes: &[u8], size: usize) -> (Vec<String>, String) {
    let Ok(runtime) = &*RUNTIME else { return Default::default() };
    let _entered = runtime.enter();
    let mut script = Script { late: true, input: bytes.chunks(size.min(MOST)), output: Vec::new() };
    let (client, driver) = Client::new(&mut script, ClientSettings::default());
    let head = Arc::new(RequestHead::post("http", "a", "/v1", &HeaderMap::new()));
    let bodies = [0, 10, 5_000, 100_000].map(|size| VecDeque::from([Bytes::from(vec![7; size])]));
    let mut calls = bodies.map(|body| client.call(head.clone(), body, 10_000));
    let mut driver = Box::pin(driver.run());
    let mut context = Context::from_waker(Waker::noop());
    assert!(driver.poll_unpin(&mut context).is_pending());
    let end = match driver.poll_unpin(&mut context) {
        Poll::Ready(end) => end.err().unwrap_or_default(),
        Poll::Pending => panic!("it goes on without bytes"),
    };
    drop(driver);
    let answers = calls.each_mut().map(|call| match call.poll_unpin(&mut context) {
        Poll::Ready(answer) => format!("{answer:?}"),
        Poll::Pending => panic!("a call waits for ever"),
    });
    whole_frames(&script.output[PREFACE.len()..]);
    (answers.to_vec(), end)
}
