//! What a connection does about frames as they should be, and as they should not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use streamgauge_http2::{Connection, Settings};
use support::*;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const REFUSED_STREAM: u32 = 7;

fn code(frame: &Frame) -> u32 {
    u32::from_be_bytes(frame.payload[..4].try_into().unwrap())
}

#[tokio::test]
async fn a_request_is_answered_with_head_data_and_trailers() {
    let mut raw = Raw::hello().await;
    raw.say(HEADERS, HEADERS_END, 1, &post("/same")).await;
    raw.say(DATA, 0, 1, b"bo").await;
    raw.say(DATA, END, 1, b"dy").await;
    let frames = [raw.next().await.unwrap(), raw.next().await.unwrap(), raw.next().await.unwrap()];
    assert_eq!(frames.clone().map(|frame| (frame.kind, frame.flags)), [(1, 4), (0, 0), (1, 5)]);
    assert!(frames.iter().all(|frame| frame.stream == 1));
    assert_eq!(raw.state.bodies.lock().unwrap()[..], ["body"]);
}

#[tokio::test]
async fn a_head_that_comes_again_is_the_same_one() {
    let mut raw = Raw::hello().await;
    for stream in [1, 3, 5] {
        raw.say(HEADERS, HEADERS_END | END, stream, &post("/same")).await;
        raw.until(|frame| frame.stream == stream && frame.flags == 5).await;
    }
    let heads = raw.state.heads.lock().unwrap();
    assert!(Arc::ptr_eq(&heads[0], &heads[1]) && Arc::ptr_eq(&heads[1], &heads[2]));
}

#[tokio::test]
async fn padding_priorities_continuations_and_trailers_belong_to_a_request() {
    let mut raw = Raw::hello().await;
    let block = post("/same");
    let padded = [&[2, 0, 0, 0, 9, 16], &block[..3], &[0, 0]].concat();
    raw.say(HEADERS, 8 | 32, 1, &padded).await;
    raw.say(CONTINUATION, 0, 1, &block[3..6]).await;
    raw.say(CONTINUATION, HEADERS_END, 1, &block[6..]).await;
    raw.say(DATA, 8, 1, b"\x03body\0\0\0").await;
    raw.say(HEADERS, HEADERS_END | END, 1, b"\x00\x01a\x01b").await;
    raw.until(|frame| frame.flags == 5).await;
    assert_eq!(raw.state.bodies.lock().unwrap()[..], ["body"]);
}

#[tokio::test]
async fn an_answer_waits_for_the_windows_of_stream_and_connection() {
    let mut raw = Raw::hello().await;
    raw.say(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 10]).await; // 10 bytes a stream
    raw.say(HEADERS, HEADERS_END, 1, &post("/echo")).await;
    raw.say(DATA, END, 1, &[7; 25]).await;
    let data = async |raw: &mut Raw| raw.until(|frame| frame.kind == DATA).await.payload.len();
    assert_eq!(data(&mut raw).await, 10);
    raw.still_there().await;
    raw.say(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 4]).await;
    assert_eq!(data(&mut raw).await, 4);
    raw.say(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 100]).await; // 90 more for this one, too
    assert_eq!(data(&mut raw).await, 11);
    raw.until(|frame| frame.flags == 5).await;
    // A small one that was written before has to wait in the same way.
    raw.say(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    raw.say(HEADERS, HEADERS_END | END, 3, &post("/same")).await;
    raw.still_there().await;
    raw.say(WINDOW_UPDATE, 0, 3, &[0, 0, 0, 5]).await;
    assert_eq!(data(&mut raw).await, 5);
}

#[tokio::test]
async fn windows_are_given_back_in_large_steps() {
    let mut raw = Raw::hello().await;
    raw.say(HEADERS, HEADERS_END, 1, &post("/echo")).await;
    for _ in 0..4 {
        raw.say(DATA, 0, 1, &vec![0; 200_000]).await;
    }
    let update = raw.until(|frame| frame.kind == WINDOW_UPDATE && frame.stream == 1).await;
    assert!(code(&update) >= 1 << 19, "half a window, not a frame");
    raw.still_there().await;
}

