//! hyper's client, as tonic has it, against a connection.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

mod support;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use streamgauge_http2::{Connection, Settings};
use support::{Paths, SETTINGS_OF_TESTS};

async fn client(settings: Settings) -> SendRequest<Full<Bytes>> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    // Small windows, so that answers have to wait for them.
    client.initial_stream_window_size(10_000).initial_connection_window_size(30_000);
    tokio::spawn(async move {
        let (mut ours, mut preface) = (ours, [0; 24]);
        tokio::io::AsyncReadExt::read_exact(&mut ours, &mut preface).await.unwrap();
        Connection::new(ours, BytesMut::new(), settings, Paths::default()).await
    });
    let (sender, driver) = client.handshake(TokioIo::new(theirs)).await.unwrap();
    tokio::spawn(driver);
    sender
}

async fn echo(mut sender: SendRequest<Full<Bytes>>, body: Bytes) {
    let request = hyper::Request::post("http://x/echo").body(Full::new(body.clone())).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-secret"].is_sensitive()), (200, false));
    let answer = answer.into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-after"], "t");
    assert!(answer.to_bytes() == body);
}

async fn bodies_of_all_sizes(settings: Settings) {
    let sender = client(settings).await;
    for round in 0..3 {
        let sizes = (0..60).map(|size| match size % 4 {
            0 => size * 10_000,
            1 => size,
            2 => 16 << 10,
            _ => 0,
        });
        let all = join_all(sizes.map(|size| echo(sender.clone(), vec![round; size].into())));
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("no answer waits for ever");
    }
}

#[tokio::test]
async fn many_bodies_of_all_sizes_come_back_on_one_thread() {
    bodies_of_all_sizes(SETTINGS_OF_TESTS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_on_several_threads_with_the_smallest_windows() {
    bodies_of_all_sizes(Settings { stream_window: 65_535, connection_window: 65_535, ..SETTINGS_OF_TESTS })
        .await;
}
