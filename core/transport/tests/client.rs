//! Both clients against foreign servers (tonic, hyper) and ours, plain and by TLS.
#![allow(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use streamgauge_harness::{Certs, OtlpSink, Reply as Told, Telemetry};
use streamgauge_transport::*;
use support::{LOGS_GRPC, LOGS_HTTP, SOON, logs, serve};

fn grpc(address: &str) -> GrpcClient {
    GrpcClient::new(Endpoint::parse(address).unwrap(), ClientOptions::default())
}

fn http(address: &str) -> HttpClient {
    HttpClient::new(Endpoint::parse(address).unwrap(), ClientOptions::default())
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

fn protobuf() -> HeaderMap {
    headers(&[("content-type", "application/x-protobuf")])
}

async fn export(client: &GrpcClient, parts: &[Bytes]) -> Result<GrpcAnswer, ClientError> {
    let message = Payload::new(parts.iter().cloned());
    client.unary(LOGS_GRPC, &HeaderMap::new(), message, None, Some(SOON)).await
}

#[tokio::test]
async fn parts_reach_tonic_as_one_request_in_every_packing() {
    let sink = OtlpSink::grpc();
    let client = grpc(&sink.addr());
    let parts = [logs(100_000), logs(10), logs(20_000)].map(|l| Bytes::from(l.encode_to_vec()));
    let whole = Payload::new(parts.clone()).into_bytes();
    let answer = export(&client, &parts).await.unwrap();
    assert_eq!((answer.status.code, answer.message.len()), (Code::Ok, 0));
    for (codec, name) in [(Codec::Gzip, "gzip"), (Codec::Zstd, "zstd")] {
        let packed = codec.pack(&whole, None).unwrap();
        let answer =
            client.unary(LOGS_GRPC, &headers(&[("x-key", "v")]), packed.into(), Some(name), None).await;
        assert_eq!(answer.unwrap().status.code, Code::Ok, "{name}");
    }
    let received = sink.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        let Telemetry::Logs(logs) = &request.body else { panic!("not logs") };
        assert_eq!(logs.encode_to_vec(), whole);
    }
    assert_eq!(received[2].headers["x-key"], "v");
    assert!(received[2].headers["user-agent"].starts_with("streamgauge/"));
}

#[tokio::test]
async fn a_foreign_refusal_is_understood_with_its_delay() {
    let sink = OtlpSink::grpc();
    let client = grpc(&sink.addr());
    sink.next(Told::retry_after(8, Duration::from_secs(3)));
    sink.next(Told::status(8));
    sink.next(Told::Partial { rejected: 2, message: "old".into() });
    let parts = [Bytes::from(logs(1).encode_to_vec())];
    let first = export(&client, &parts).await.unwrap().status;
    assert_eq!((first.code, first.retry_after), (Code::ResourceExhausted, Some(Duration::from_secs(3))));
    assert!(first.is_retryable());
    assert!(!export(&client, &parts).await.unwrap().status.is_retryable());
    let partial = PartialSuccess::decode(&export(&client, &parts).await.unwrap().message);
    assert_eq!(partial, Some(PartialSuccess { rejected: 2, message: "old".into() }));
}

#[tokio::test]
async fn an_unimplemented_service_of_tonic_is_a_status_and_not_an_error() {
    let sink = OtlpSink::grpc();
    let client = grpc(&sink.addr());
    let answer = client.unary("/no.Such/Thing", &HeaderMap::new(), Payload::default(), None, None).await;
    assert_eq!(answer.unwrap().status.code, Code::Unimplemented);
}

#[tokio::test]
async fn no_server_is_a_connect_error_and_a_silent_one_a_timeout() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let error = export(&grpc(&address), &[]).await.unwrap_err();
    assert_eq!(error.failure, Failure::Connect);
    assert!(error.message.contains(&address), "{error}");
    let error = http(&format!("http://{address}")).post("/", &protobuf(), Payload::default(), None).await;
    assert_eq!(error.unwrap_err().failure, Failure::Connect);

    let sink = OtlpSink::http();
    sink.always(Told::Stall(Duration::from_secs(60)));
    let short = Some(Duration::from_millis(50));
    let error = http(&sink.url()).post(LOGS_HTTP, &protobuf(), Payload::default(), short).await;
    assert_eq!(error.unwrap_err().failure, Failure::Timeout);
}