#[tokio::test]
async fn more_than_the_window_ends_the_stream_or_the_connection() {
    let small = Settings { stream_window: 100, connection_window: 65_535, ..SETTINGS_OF_TESTS };
    let mut raw = Raw::new(small, 1 << 20);
    raw.say(SETTINGS, 0, 0, &[]).await;
    raw.say(HEADERS, HEADERS_END, 1, &post("/hold")).await;
    raw.say(DATA, 0, 1, &[0; 101]).await;
    let reset = raw.until(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((reset.stream, code(&reset)), (1, FLOW_CONTROL_ERROR));
    raw.state.has(0).await;
    raw.say(HEADERS, HEADERS_END, 3, &post("/hold")).await;
    raw.try_say(DATA, 0, 3, &[0; 70_000]).await;
    assert_eq!(raw.goodbye().await, FLOW_CONTROL_ERROR);
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_said_is_reset() {
    let mut raw = Raw::hello().await;
    for (stream, said, sent) in [(1, "3", 4), (3, "5", 4), (5, "1", 0)] {
        raw.say(HEADERS, HEADERS_END, stream, &post_with("/echo", &[("content-length", said)])).await;
        raw.say(DATA, END, stream, &vec![0; sent]).await;
        let reset = raw.until(|frame| frame.kind == RST_STREAM).await;
        assert_eq!((reset.stream, code(&reset)), (stream, PROTOCOL_ERROR));
    }
    raw.state.has(0).await;
}

#[tokio::test]
async fn a_head_above_the_limit_is_431_and_the_connection_lives() {
    let mut raw = Raw::hello().await;
    let long = "x".repeat(100);
    let fields = vec![("a", &*long); 150];
    raw.say(HEADERS, HEADERS_END, 1, &post_with("/echo", &fields)).await;
    let head = raw.until(|frame| frame.kind == HEADERS).await;
    assert!(head.payload.windows(3).any(|window| window == b"431"));
    raw.until(|frame| frame.kind == RST_STREAM && code(frame) == 0).await;
    // What was under way is read over.
    raw.say(DATA, END, 1, b"late").await;
    raw.still_there().await;
    assert!(raw.state.heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_beyond_the_number_of_streams_is_refused() {
    let mut raw = Raw::new(Settings { streams: 2, ..SETTINGS_OF_TESTS }, 1 << 20);
    raw.say(SETTINGS, 0, 0, &[]).await;
    for stream in [1, 3, 5] {
        raw.say(HEADERS, HEADERS_END | END, stream, &post("/hold")).await;
    }
    let reset = raw.until(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((reset.stream, code(&reset)), (5, REFUSED_STREAM));
    assert_eq!(raw.state.at_work.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_request_taken_back_drops_its_handler_and_so_does_a_client_that_goes() {
    let mut raw = Raw::hello().await;
    for stream in [1, 3] {
        raw.say(HEADERS, HEADERS_END | END, stream, &post("/hold")).await;
    }
    // Large: it has a task of its own where there are several threads.
    raw.say(HEADERS, HEADERS_END, 5, &post("/hold")).await;
    raw.say(DATA, END, 5, &[0; 100_000]).await;
    raw.state.has(3).await;
    raw.say(RST_STREAM, 0, 1, &[0, 0, 0, 8]).await;
    raw.state.has(2).await;
    let Raw { io, state, server } = raw;
    drop(io);
    state.has(0).await;
    server.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_has_a_task_of_its_own_and_goes_with_its_client() {
    let mut raw = Raw::hello().await;
    for (stream, path) in [(1, "/echo"), (3, "/hold"), (5, "/hold")] {
        raw.say(HEADERS, HEADERS_END, stream, &post(path)).await;
        raw.say(DATA, END, stream, &[7; 20_000]).await;
    }
    let data = raw.until(|frame| frame.kind == DATA).await;
    assert_eq!((data.stream, data.payload[0]), (1, 7));
    raw.state.has(2).await;
    raw.say(RST_STREAM, 0, 3, &[0, 0, 0, 8]).await;
    raw.state.has(1).await;
    raw.state.go.notify_one();
    raw.until(|frame| frame.stream == 5 && frame.flags & END != 0).await;
    raw.state.has(0).await;
}

#[tokio::test]
async fn a_handler_that_falls_takes_its_stream_with_it_and_no_other() {
    let mut raw = Raw::hello().await;
    raw.say(HEADERS, HEADERS_END | END, 1, &post("/hold")).await;
    raw.say(HEADERS, HEADERS_END | END, 3, &post("/panic")).await;
    let reset = raw.until(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((reset.stream, code(&reset)), (3, 2));
    raw.state.go.notify_one();
    raw.until(|frame| frame.stream == 1 && frame.flags == 5).await;
}

#[tokio::test]
async fn an_answer_that_does_not_wait_for_the_body_ends_it() {
    let mut raw = Raw::hello().await;
    raw.say(HEADERS, HEADERS_END, 1, &post("/ignore")).await;
    let mut kinds = Vec::new();
    while kinds.last() != Some(&RST_STREAM) {
        kinds.push(raw.next().await.unwrap().kind);
    }
    assert_eq!(kinds, [HEADERS, RST_STREAM]);
    raw.say(DATA, 0, 1, b"was under way").await;
    raw.still_there().await;
}

#[tokio::test]
async fn a_goodbye_is_said_twice_and_lets_what_was_under_way_in() {
    let (mut io, theirs) = tokio::io::duplex(1 << 16);
    let paths = Paths::default();
    let state = paths.0.clone();
    let leave = Arc::new(tokio::sync::Notify::new());
    let told = leave.clone();
    let server = tokio::spawn(async move {
        let mut connection = Connection::new(theirs, BytesMut::new(), SETTINGS_OF_TESTS, paths);
        tokio::select! {
            ended = &mut connection => return ended,
            () = told.notified() => connection.leave(),
        }
        connection.await
    });
    tokio::io::AsyncWriteExt::write_all(&mut io, &frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut raw = Raw { io, state, server };
    raw.say(HEADERS, HEADERS_END | END, 1, &post("/hold")).await;
    raw.state.has(1).await;
    leave.notify_one();
    let first = raw.until(|frame| frame.kind == GOAWAY).await;
    assert_eq!(first.payload[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let ping = raw.until(|frame| frame.kind == PING).await;
    raw.say(HEADERS, HEADERS_END | END, 3, &post("/hold")).await;
    raw.say(PING, 1, 0, &ping.payload).await;
    let second = raw.until(|frame| frame.kind == GOAWAY).await;
    assert_eq!(second.payload[..8], [0, 0, 0, 3, 0, 0, 0, 0]);
    raw.say(HEADERS, HEADERS_END | END, 5, &post("/hold")).await;
    let refused = raw.until(|frame| frame.kind == RST_STREAM).await;
    assert_eq!((refused.stream, code(&refused)), (5, REFUSED_STREAM));
    raw.state.has(2).await;
    raw.state.go.notify_waiters();
    for stream in [1, 3] {
        raw.until(|frame| frame.stream == stream && frame.flags & END != 0).await;
    }
    assert_eq!(raw.next().await, None, "and then it closes");
    raw.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_breaks_the_rules_of_streams_is_named() {
    let get = [0x82, 0x86, 0x84];
    for (frames, reason) in [
        (vec![frame(HEADERS, HEADERS_END | END, 2, &get)], PROTOCOL_ERROR),
        (vec![frame(DATA, END, 1, b"x")], PROTOCOL_ERROR),
        (vec![frame(RST_STREAM, 0, 1, &[0; 4])], PROTOCOL_ERROR),
        (vec![frame(WINDOW_UPDATE, 0, 0, &[0; 4])], PROTOCOL_ERROR),
        (vec![frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])], FLOW_CONTROL_ERROR),
        (vec![frame(5, 0, 1, &[0; 4])], PROTOCOL_ERROR),
        (vec![frame(CONTINUATION, HEADERS_END, 1, &get)], PROTOCOL_ERROR),
        (vec![frame(HEADERS, 0, 1, &get), frame(PING, 0, 0, &[0; 8])], PROTOCOL_ERROR),
        (vec![frame(HEADERS, HEADERS_END, 1, &[0xff])], 9),
        (
            vec![
                frame(HEADERS, HEADERS_END | END, 5, &post("/same")),
                frame(HEADERS, HEADERS_END | END, 3, &post("/same")),
            ],
            PROTOCOL_ERROR,
        ),
        (
            vec![
                frame(HEADERS, HEADERS_END | END, 1, &post("/same")),
                frame(HEADERS, HEADERS_END | END, 1, &post("/same")),
            ],
            STREAM_CLOSED,
        ),
    ] {
        let mut raw = Raw::hello().await;
        for frame in &frames {
            tokio::io::AsyncWriteExt::write_all(&mut raw.io, frame).await.unwrap();
        }
        assert_eq!(raw.goodbye().await, reason, "{frames:?}");
    }
    let mut raw = Raw::new(SETTINGS_OF_TESTS, 1 << 16);
    raw.say(PING, 0, 0, &[0; 8]).await;
    assert_eq!(raw.goodbye().await, PROTOCOL_ERROR, "the first frame is SETTINGS");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_stays_and_one_that_does_not_goes() {
    let second = Duration::from_secs(1);
    let mut raw = Raw::new(Settings { ping: Some((second * 10, second * 3)), ..SETTINGS_OF_TESTS }, 1 << 16);
    raw.say(SETTINGS, 0, 0, &[]).await;
    let start = tokio::time::Instant::now();
    for _ in 0..3 {
        let ping = raw.until(|frame| frame.kind == PING).await;
        raw.say(PING, 1, 0, &ping.payload).await;
    }
    assert_eq!(start.elapsed().as_secs(), 30);
    raw.until(|frame| frame.kind == PING).await;
    assert_eq!(raw.next().await, None);
    assert_eq!(start.elapsed().as_secs(), 43);
    assert_eq!(raw.server.await.unwrap().unwrap_err().to_string(), "the client does not answer pings");
}
