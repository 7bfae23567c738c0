//! What a server's settings promise beside requests and answers: sockets, web pages, slow clients, changing certificates.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails must fail its test")]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use streamgauge_harness::{Certs, http};
use streamgauge_transport::*;
use support::{LOGS_GRPC, LOGS_HTTP, Recorder, SOON, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const SHORT: Duration = Duration::from_millis(100);

async fn send(server: &Server, method: &'static str, headers: &'static [(&str, &str)]) -> http::Answer {
    let url = format!("http://{}{LOGS_HTTP}", server.local_addr());
    tokio::task::spawn_blocking(move || http::request(method, &url, headers, b"").unwrap()).await.unwrap()
}

fn cors() -> ServerOptions {
    let cors = Cors {
        allowed_origins: vec!["https://*.example".into()],
        allowed_headers: vec!["X-Key".into()],
        exposed_headers: vec!["x-shown".into()],
        max_age: 600,
    };
    let response_headers = header_map([("x-shown", "yes"), ("content-type", "overridden")]).unwrap();
    ServerOptions { cors: Some(cors), response_headers, ..Default::default() }
}

#[tokio::test]
async fn web_pages_of_allowed_origins_hear_that_they_may_send_and_others_do_not() {
    let (server, recorder) = serve(cors()).await;
    let asks = |origin: &'static str, headers: &'static str| -> &'static [(&'static str, &'static str)] {
        Box::leak(Box::new([
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", headers),
        ]))
    };
    let answer = send(&server, "OPTIONS", asks("https://app.example", "content-type, x-key")).await;
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type, x-key"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    for (origin, headers) in [("https://app.evil", "content-type"), ("https://app.example", "x-other")] {
        let answer = send(&server, "OPTIONS", asks(origin, headers)).await;
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin} {headers}");
    }
    assert!(recorder.bodies().is_empty());

    let answer = send(&server, "POST", &[PROTOBUF, ("origin", "https://app.example")]).await;
    assert_eq!((answer.status, &*answer.headers["vary"]), (200, "Origin"));
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
    assert_eq!(answer.headers["access-control-expose-headers"], "x-shown");
    // Also where the request fails: the page is to read why.
    let answer = send(&server, "POST", &[("origin", "https://app.example")]).await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
    let answer = send(&server, "POST", &[PROTOBUF, ("origin", "https://app.evil")]).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn configured_headers_are_in_every_answer_that_does_not_have_its_own() {
    let (server, _) = serve(cors()).await;
    let answer = send(&server, "POST", &[PROTOBUF]).await;
    assert_eq!((&*answer.headers["x-shown"], &*answer.headers["content-type"]), ("yes", PROTOBUF.1));
    assert_eq!(send(&server, "GET", &[]).await.headers["x-shown"], "yes");
}