#[tokio::test]
async fn both_clients_connect_again_when_the_server_comes_back() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let address = server.local_addr().to_string();
    let (grpc, http) = (grpc(&address), http(&format!("http://{address}")));
    let none = HeaderMap::new();
    let post = || http.post(LOGS_HTTP, &none, Payload::default(), Some(SOON));
    assert_eq!(export(&grpc, &[]).await.unwrap().status.code, Code::Ok);
    post().await.unwrap();
    server.shutdown(SOON).await;

    let listener = Listener::bind(&address).await.unwrap();
    let _server = listener.serve(ServerOptions::default(), recorder);
    assert_eq!(export(&grpc, &[]).await.unwrap().status.code, Code::Ok);
    assert_eq!(post().await.unwrap().status, 415);
}

#[tokio::test]
async fn after_a_call_without_an_answer_the_next_one_gets_a_new_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = grpc(&listener.local_addr().unwrap().to_string());
    let mut silent = Vec::new();
    for _ in 0..2 {
        let short = Some(Duration::from_millis(50));
        let none = HeaderMap::new();
        let call = client.unary(LOGS_GRPC, &none, Payload::default(), None, short);
        // The peer takes the connection and says nothing, as one behind a dead link.
        let (answer, accepted) = tokio::join!(call, tokio::time::timeout(SOON, listener.accept()));
        assert_eq!(answer.unwrap_err().failure, Failure::Timeout);
        silent.push(accepted.unwrap().unwrap());
    }
}

#[tokio::test]
async fn a_hundred_posts_in_a_row_use_one_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = opened.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let echo = |request: hyper::Request<hyper::body::Incoming>| async {
                Ok::<_, std::convert::Infallible>(hyper::Response::new(request.into_body()))
            };
            let io = hyper_util::rt::TokioIo::new(stream);
            let service = hyper::service::service_fn(echo);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    let client = http(&url);
    for size in 0..100 {
        let parts = [Bytes::from(vec![1; size * 1000]), Bytes::from(vec![2; size])];
        let body = Payload::new(parts.clone());
        let answer = client.post("/x?y=1", &protobuf(), body, Some(SOON)).await.unwrap();
        assert!(answer.body == parts.concat(), "{size}");
    }
    assert_eq!(opened.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_is_cut_off_at_its_limit() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    recorder.answer(Reply::Ok(Bytes::from(vec![7; 100_000])));
    let endpoint = Endpoint::parse(&format!("http://{}", server.local_addr())).unwrap();
    let options = ClientOptions { max_answer: 1000, ..Default::default() };
    let client = HttpClient::new(endpoint.clone(), options.clone());
    for _ in 0..2 {
        let answer = client.post(LOGS_HTTP, &protobuf(), Payload::default(), Some(SOON)).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 1000));
    }
    let error = export(&GrpcClient::new(endpoint, options), &[]).await.unwrap_err();
    assert!(error.message.contains("the limit is 1000"), "{error}");
}

fn path(path: &std::path::Path) -> Option<String> {
    Some(path.to_str().unwrap().to_owned())
}

async fn over_tls(server: &Server, settings: &TlsClient) -> Result<Code, ClientError> {
    let address = format!("https://localhost:{}", server.local_addr().tcp().unwrap().port());
    let endpoint = Endpoint::parse(&address).unwrap();
    let options = |alpn: &[&str]| ClientOptions {
        tls: Some(settings.load(alpn).unwrap()),
        server_name: settings.server_name_override.clone(),
        ..Default::default()
    };
    // HTTP over TLS: with HTTP/2 by ALPN, and with HTTP/1.1 when that is all that is offered.
    for alpn in [&HTTP_ALPN[..], &["http/1.1"]] {
        let client = HttpClient::new(endpoint.clone(), options(alpn));
        for _ in 0..2 {
            let answer = client.post(LOGS_HTTP, &protobuf(), Payload::default(), Some(SOON)).await?;
            assert_eq!(answer.status, 200);
        }
    }
    let client = GrpcClient::new(endpoint, options(&GRPC_ALPN));
    Ok(export(&client, &[]).await?.status.code)
}

