//! A client against hyper's server, ours, and one that says whatever frames it is told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

mod support;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use streamgauge_http2::{CallError, Client, ClientSettings, Connection, Head, PREFACE};
use support::{
    DATA, END, Frame, GOAWAY, HEADERS, HEADERS_END, PING, Paths, RST_STREAM, SETTINGS, SETTINGS_OF_TESTS,
    WINDOW_UPDATE, frame, read_frame,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

type Answer = Result<streamgauge_http2::Response, CallError>;

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(io: DuplexStream, settings: ClientSettings) -> (Client, JoinHandle<Result<(), String>>) {
    let (client, driver) = Client::new(io, settings);
    (client, tokio::spawn(driver.run()))
}

fn head() -> Arc<Head> {
    Arc::new(Head::post("http", "a:1", "/echo", &HeaderMap::new()))
}

async fn echo(client: Client, head: Arc<Head>, slices: Vec<Bytes>) {
    let body = slices.concat();
    let answer = client.call(head, slices.into(), 1 << 20).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
    assert!(answer.data == body, "{} bytes", body.len());
    assert_eq!(answer.trailers.unwrap().headers["x-after"], "t");
}

/// Bodies of all sizes in one, two and many slices, many at once, again and again.
async fn bodies(client: Client) {
    let head = head();
    for round in 0..4_u8 {
        let calls = (0..40_usize).map(|size| {
            let size = [size * 20_000, size, 16 << 10, 0][size % 4];
            let body = Bytes::from(vec![round; size]);
            let slices = match round {
                0 => vec![body],
                1 => vec![body.slice(..size / 2), body.slice(size / 2..)],
                _ => body.chunks(3000).map(|chunk| body.slice_ref(chunk)).collect(),
            };
            echo(client.clone(), head.clone(), slices)
        });
        tokio::time::timeout(Duration::from_secs(60), join_all(calls)).await.expect("no call waits for ever");
    }
}

async fn echo_by_hyper(
    request: Request<Incoming>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    assert_eq!((request.method().as_str(), request.uri().to_string()), ("POST", "http://a:1/echo".into()));
    let data = request.into_body().collect().await.unwrap().to_bytes();
    let trailers = [(http::HeaderName::from_static("x-after"), "t".parse().unwrap())];
    let body = http_body_util::Full::new(data);
    Ok(Response::new(body.with_trailers(std::future::ready(Some(Ok(trailers.into_iter().collect()))))))
}

fn hyper(configure: impl FnOnce(&mut hyper::server::conn::http2::Builder<TokioExecutor>)) -> Client {
    let (ours, theirs) = tokio::io::duplex(10_000);
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    configure(&mut server);
    tokio::spawn(server.serve_connection(TokioIo::new(theirs), service_fn(echo_by_hyper)));
    connect(ours, ClientSettings::default()).0
}

#[tokio::test]
async fn hypers_server_gets_bodies_of_all_sizes() {
    bodies(hyper(|_| {})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_with_small_windows_large_frames_and_few_calls_at_once() {
    bodies(hyper(|server| {
        server.initial_stream_window_size(1000).initial_connection_window_size(70_000);
        server.max_concurrent_streams(3);
    }))
    .await;
    bodies(hyper(|server| {
        server.max_frame_size(1 << 20).initial_stream_window_size(1 << 20);
    }))
    .await;
}

#[tokio::test]
async fn our_own_server_gets_them_too() {
    let (ours, theirs) = tokio::io::duplex(10_000);
    tokio::spawn(async move {
        let (mut theirs, mut preface) = (theirs, [0; 24]);
        theirs.read_exact(&mut preface).await.unwrap();
        Connection::new(theirs, BytesMut::new(), SETTINGS_OF_TESTS, Paths::default()).await
    });
    bodies(connect(ours, ClientSettings::default()).0).await;
}

/// A server that knows no rules.
struct Raw {
    io: DuplexStream,
    client: Client,
    driver: JoinHandle<Result<(), String>>,
}

impl Raw {
    async fn with(settings: ClientSettings) -> Self {
        let (ours, mut io) = tokio::io::duplex(1 << 20);
        let (client, driver) = connect(ours, settings);
        let mut preface = [0; PREFACE.len()];
        io.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, PREFACE);
        let mut raw = Raw { io, client, driver };
        assert_eq!(raw.next().await.kind, SETTINGS);
        raw
    }

    /// A connection whose settings are exchanged.
    async fn hello() -> Self {
        let mut raw = Raw::with(ClientSettings::default()).await;
        raw.say(SETTINGS, 0, 0, &[]).await;
        raw.until(SETTINGS).await;
        raw
    }

    async fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.io.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        let next = tokio::time::timeout(PATIENCE, read_frame(&mut self.io)).await;
        next.expect("a frame in time").expect("a frame before the end")
    }

    async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await;
            if frame.kind == kind {
                return frame;
            }
        }
    }

    fn call(&self, body: usize) -> JoinHandle<Answer> {
        let call = self.client.call(head(), VecDeque::from([Bytes::from(vec![1; body])]), 1000);
        tokio::spawn(async { tokio::time::timeout(PATIENCE, call).await.expect("an answer in time") })
    }

    async fn ok(&mut self, stream: u32) {
        self.say(HEADERS, HEADERS_END | END, stream, b"\x88").await;
    }
}

