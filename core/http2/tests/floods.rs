//! What a client may do only so often, and what it may do for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use streamgauge_http2::{PingPolicy, Settings};
use support::*;
use tokio::io::AsyncWriteExt as _;

const ENHANCE_YOUR_CALM: u32 = 11;

/// Says frames until the connection is given up; `false` if it never is.
async fn ends(mut frames: impl FnMut(u32) -> Vec<u8>, most: u32) -> bool {
    let mut raw = Raw::hello().await;
    let mut goodbye = None;
    for round in 0..most {
        if raw.io.write_all(&frames(round)).await.is_err() {
            break;
        }
        // What is answered has to be taken, or it is another flood.
        let mut taken = [0; 4096];
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::ZERO, tokio::io::AsyncReadExt::read(&mut raw.io, &mut taken)).await
        {
            goodbye = goodbye.or_else(|| find_goodbye(&taken[..count]));
            if count == 0 || goodbye.is_some() {
                break;
            }
        }
        if goodbye.is_some() {
            break;
        }
    }
    if goodbye.is_none() {
        raw.still_there().await;
        return false;
    }
    assert_eq!(goodbye, Some(ENHANCE_YOUR_CALM));
    raw.state.has(0).await;
    true
}

/// The code of a GOAWAY among the bytes.
fn find_goodbye(bytes: &[u8]) -> Option<u32> {
    let at =
        bytes.windows(9).position(|head| head[3] == GOAWAY && head[4..] == [0; 5] && head[..2] == [0; 2])?;
    Some(u32::from_be_bytes(bytes.get(at + 13..at + 17)?.try_into().unwrap()))
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_taken_back_as_soon_as_they_are_made_end_the_connection() {
    let pair = |round: u32| {
        let id = round * 2 + 1;
        [frame(HEADERS, HEADERS_END, id, &post("/hold")), frame(RST_STREAM, 0, id, &[0, 0, 0, 8])].concat()
    };
    assert!(ends(pair, 5000).await);
}

#[tokio::test(start_paused = true)]
async fn streams_that_the_client_breaks_so_that_we_reset_them_end_the_connection() {
    let broken = |round: u32| {
        let id = round * 2 + 1;
        [frame(HEADERS, HEADERS_END, id, &post("/hold")), frame(WINDOW_UPDATE, 0, id, &[0; 4])].concat()
    };
    assert!(ends(broken, 5000).await);
}

#[tokio::test(start_paused = true)]
async fn heads_without_an_end_end_the_connection() {
    let endless = |round| match round {
        0 => frame(HEADERS, 0, 1, &post("/hold")),
        _ => frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"),
    };
    assert!(ends(endless, 1000).await);
    let empty = |round| match round {
        0 => frame(HEADERS, 0, 1, &[]),
        _ => frame(CONTINUATION, 0, 1, &[]),
    };
    assert!(ends(empty, 1000).await);
}

#[tokio::test(start_paused = true)]
async fn floods_of_pings_settings_and_priorities_end_the_connection() {
    assert!(ends(|_| frame(PING, 0, 0, &[0; 8]).repeat(10), 1000).await);
    assert!(ends(|_| frame(SETTINGS, 0, 0, &[]).repeat(10), 1000).await);
    assert!(ends(|_| frame(2, 0, 9, &[0, 0, 0, 1, 5]).repeat(10), 1000).await);
    assert!(ends(|_| frame(77, 0, 0, &[]).repeat(10), 1000).await);
    assert!(ends(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(10), 1000).await);
}

#[tokio::test(start_paused = true)]
async fn data_in_empty_or_tiny_pieces_ends_the_connection_and_a_body_cut_into_bytes_does_not() {
    let pieces = |piece: &'static [u8]| {
        move |round| match round {
            0 => frame(HEADERS, HEADERS_END, 1, &post("/echo")),
            _ => frame(DATA, 0, 1, piece).repeat(10),
        }
    };
    assert!(ends(pieces(b""), 10_000).await);
    assert!(ends(pieces(b"x"), 10_000).await);
    assert!(!ends(pieces(b"x"), 1000).await);
}

