//! Connections that grow old, peers that have gone without a word, and how many requests one connection may have.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use streamgauge_transport::*;
use support::{LOGS_GRPC, SOON, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SHORT: Duration = Duration::from_millis(50);
/// What opens an HTTP/2 connection: the preface, and settings that change nothing.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

async fn hello(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr().tcp().unwrap()).await.unwrap();
    stream.write_all(HELLO).await.unwrap();
    stream
}

/// The next frame: its type and what is in it. `None` at the end.
async fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    tokio::time::timeout(SOON, stream.read_exact(&mut head)).await.expect("a frame or the end").ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], payload))
}

async fn kinds(stream: &mut TcpStream) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((kind, _)) = frame(stream).await {
        kinds.push(kind);
    }
    kinds
}

fn with(keepalive: KeepaliveServerParameters) -> ServerOptions {
    ServerOptions { keepalive, ..ServerOptions::default() }
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_let_go_when_it_does_not_answer() {
    let keepalive = KeepaliveServerParameters { time: SHORT, timeout: SHORT, ..Default::default() };
    let (server, _) = serve(with(keepalive)).await;
    let kinds = kinds(&mut hello(&server).await).await;
    assert!(kinds.contains(&PING), "{kinds:?}");
}

#[tokio::test]
async fn an_old_connection_is_asked_to_close_and_cut_when_its_grace_is_over() {
    let keepalive = KeepaliveServerParameters {
        max_connection_age: Some(SHORT),
        max_connection_age_grace: Some(SHORT),
        ..Default::default()
    };
    let (server, _) = serve(with(keepalive)).await;
    // This client hears it and stays all the same.
    let kinds = kinds(&mut hello(&server).await).await;
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
}

#[tokio::test]
async fn clients_are_told_how_many_requests_a_connection_may_have() {
    let (server, _) = serve(ServerOptions { max_concurrent_streams: Some(7), ..Default::default() }).await;
    let (kind, settings) = frame(&mut hello(&server).await).await.unwrap();
    assert_eq!(kind, SETTINGS);
    let setting = |number: u8| {
        let entry = settings.chunks(6).find(|entry| entry[..2] == [0, number])?;
        Some(u32::from_be_bytes(entry[2..].try_into().unwrap()))
    };
    assert_eq!(setting(3), Some(7), "MAX_CONCURRENT_STREAMS");
    assert_eq!(setting(5), Some(1 << 20), "MAX_FRAME_SIZE");
}

#[tokio::test]
async fn a_call_over_a_connection_whose_server_has_vanished_ends_by_pings() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let vanished = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&HELLO[24..]).await.unwrap();
        let mut everything = Vec::new();
        let _ended = stream.read_to_end(&mut everything).await;
    });
    let keepalive = KeepaliveClient { time: SHORT, timeout: SHORT, permit_without_stream: false };
    let options = ClientOptions { keepalive: Some(keepalive), ..Default::default() };
    let client = GrpcClient::new(Endpoint::parse(&address).unwrap(), options);
    let (body, none) = (Bytes::from_static(b"body").into(), HeaderMap::new());
    let call = client.unary(LOGS_GRPC, &none, body, None, None);
    let error = tokio::time::timeout(SOON, call).await.expect("the pings end it").unwrap_err();
    assert_eq!(error.failure, Failure::Broken, "{error}");
    drop(client);
    vanished.await.unwrap();
}

#[tokio::test]
async fn a_policy_for_pings_sends_those_away_who_ping_too_often() {
    let policy = KeepaliveEnforcement { permit_without_stream: true, ..Default::default() };
    let (server, _) = serve(ServerOptions { enforcement: Some(policy), ..Default::default() }).await;
    let mut stream = hello(&server).await;
    for _ in 0..4 {
        stream.write_all(b"\0\0\x08\x06\0\0\0\0\0hear me?").await.unwrap();
    }
    let mut last = None;
    while let Some(frame) = frame(&mut stream).await {
        last = Some(frame);
    }
    let (kind, said) = last.unwrap();
    assert!(kind == GOAWAY && said.ends_with(b"too_many_pings"), "{kind} {said:?}");
}