fn broken(answer: Answer) -> String {
    match answer {
        Err(CallError::Broken(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn unprocessed(answer: Answer) -> String {
    match answer {
        Err(CallError::Unprocessed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_head_that_comes_again_is_a_byte_a_field() {
    let mut raw = Raw::hello().await;
    let head = head();
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let _call = raw.client.call(head.clone(), VecDeque::new(), 0);
        lengths.push(raw.until(HEADERS).await.payload.len());
    }
    assert!(lengths[0] > 10 && lengths[1..] == [4, 4], "{lengths:?}");
}

#[tokio::test]
async fn calls_that_a_leaving_server_has_not_seen_may_be_sent_again_and_the_others_are_answered() {
    let mut raw = Raw::hello().await;
    let calls = [raw.call(0), raw.call(0)];
    assert_eq!(raw.until(HEADERS).await.stream + 2, raw.until(HEADERS).await.stream);
    raw.say(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0restart").await;
    let [seen, unseen] = calls;
    let why = unprocessed(unseen.await.unwrap());
    assert_eq!(why, "the server ended the connection: NO_ERROR (restart)");
    assert!(raw.client.is_closed());
    assert_eq!(unprocessed(raw.call(0).await.unwrap()), "the connection is closed");
    raw.ok(1).await;
    assert_eq!(seen.await.unwrap().unwrap().status.as_u16(), 200);
    assert_eq!(raw.driver.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_refused_call_may_be_sent_again_and_one_that_was_ended_otherwise_not() {
    let mut raw = Raw::hello().await;
    let (refused, ended, kept) = (raw.call(0), raw.call(0), raw.call(0));
    raw.until(HEADERS).await;
    raw.say(RST_STREAM, 0, 1, &[0, 0, 0, 7]).await;
    raw.until(HEADERS).await;
    raw.say(RST_STREAM, 0, 3, &[0, 0, 0, 11]).await;
    raw.until(HEADERS).await;
    raw.ok(5).await;
    assert_eq!(unprocessed(refused.await.unwrap()), "the server ended the call: REFUSED_STREAM");
    assert_eq!(broken(ended.await.unwrap()), "the server ended the call: ENHANCE_YOUR_CALM");
    kept.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_is_dropped_is_taken_back_and_the_next_in_line_gets_its_place() {
    let mut raw = Raw::with(ClientSettings::default()).await;
    raw.say(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]).await;
    raw.until(SETTINGS).await;
    let dropped = raw.client.call(head(), VecDeque::new(), 0);
    assert_eq!(raw.until(HEADERS).await.stream, 1);
    let (waits, gone) = (raw.call(0), raw.client.call(head(), VecDeque::new(), 0));
    drop((dropped, gone));
    assert_eq!(raw.until(RST_STREAM).await.payload, [0, 0, 0, 8]);
    assert_eq!(raw.until(HEADERS).await.stream, 3);
    raw.ok(3).await;
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_answer_before_the_bodys_end_is_taken_and_the_rest_is_not_sent() {
    let mut raw = Raw::hello().await;
    let call = raw.call(200_000);
    let mut came = 0;
    while came < 65_535 {
        came += raw.until(DATA).await.payload.len();
    }
    raw.say(HEADERS, HEADERS_END | END, 1, b"\x08\x03413").await;
    assert_eq!(call.await.unwrap().unwrap().status.as_u16(), 413);
    assert_eq!(raw.next().await, Frame { kind: RST_STREAM, flags: 0, stream: 1, payload: vec![0, 0, 0, 8] });
    raw.say(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]).await;
    raw.say(PING, 0, 0, b"still me").await;
    assert_eq!(raw.next().await.payload, b"still me");
}

#[tokio::test]
async fn a_body_goes_on_when_windows_grow_and_stops_when_they_shrink() {
    let mut raw = Raw::hello().await;
    let call = raw.call(100_000);
    let mut came = 0;
    while came < 65_535 {
        came += raw.until(DATA).await.payload.len();
    }
    // The stream's window is 10,000 below nothing now, and 1,000 above it after the second update.
    raw.say(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xd8, 0xef]).await;
    raw.say(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]).await;
    raw.say(WINDOW_UPDATE, 0, 1, &[0, 0, 0x27, 0x10]).await;
    raw.say(PING, 0, 0, b"and now?").await;
    assert_eq!((raw.next().await.kind, raw.next().await.kind), (SETTINGS, PING));
    raw.say(WINDOW_UPDATE, 0, 1, &[0, 0, 0x03, 0xe8]).await;
    assert_eq!(raw.next().await.payload.len(), 1000);
    raw.say(WINDOW_UPDATE, 0, 1, &[0, 1, 0, 0]).await;
    came += 1000;
    while came < 100_000 {
        let data = raw.next().await;
        came += data.payload.len();
        assert_eq!((data.kind, data.flags & END == END), (DATA, came == 100_000));
    }
    raw.ok(1).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_has_to_be_said_does_not_wait_behind_all_that_windows_allow() {
    let (ours, mut theirs) = tokio::io::duplex(64 << 10);
    let (client, _driver) = connect(ours, ClientSettings::default());
    let windows = [
        frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]),
        frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]),
    ];
    theirs.write_all(&windows.concat()).await.unwrap();
    let body = Bytes::from(vec![1; 8 << 20]);
    let calls: Vec<_> =
        (0..4).map(|_| tokio::spawn(client.call(head(), VecDeque::from([body.clone()]), 0))).collect();
    let mut preface = [0; PREFACE.len()];
    theirs.read_exact(&mut preface).await.unwrap();
    let (mut came, mut asked, mut heard) = ([0; 4], 0, None);
    while came.iter().sum::<usize>() < 32 << 20 {
        let frame = tokio::time::timeout(PATIENCE, read_frame(&mut theirs)).await.unwrap().unwrap();
        match frame.kind {
            DATA => came[frame.stream as usize / 2] += frame.payload.len(),
            PING => heard = heard.or(Some(came.iter().sum::<usize>() - asked)),
            _ => {}
        }
        if asked == 0 && came[0] > 1 << 20 {
            asked = came.iter().sum();
            theirs.write_all(&support::frame(PING, 0, 0, b"and now?")).await.unwrap();
        }
    }
    assert!(heard.unwrap() < 3 << 20, "after {heard:?} bytes");
    assert_eq!(came, [8 << 20; 4], "all of it came in the end");
    calls.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_not_sent() {
    let mut raw = Raw::hello().await;
    drop(raw.client.call(head(), VecDeque::new(), 0));
    let _call = raw.client.call(head(), VecDeque::new(), 0);
    assert_eq!(raw.next().await.stream, 1);
    raw.say(PING, 0, 0, b"still me").await;
    assert_eq!(raw.next().await.kind, PING);
}

#[tokio::test]
async fn an_answer_beyond_its_limit_is_cut_off() {
    let mut raw = Raw::hello().await;
    let call = raw.call(0);
    raw.until(HEADERS).await;
    raw.say(HEADERS, HEADERS_END, 1, b"\x88").await;
    raw.say(DATA, 0, 1, &[0; 1001]).await;
    assert_eq!(call.await.unwrap().unwrap_err(), CallError::TooLarge(1000));
    assert_eq!(raw.until(RST_STREAM).await.stream, 1);
}

#[tokio::test]
async fn long_answers_get_their_windows_back() {
    let mut raw = Raw::hello().await;
    let call = raw.client.call(head(), VecDeque::new(), 2 << 20);
    let call = tokio::spawn(call);
    raw.until(HEADERS).await;
    raw.say(HEADERS, HEADERS_END, 1, b"\x88").await;
    let (mut stream, mut connection) = (65_535_i64, 1 << 20);
    for _ in 0..128 {
        raw.say(DATA, 0, 1, &[3; 16 << 10]).await;
        stream -= 16 << 10;
        connection -= 16 << 10;
        raw.say(PING, 0, 0, b"and now?").await;
        loop {
            let frame = raw.next().await;
            if frame.kind == PING {
                break;
            }
            let more = i64::from(u32::from_be_bytes(frame.payload[..].try_into().unwrap()));
            if frame.stream == 0 { connection += more } else { stream += more }
        }
        assert!(stream >= 16 << 10 && connection >= 16 << 10);
    }
    raw.say(DATA, END, 1, &[]).await;
    assert_eq!(call.await.unwrap().unwrap().data.len(), 2 << 20);
}

#[tokio::test]
async fn a_server_that_breaks_the_rules_is_left_with_the_reason() {
    const PROTOCOL: u8 = 1;
    const FLOW: u8 = 3;
    const SIZE: u8 = 6;
    const COMPRESSION: u8 = 9;
    let large = vec![0; (16 << 10) + 1];
    let wrong: [(u8, u8, u32, &[u8], u8); 12] = [
        (DATA, 0, 3, b"x", PROTOCOL),
        (HEADERS, HEADERS_END, 2, b"\x88", PROTOCOL),
        (5, HEADERS_END, 1, b"\0\0\0\x02\x88", PROTOCOL),
        (9, HEADERS_END, 1, b"\x88", PROTOCOL),
        (HEADERS, HEADERS_END, 1, b"\xff\xff\xff\xff\xff\xff", COMPRESSION),
        (SETTINGS, 0, 0, &[0; 5], SIZE),
        (SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0], FLOW),
        (PING, 0, 0, &[0; 7], SIZE),
        (WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff], FLOW),
        (WINDOW_UPDATE, 0, 0, &[0, 0, 0, 0], FLOW),
        (GOAWAY, 0, 0, &[0; 7], SIZE),
        (DATA, 0, 1, &large, SIZE),
    ];
    for (kind, flags, stream, payload, code) in wrong {
        let mut raw = Raw::hello().await;
        let call = raw.call(0);
        raw.until(HEADERS).await;
        raw.say(kind, flags, stream, payload).await;
        let goodbye = raw.until(GOAWAY).await;
        assert_eq!(goodbye.payload[7], code, "kind {kind}: {goodbye:?}");
        assert!(broken(call.await.unwrap()).starts_with("the server broke the protocol: "));
        raw.driver.await.unwrap().unwrap_err();
    }
    let mut rude = Raw::with(ClientSettings::default()).await;
    rude.say(PING, 0, 0, &[0; 8]).await;
    assert_eq!(rude.until(GOAWAY).await.payload[7], PROTOCOL);
}

#[tokio::test]
async fn a_malformed_answer_costs_its_call_alone() {
    let blocks: [&[u8]; 4] = [b"\x00\x01a\x01b", b"\x88\x88", b"\x08\x03abc", b"\x88\x00\x01A\x01b"];
    let mut raw = Raw::hello().await;
    let mut stream = 1;
    for block in blocks {
        let call = raw.call(0);
        raw.until(HEADERS).await;
        raw.say(HEADERS, HEADERS_END, stream, block).await;
        assert_eq!(broken(call.await.unwrap()), "the server broke the protocol: PROTOCOL_ERROR");
        assert_eq!(raw.until(RST_STREAM).await.stream, stream);
        stream += 2;
    }
    let good = raw.call(0);
    raw.until(HEADERS).await;
    raw.ok(stream).await;
    good.await.unwrap().unwrap();
}

#[tokio::test]
async fn questions_whose_answers_nobody_takes_end_the_connection() {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let (_client, driver) = connect(ours, ClientSettings::default());
    let (_unread, mut talk) = tokio::io::split(theirs);
    talk.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let flood = async {
        while talk.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let ended = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            ended = driver => ended.unwrap(),
            () = flood => unreachable!("it has no end"),
        }
    });
    let why = ended.await.expect("it ends").unwrap_err();
    assert!(why.contains("ENHANCE_YOUR_CALM"), "{why}");
}

#[tokio::test]
async fn a_server_that_closes_breaks_calls_and_takes_no_more() {
    let mut raw = Raw::hello().await;
    let call = raw.call(0);
    raw.until(HEADERS).await;
    drop(raw.io);
    assert_eq!(broken(call.await.unwrap()), "the server closed the connection");
    assert!(raw.client.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_and_left_and_an_idle_one_only_where_that_is_wanted() {
    let ping = Some((Duration::from_secs(10), Duration::from_secs(3)));
    let start = tokio::time::Instant::now();
    let mut raw = Raw::with(ClientSettings { ping, ping_idle: false }).await;
    raw.say(SETTINGS, 0, 0, &[]).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(!raw.client.is_closed());
    let call = raw.client.call(head(), VecDeque::new(), 0);
    let asked = raw.until(PING).await;
    raw.say(PING, 1, 0, &asked.payload).await;
    assert!(start.elapsed() < Duration::from_secs(115));
    assert_eq!(broken(call.await), "the server does not answer pings");

    let mut idle = Raw::with(ClientSettings { ping, ping_idle: true }).await;
    idle.until(PING).await;
    assert_eq!(idle.driver.await.unwrap().unwrap_err(), "the server does not answer pings");
}

#[tokio::test]
async fn the_connection_ends_with_the_last_of_its_clients_and_calls() {
    let mut raw = Raw::hello().await;
    let call = raw.call(0);
    raw.until(HEADERS).await;
    let Raw { io, client, driver } = raw;
    drop(client);
    let mut raw = Raw { io, client: Client::new(tokio::io::empty(), ClientSettings::default()).0, driver };
    raw.say(PING, 0, 0, b"still me").await;
    raw.until(PING).await;
    raw.ok(1).await;
    call.await.unwrap().unwrap();
    assert_eq!(raw.until(GOAWAY).await.payload[4..], [0; 4]);
    assert_eq!(raw.driver.await.unwrap(), Ok(()));
}