#[tokio::test]
async fn a_small_block_that_unpacks_to_a_large_list_is_not_kept() {
    let mut raw = Raw::hello().await;
    // A field of 4000 bytes goes into the table, then a block names it 4000 times: 16 MB.
    let mut block = post("/hold");
    block.extend(b"\x40\x01a\x7f\xa1\x1e");
    block.extend(vec![b'x'; 4000]);
    block.extend(vec![0xbe; 4000]);
    raw.say(HEADERS, HEADERS_END | END, 1, &block).await;
    let head = raw.until(|frame| frame.kind == HEADERS).await;
    assert!(head.payload.windows(3).any(|window| window == b"431"));
    assert_eq!(raw.state.at_work.load(Ordering::SeqCst), 0);
    raw.still_there().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_not_read_any_further() {
    // Room for 1 KiB on the way; nothing is ever read from it.
    let mut raw = Raw::new(SETTINGS_OF_TESTS, 1 << 10);
    raw.say(SETTINGS, 0, 0, &[]).await;
    let mut asked = 0_u32;
    loop {
        let request = frame(HEADERS, HEADERS_END | END, asked * 2 + 1, &post("/same"));
        let said = tokio::time::timeout(Duration::from_millis(200), raw.io.write_all(&request)).await;
        match said {
            Ok(said) => said.unwrap(),
            Err(_) => break,
        }
        asked += 1;
    }
    let heads = raw.state.heads.lock().unwrap().len();
    assert!(heads < 3000, "{heads} answers of 50 bytes are more than the buffers hold");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_pings_over_hours_and_one_after_each_answer_are_a_clients_right() {
    let mut raw = Raw::hello().await;
    for _ in 0..100_000 {
        raw.still_there().await;
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    // A client that measures its link pings with each answer, and gives back the window of each.
    for stream in 0..20_000_u32 {
        let id = stream * 2 + 1;
        raw.say(HEADERS, HEADERS_END | END, id, &post("/same")).await;
        raw.until(|frame| frame.stream == id && frame.flags == 5).await;
        raw.say(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 5]).await;
        raw.still_there().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_whose_deadlines_pass_are_a_clients_right() {
    let mut raw = Raw::hello().await;
    for round in 0..100_u32 {
        let ids = (round * 100..(round + 1) * 100).map(|stream| stream * 2 + 1);
        for id in ids.clone() {
            raw.say(HEADERS, HEADERS_END | END, id, &post("/hold")).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        for id in ids {
            raw.say(RST_STREAM, 0, id, &[0, 0, 0, 8]).await;
        }
        raw.still_there().await;
    }
}

/// How many pings, each so long after the one before, are answered before the client is sent away; all of them if it is not.
async fn answered(policy: PingPolicy, pause: Duration, path: Option<&str>, most: usize) -> usize {
    let mut raw = Raw::new(Settings { pings: Some(policy), ..SETTINGS_OF_TESTS }, 1 << 20);
    raw.say(SETTINGS, 0, 0, &[]).await;
    if let Some(path) = path {
        raw.say(HEADERS, HEADERS_END | END, 1, &post(path)).await;
        raw.state.has(usize::from(path == "/hold")).await;
    }
    for count in 0..most {
        raw.say(PING, 0, 0, b"hear me?").await;
        let frame = raw.until(|frame| frame.kind == PING || frame.kind == GOAWAY).await;
        if frame.kind == GOAWAY {
            assert_eq!(
                (frame.payload[7], &frame.payload[8..]),
                (ENHANCE_YOUR_CALM as u8, &b"too_many_pings"[..])
            );
            return count;
        }
        tokio::time::sleep(pause).await;
    }
    most
}

#[tokio::test(start_paused = true)]
async fn a_policy_sends_those_away_who_ping_too_often_three_times() {
    let minute = Duration::from_secs(60);
    let strict = PingPolicy { min_time: minute, without_stream: false };
    let lenient = PingPolicy { min_time: minute, without_stream: true };
    let soon = minute - Duration::from_secs(1);
    // Two hours without a request, unless that is permitted.
    assert_eq!(answered(strict, minute, None, 20).await, 3);
    assert_eq!(answered(strict, 120 * minute, None, 20).await, 20);
    assert_eq!(answered(lenient, soon, None, 20).await, 3);
    assert_eq!(answered(lenient, minute, None, 20).await, 20);
    assert_eq!(answered(strict, soon, Some("/hold"), 20).await, 3);
    assert_eq!(answered(strict, minute, Some("/hold"), 20).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_ping_with_each_answer_is_within_every_policy() {
    let policy = PingPolicy { min_time: Duration::from_secs(60), without_stream: false };
    let mut raw = Raw::new(Settings { pings: Some(policy), ..SETTINGS_OF_TESTS }, 1 << 20);
    raw.say(SETTINGS, 0, 0, &[]).await;
    for request in 0..50 {
        raw.say(HEADERS, HEADERS_END | END, request * 2 + 1, &post("/ignore")).await;
        raw.until(|frame| frame.kind == HEADERS).await;
        raw.still_there().await;
    }
}
