//! The conformance test of HTTP/2 against a service that reads every body, with frames of the size that the test takes for granted.
//! The listener of `core/transport` answers what has no media type before its body comes: streams that a case wants open are closed
//! there, so that it depends on the moment whether the case means anything.
#![allow(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod support;

use bytes::BytesMut;
use streamgauge_harness::h2spec;
use streamgauge_http2::{Connection, PREFACE, Settings};
use support::{Paths, SETTINGS_OF_TESTS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_h2spec_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = Settings { frame: 16 << 10, ..SETTINGS_OF_TESTS };
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut preface = [0; PREFACE.len()];
                if stream.read_exact(&mut preface).await.is_ok() && preface == *PREFACE {
                    let _why = Connection::new(stream, BytesMut::new(), settings, Paths::default()).await;
                    return;
                }
                // A socket closed over unread bytes would be reset.
                let _closed = stream.shutdown().await;
                let _rest = stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    let (cases, failed) = tokio::task::spawn_blocking(move || h2spec(port, "/read")).await.unwrap();
    assert!(cases >= 145, "{cases}");
    assert_eq!(failed, Vec::<String>::new());
}