#[tokio::test]
async fn tls_checks_the_server_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::generate(dir.path());
    let other = tempfile::tempdir().unwrap();
    let other = Certs::generate(other.path());
    let tls = TlsServer {
        cert_file: path(&certs.server_cert),
        key_file: path(&certs.server_key),
        ..Default::default()
    };
    let (server, _) =
        serve(ServerOptions { tls: Some(tls.load(&ALPN).unwrap()), ..Default::default() }).await;
    let trusting = TlsClient { ca_file: path(&certs.ca), ..Default::default() };
    assert_eq!(over_tls(&server, &trusting).await.unwrap(), Code::Ok);
    let newest = TlsClient { min_version: Some(TlsVersion::V1_3), ..trusting.clone() };
    assert_eq!(over_tls(&server, &newest).await.unwrap(), Code::Ok);
    let oldest = TlsClient { max_version: Some(TlsVersion::V1_2), ..trusting.clone() };
    assert_eq!(over_tls(&server, &oldest).await.unwrap(), Code::Ok);

    let curves = vec!["P521".into(), "P384".into()];
    let suites =
        vec!["TLS_RSA_WITH_AES_128_CBC_SHA".into(), "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".into()];
    let choosy = TlsClient { cipher_suites: suites, curve_preferences: curves, ..oldest.clone() };
    assert_eq!(over_tls(&server, &choosy).await.unwrap(), Code::Ok);
    let foreign = vec!["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".into()]; // the certificate's key is an ECDSA one
    let foreign = TlsClient { cipher_suites: foreign, ..oldest.clone() };
    assert_eq!(over_tls(&server, &foreign).await.unwrap_err().failure, Failure::Connect);

    let misled = TlsClient { server_name_override: Some("elsewhere".into()), ..trusting };
    assert_eq!(over_tls(&server, &misled).await.unwrap_err().failure, Failure::Connect);
    let strange = TlsClient { ca_file: path(&other.ca), ..Default::default() };
    let error = over_tls(&server, &strange).await.unwrap_err();
    assert_eq!(error.failure, Failure::Connect);
    assert!(error.message.contains("invalid peer certificate"), "{error}");
    let text = std::fs::read_to_string(&certs.ca).unwrap();
    let inline = TlsClient { ca_pem: Some(text), ..Default::default() };
    assert_eq!(over_tls(&server, &inline).await.unwrap(), Code::Ok);
    let careless = TlsClient { insecure_skip_verify: true, ..Default::default() };
    assert_eq!(over_tls(&server, &careless).await.unwrap(), Code::Ok);
}

#[tokio::test]
async fn with_client_ca_file_only_clients_with_a_certificate_get_through() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::generate(dir.path());
    let tls = TlsServer {
        cert_file: path(&certs.server_cert),
        key_file: path(&certs.server_key),
        client_ca_file: path(&certs.ca),
        ..Default::default()
    };
    let (server, _) =
        serve(ServerOptions { tls: Some(tls.load(&ALPN).unwrap()), ..Default::default() }).await;
    let anonymous = TlsClient { ca_file: path(&certs.ca), ..Default::default() };
    assert!(over_tls(&server, &anonymous).await.is_err());
    let known =
        TlsClient { cert_file: path(&certs.client_cert), key_file: path(&certs.client_key), ..anonymous };
    assert_eq!(over_tls(&server, &known).await.unwrap(), Code::Ok);
}