/// Sends a piece of a request and waits until the server closes. Returns what it said.
async fn stalls(server: &Server, piece: &str) -> String {
    let mut stream = TcpStream::connect(server.local_addr().tcp().unwrap()).await.unwrap();
    stream.write_all(piece.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // Closed over unread bytes, a socket may be reset.
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await.expect("the server closes");
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_head_a_body_and_silence_that_take_too_long_end_the_connection() {
    const HEAD: &str = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let with = |timeouts| ServerOptions { timeouts, ..Default::default() };
    let (head, _) = serve(with(Timeouts { read_header: Some(SHORT), ..Default::default() })).await;
    assert_eq!(stalls(&head, HEAD).await, "");
    let url = format!("http://{}{LOGS_HTTP}", head.local_addr());
    let whole = tokio::task::spawn_blocking(move || http::post(&url, PROTOBUF.1, b"x").unwrap());
    assert_eq!(whole.await.unwrap().status, 200);

    let (body, recorder) = serve(with(Timeouts { read: Some(SHORT), ..Default::default() })).await;
    let said = stalls(&body, &format!("{HEAD}connection: close\r\ncontent-length: 9\r\n\r\n1234")).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert_eq!(recorder.refused.lock().unwrap()[0].code, Code::DeadlineExceeded);

    let (idle, _) = serve(with(Timeouts { idle: Some(SHORT), ..Default::default() })).await;
    assert_eq!(stalls(&idle, "").await, "");
    let start = Instant::now();
    let said = stalls(&idle, &format!("{HEAD}content-length: 1\r\n\r\nx")).await;
    assert!(said.starts_with("HTTP/1.1 200 ") && start.elapsed() >= SHORT, "{said}");
}

#[tokio::test]
async fn without_keep_alives_each_connection_has_one_request() {
    let (server, _) = serve(ServerOptions { keep_alive: false, ..Default::default() }).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    let said = stalls(&server, head).await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("connection: close"), "{said}");
}

#[tokio::test]
async fn an_idle_http2_connection_is_asked_to_close() {
    let timeouts = Timeouts { idle: Some(SHORT), ..Default::default() };
    let (server, _) = serve(ServerOptions { timeouts, ..Default::default() }).await;
    let tcp = TcpStream::connect(server.local_addr().tcp().unwrap()).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(tcp);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, driver) = hyper::client::conn::http2::handshake::<_, _, String>(executor, io).await.unwrap();
    tokio::time::timeout(SOON, driver).await.expect("the server closes").unwrap();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn a_unix_socket_takes_both_protocols_replaces_a_dead_file_and_goes_with_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otlp.sock");
    let text = path.to_str().unwrap();
    // Left behind by a process that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let recorder = Recorder::new();
    let server = Listener::bind_unix(text).unwrap().serve(ServerOptions::default(), recorder.clone());
    let error = Listener::bind_unix(text).unwrap_err().to_string();
    assert_eq!(error, format!("listen unix {text}: bind: address already in use"));

    let endpoint = Endpoint::parse(&format!("unix://{text}")).unwrap();
    let http = HttpClient::new(endpoint.clone(), ClientOptions::default());
    let headers = header_map([PROTOBUF]).unwrap();
    let answer = http.post(LOGS_HTTP, &headers, Bytes::from_static(b"a").into(), Some(SOON)).await;
    assert_eq!(answer.unwrap().status, 200);
    let grpc = GrpcClient::new(endpoint, ClientOptions::default());
    let none = HeaderMap::new();
    let call = grpc.unary(LOGS_GRPC, &none, Bytes::from_static(b"b").into(), None, Some(SOON));
    assert_eq!(call.await.unwrap().status.code, Code::Ok);
    assert_eq!(recorder.bodies(), ["a", "b"]);
    server.shutdown(SHORT).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn changed_certificates_are_used_for_new_connections_by_server_and_client() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::generate(dir.path());
    let text = |path: &std::path::Path| Some(path.to_str().unwrap().to_owned());
    let tls = TlsServer {
        cert_file: text(&certs.server_cert),
        key_file: text(&certs.server_key),
        client_ca_file: text(&certs.ca),
        reload_interval: Some(Duration::ZERO),
        ..Default::default()
    };
    let tls = Some(tls.load(&ALPN).unwrap());
    let (server, _) = serve(ServerOptions { tls, ..Default::default() }).await;
    let port = server.local_addr().tcp().unwrap().port();
    let settings = TlsClient {
        ca_file: text(&certs.ca),
        cert_file: text(&certs.client_cert),
        key_file: text(&certs.client_key),
        reload_interval: Some(Duration::ZERO),
        ..Default::default()
    };
    let tls = settings.load(&GRPC_ALPN).unwrap();
    let call = async || {
        let endpoint = Endpoint::parse(&format!("localhost:{port}")).unwrap();
        let options = ClientOptions { tls: Some(tls.clone()), ..Default::default() };
        let client = GrpcClient::new(endpoint, options);
        let none = HeaderMap::new();
        let call = client.unary(LOGS_GRPC, &none, Payload::default(), None, Some(SOON));
        call.await.map(|answer| answer.status.code)
    };
    assert_eq!(call().await.unwrap(), Code::Ok);
    let old = std::fs::read(&certs.ca).unwrap();
    // A new authority with new pairs: server and client read all of them, or they would not know each other.
    Certs::generate(dir.path());
    assert_eq!(call().await.unwrap(), Code::Ok);
    // A client that trusts only the old one no longer knows the server.
    std::fs::write(&certs.ca, old).unwrap();
    assert_eq!(call().await.unwrap_err().failure, Failure::Connect);
}
