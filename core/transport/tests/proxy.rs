//! Clients behind a proxy: plain HTTP is forwarded, everything else goes through a tunnel; cookies; waiting for a server.
#![allow(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use streamgauge_harness::Certs;
use streamgauge_transport::*;
use support::{LOGS_GRPC, LOGS_HTTP, SOON, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that knows one server, whatever its clients ask for, and asks for `user:pass`.
struct TestProxy {
    address: String,
    /// The heads of the requests that it was sent.
    heads: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, server) = (heads.clone(), server.local_addr().tcp().unwrap());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, seen.clone()));
            }
        });
        TestProxy { address, heads }
    }

    fn shown(&self, user: &str) -> Proxy {
        Proxy::parse(&format!("http://{user}@{}", self.address), &TlsClient::default()).unwrap()
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn pass(mut client: TcpStream, server: std::net::SocketAddr, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    seen.lock().unwrap().push(head.clone());
    if !head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz\r\n") {
        client.write_all(b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        return;
    }
    let mut server = TcpStream::connect(server).await.unwrap();
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    } else {
        server.write_all(head.as_bytes()).await.unwrap();
    }
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

fn protobuf() -> HeaderMap {
    [(HeaderName::from_static("content-type"), HeaderValue::from_static("application/x-protobuf"))]
        .into_iter()
        .collect()
}

fn body() -> Payload {
    Bytes::from_static(b"body").into()
}

#[tokio::test]
async fn plain_http_is_forwarded_with_the_whole_url_and_the_proxys_credentials() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let proxy = TestProxy::before(&server).await;
    let options = ClientOptions { proxy: Some(proxy.shown("user:pass")), ..Default::default() };
    let client = HttpClient::new(Endpoint::parse("http://far.example:4318").unwrap(), options);
    for _ in 0..2 {
        let answer = client.post(LOGS_HTTP, &protobuf(), body(), Some(SOON)).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(recorder.bodies(), ["body", "body"]);
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "the connection is kept");
    assert!(heads[0].starts_with("POST http://far.example:4318/v1/logs HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("host: far.example:4318\r\n"), "{heads:?}");
}

#[tokio::test]
async fn grpc_and_tls_go_through_a_tunnel_that_sees_none_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::generate(dir.path());
    let tls = TlsServer {
        cert_file: Some(path(&certs.server_cert)),
        key_file: Some(path(&certs.server_key)),
        ..Default::default()
    };
    let options = ServerOptions { tls: Some(tls.load(&ALPN).unwrap()), ..Default::default() };
    let ((plain, seen), (secure, behind_tls)) = (serve(ServerOptions::default()).await, serve(options).await);

    let proxy = TestProxy::before(&plain).await;
    let options = ClientOptions { proxy: Some(proxy.shown("user:pass")), ..Default::default() };
    let client = GrpcClient::new(Endpoint::parse("far.example:4317").unwrap(), options);
    let answer = client.unary(LOGS_GRPC, &HeaderMap::new(), body(), None, Some(SOON)).await.unwrap();
    assert_eq!(answer.status.code, Code::Ok);
    assert_eq!(seen.bodies(), ["body"]);
    let heads = proxy.heads();
    assert!(heads[0].starts_with("CONNECT far.example:4317 HTTP/1.1\r\n"), "{heads:?}");

    let proxy = TestProxy::before(&secure).await;
    let trust = TlsClient { ca_file: Some(path(&certs.ca)), ..Default::default() };
    let options = ClientOptions {
        tls: Some(trust.load(&HTTP_ALPN).unwrap()),
        server_name: Some("localhost".into()),
        proxy: Some(proxy.shown("user:pass")),
        ..Default::default()
    };
    let client = HttpClient::new(Endpoint::parse("https://far.example").unwrap(), options);
    assert_eq!(client.post(LOGS_HTTP, &protobuf(), body(), Some(SOON)).await.unwrap().status, 200);
    assert_eq!(behind_tls.bodies(), ["body"]);
    assert!(proxy.heads()[0].starts_with("CONNECT far.example:443 HTTP/1.1\r\n"));
}

fn path(path: &std::path::Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_what_it_says_and_no_password_is_shown() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let proxy = TestProxy::before(&server).await;
    let options = ClientOptions { proxy: Some(proxy.shown("user:hunter2")), ..Default::default() };
    let client = GrpcClient::new(Endpoint::parse("far.example:4317").unwrap(), options.clone());
    let error = client.unary(LOGS_GRPC, &HeaderMap::new(), body(), None, Some(SOON)).await.unwrap_err();
    assert_eq!(error.failure, Failure::Connect);
    let expected = format!("proxy {}: no way to far.example:4317: it answered 407", proxy.address);
    assert!(error.message.contains(&expected) && !error.message.contains("hunter2"), "{error}");
    let client = HttpClient::new(Endpoint::parse("http://far.example").unwrap(), options);
    let answer = client.post(LOGS_HTTP, &protobuf(), body(), Some(SOON)).await.unwrap();
    assert_eq!((answer.status.as_u16(), recorder.bodies().len()), (407, 0));
}

#[tokio::test]
async fn cookies_of_an_answer_are_shown_with_the_next_request() {
    let response_headers = header_map([("set-cookie", "lb=n7; Path=/")]).unwrap();
    let (server, recorder) = serve(ServerOptions { response_headers, ..Default::default() }).await;
    let endpoint = Endpoint::parse(&format!("http://{}", server.local_addr())).unwrap();
    let options = ClientOptions { cookies: Some(Arc::default()), ..Default::default() };
    for (options, expected) in [(options, Some("lb=n7")), (ClientOptions::default(), None)] {
        let client = HttpClient::new(endpoint.clone(), options);
        for _ in 0..2 {
            client.post(LOGS_HTTP, &protobuf(), body(), Some(SOON)).await.unwrap();
        }
        let mut requests = recorder.requests.lock().unwrap();
        let cookies: Vec<_> =
            requests.drain(..).map(|(_, headers, _)| headers.get("cookie").cloned()).collect();
        assert_eq!(cookies[0], None);
        assert_eq!(cookies[1].as_ref().map(|cookie| cookie.to_str().unwrap()), expected);
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_server_gets_through_when_it_comes_and_ends_with_its_timeout() {
    let address = streamgauge_harness::free_port();
    let address = format!("127.0.0.1:{address}");
    let options = ClientOptions { wait_for_ready: true, ..Default::default() };
    let client = Arc::new(GrpcClient::new(Endpoint::parse(&address).unwrap(), options));
    let call = |limit| {
        let client = client.clone();
        tokio::spawn(
            async move { client.unary(LOGS_GRPC, &HeaderMap::new(), body(), None, Some(limit)).await },
        )
    };
    let early = call(Duration::from_millis(50)).await.unwrap().unwrap_err();
    assert_eq!(early.failure, Failure::Timeout);
    let waiting = call(SOON);
    tokio::task::yield_now().await;
    let recorder = support::Recorder::new();
    let _server = Listener::bind(&address).await.unwrap().serve(ServerOptions::default(), recorder.clone());
    assert_eq!(waiting.await.unwrap().unwrap().status.code, Code::Ok);
    assert_eq!(recorder.bodies(), ["body"]);
}