#[test]
fn broken_tls_settings_name_the_key_and_the_file() {
    let missing = TlsClient { ca_file: Some("/no/such/ca.pem".into()), ..Default::default() };
    let error = missing.load(&[]).unwrap_err();
    assert_eq!(error.key, "ca_file");
    assert!(error.to_string().contains("/no/such/ca.pem"), "{error}");
    let half = TlsClient { cert_file: Some("x".into()), ..Default::default() };
    assert_eq!(half.problems()[0].0, "key_file");
    assert_eq!(TlsServer::default().problems()[0].0, "cert_file");
    let crossed = TlsClient {
        min_version: Some(TlsVersion::V1_3),
        max_version: Some(TlsVersion::V1_2),
        ..Default::default()
    };
    assert_eq!(crossed.problems()[0].0, "min_version");
    let weak = TlsClient { cipher_suites: vec!["TLS_RSA_WITH_RC4_128_SHA".into()], ..Default::default() };
    assert_eq!(weak.problems()[0].0, "cipher_suites");
    let curve = TlsServer { curve_preferences: vec!["P521".into()], ..Default::default() };
    assert_eq!(curve.problems()[1].0, "curve_preferences");
}

#[tokio::test]
async fn a_unix_socket_is_an_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("otlp.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer =
            |_| async { Ok::<_, std::convert::Infallible>(hyper::Response::new("hello".to_owned())) };
        let service = hyper::service::service_fn(answer);
        let io = hyper_util::rt::TokioIo::new(stream);
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.unwrap();
    });
    let client = http(&format!("unix://{}", socket.display()));
    let answer = client.post("/", &protobuf(), Payload::default(), Some(SOON)).await.unwrap();
    assert_eq!(answer.body, "hello");
}

/// How many requests came over each of the connections, least first.
fn loads(recorder: &support::Recorder) -> Vec<usize> {
    let mut loads = std::collections::HashMap::new();
    recorder.peers.lock().unwrap().iter().for_each(|peer| *loads.entry(peer.clone()).or_default() += 1);
    let mut loads: Vec<usize> = loads.into_values().collect();
    loads.sort_unstable();
    loads
}

#[tokio::test]
async fn calls_spread_over_connections_only_while_all_are_busy() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let endpoint = Endpoint::parse(&server.local_addr().to_string()).unwrap();
    let client = GrpcClient::new(endpoint, ClientOptions { connections: 3, ..Default::default() });
    for _ in 0..5 {
        assert_eq!(export(&client, &[]).await.unwrap().status.code, Code::Ok);
    }
    assert_eq!(loads(&recorder), [5], "one after the other there is one");

    recorder.peers.lock().unwrap().clear();
    recorder.hold.store(true, std::sync::atomic::Ordering::SeqCst);
    let release = async {
        while recorder.peers.lock().unwrap().len() < 7 {
            tokio::task::yield_now().await;
        }
        recorder.hold.store(false, std::sync::atomic::Ordering::SeqCst);
        loop {
            recorder.go.notify_waiters();
            tokio::task::yield_now().await;
        }
    };
    let calls = futures_util::future::join_all((0..7).map(|_| export(&client, &[])));
    let answers = tokio::select! {
        answers = calls => answers,
        () = release => unreachable!(),
    };
    assert!(answers.into_iter().all(|answer| answer.unwrap().status.code == Code::Ok));
    assert_eq!(loads(&recorder), [2, 2, 3]);
}

#[tokio::test]
async fn http_connections_are_bounded_and_kept_as_they_are_told() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let endpoint = Endpoint::parse(&format!("http://{}", server.local_addr())).unwrap();
    let three = async |options: ClientOptions| {
        recorder.peers.lock().unwrap().clear();
        let client = HttpClient::new(endpoint.clone(), options);
        let headers = protobuf();
        let post = || client.post(LOGS_HTTP, &headers, Payload::default(), Some(SOON));
        let answers = futures_util::future::join_all([post(), post(), post()]).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap().status == 200));
        post().await.unwrap();
        loads(&recorder)
    };
    assert_eq!(three(ClientOptions { max_connections: Some(1), ..Default::default() }).await, [4]);
    assert_eq!(three(ClientOptions { max_idle: 0, ..Default::default() }).await, [1, 1, 1, 1]);
}
