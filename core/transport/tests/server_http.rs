//! The HTTP server: statuses, texts, limits, and how it ends.
#![allow(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod support;

use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_harness::http;
use streamgauge_transport::*;
use support::{SOON, serve};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

async fn send(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> http::Answer {
    let url = format!("http://{}{path}", server.local_addr());
    let owned: Vec<(String, String)> = headers.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    let (method, body) = (method.to_owned(), body.to_vec());
    let request = move || {
        let headers: Vec<(&str, &str)> = owned.iter().map(|(n, v)| (&**n, &**v)).collect();
        http::request(&method, &url, &headers, &body).unwrap()
    };
    tokio::task::spawn_blocking(request).await.unwrap()
}

#[tokio::test]
async fn bodies_arrive_in_every_packing_and_the_answer_is_protobuf() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let body = vec![b'x'; 200_000];
    let packed = [
        ("identity", Bytes::from(body.clone())),
        ("gzip", Codec::Gzip.pack(&body, None).unwrap()),
        ("zstd", Codec::Zstd.pack(&body, None).unwrap()),
        ("deflate", Codec::Zlib.pack(&body, None).unwrap()),
        ("snappy", Codec::SnappyBlock.pack(&body, None).unwrap()),
        ("x-snappy-framed", Codec::SnappyFramed.pack(&body, None).unwrap()),
        ("lz4", Codec::Lz4.pack(&body, None).unwrap()),
    ];
    for (encoding, bytes) in packed {
        let headers = [("content-type", "application/x-protobuf; v=1"), ("content-encoding", encoding)];
        let answer = send(&server, "POST", "/v1/logs", &headers, &bytes).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{encoding}");
        assert_eq!(answer.headers["content-type"], "application/x-protobuf");
        assert!(recorder.bodies().pop().unwrap() == body, "{encoding}");
    }
}

#[tokio::test]
async fn wrong_methods_types_paths_and_encodings_have_their_statuses_and_texts() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let answer = send(&server, "GET", "/v1/logs", &[], b"").await;
    assert_eq!((answer.status, &*answer.text()), (405, "405 method not allowed, supported: [POST]"));
    assert_eq!(answer.headers["allow"], "POST");
    let answer = send(&server, "POST", "/v1/logs", &[("content-type", "text/csv")], b"").await;
    let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    assert_eq!((answer.status, &*answer.text()), (415, text));
    assert_eq!(send(&server, "POST", "/v1/other", &[PROTOBUF], b"").await.status, 404);
    let encoded = [PROTOBUF, ("content-encoding", "br")];
    assert_eq!(send(&server, "POST", "/v1/logs", &encoded, b"x").await.status, 415);
    let corrupt = send(&server, "POST", "/v1/logs", &[PROTOBUF, ("content-encoding", "gzip")], b"x").await;
    assert_eq!(corrupt.status, 400);
    assert_eq!(Status::decode(&corrupt.body).code, Code::InvalidArgument);
    assert!(recorder.bodies().is_empty());
}

#[tokio::test]
async fn only_the_configured_codings_are_taken() {
    let codings = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    for (taken, plain, gzip, zstd) in [
        (None, 200, 200, 200),
        (codings(&["", "gzip"]), 200, 200, 415),
        (codings(&["zstd"]), 415, 415, 200),
        (codings(&[]), 415, 415, 415),
    ] {
        let (server, recorder) = serve(ServerOptions { codings: taken, ..Default::default() }).await;
        for (name, expected) in [("identity", plain), ("", plain), ("gzip", gzip), ("zstd", zstd)] {
            let packed = match Codec::from_name(name).unwrap() {
                Some(codec) => codec.pack(b"body", None).unwrap(),
                None => Bytes::from_static(b"body"),
            };
            let answer =
                send(&server, "POST", "/v1/logs", &[PROTOBUF, ("content-encoding", name)], &packed).await;
            assert_eq!(answer.status, expected, "{name}");
        }
        assert!(recorder.bodies().iter().all(|body| body == "body"));
        let refused = recorder.refused.lock().unwrap();
        assert!(refused.iter().all(|status| status.message.contains("accepted here")), "{refused:?}");
    }
}

#[tokio::test]
async fn json_is_answered_in_json_also_when_the_transport_refuses() {
    let (server, recorder) = serve(ServerOptions { http: Some(1000), ..Default::default() }).await;
    recorder.answer(Reply::Ok(Bytes::from_static(b"{}")));
    const JSON: (&str, &str) = ("content-type", "Application/JSON; charset=utf-8");
    let answer = send(&server, "POST", "/v1/logs", &[JSON], b"{\"a\":1}").await;
    assert_eq!(
        (answer.status, &*answer.text(), &*answer.headers["content-type"]),
        (200, "{}", "application/json")
    );
    assert_eq!(recorder.bodies(), [&b"{\"a\":1}"[..]]);
    let answer = send(&server, "POST", "/v1/logs", &[JSON], &[b' '; 1001]).await;
    assert_eq!((answer.status, &*answer.headers["content-type"]), (413, "application/json"));
    assert!(
        answer.text().starts_with("{\"code\":8,\"message\":\"request body too large"),
        "{}",
        answer.text()
    );
    let delayed = Status::new(Code::Unavailable, "not now").retry_after(Duration::from_millis(1500));
    recorder.answer(Reply::Refused(delayed));
    let answer = send(&server, "POST", "/v1/logs", &[JSON], b"{}").await;
    assert_eq!((answer.status, &*answer.headers["retry-after"]), (503, "2"));
    assert!(answer.text().contains(r#""retryDelay":"1.500000000s""#), "{}", answer.text());
}

#[tokio::test]
async fn a_body_above_the_limit_and_a_bomb_are_413() {
    let (server, recorder) = serve(ServerOptions { http: Some(1 << 20), ..Default::default() }).await;
    let large = vec![0; 10 << 20];
    let plain = send(&server, "POST", "/v1/logs", &[PROTOBUF], &large[..2 << 20]).await;
    let bomb = Codec::Gzip.pack(&large, Some(6)).unwrap();
    let bomb = send(&server, "POST", "/v1/logs", &[PROTOBUF, ("content-encoding", "gzip")], &bomb).await;
    for answer in [plain, bomb] {
        assert_eq!(answer.status, 413);
        assert_eq!(Status::decode(&answer.body).code, Code::ResourceExhausted);
    }
    assert_eq!(send(&server, "POST", "/v1/logs", &[PROTOBUF], &large[..1 << 20]).await.status, 200);
    assert_eq!(recorder.refused.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_chunked_body_above_the_limit_is_413_too() {
    let (server, _) = serve(ServerOptions { http: Some(1 << 20), ..Default::default() }).await;
    let address = server.local_addr().tcp().unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                    transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = [&b"10000\r\n"[..], &[0; 1 << 16], b"\r\n"].concat();
        for _ in 0..20 {
            stream.write_all(&chunk).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn refusals_have_the_collectors_status_and_a_delay_only_where_it_means_something() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let delay = Duration::from_millis(1200);
    for (code, status, retry_after) in [
        (Code::ResourceExhausted, 429, Some("2")),
        (Code::Unavailable, 503, Some("2")),
        (Code::InvalidArgument, 400, None),
        (Code::Internal, 500, None),
        (Code::Unauthenticated, 401, None),
    ] {
        let refusal = Status::new(code, "why").retry_after(delay);
        recorder.answer(Reply::Refused(refusal.clone()));
        let answer = send(&server, "POST", "/v1/logs", &[PROTOBUF], b"").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers.get("retry-after").map(String::as_str), retry_after);
        assert_eq!(Status::decode(&answer.body), refusal);
        assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    }
}

#[tokio::test]
async fn a_port_for_grpc_alone_says_so_and_one_for_http_alone_refuses_grpc() {
    let (server, _) = serve(ServerOptions { http: None, ..Default::default() }).await;
    let answer = send(&server, "POST", "/v1/logs", &[PROTOBUF], b"").await;
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains("gRPC only"));
    let (server, _) = serve(ServerOptions { grpc: None, ..Default::default() }).await;
    let answer = send(&server, "POST", "/v1/logs", &[("content-type", "application/grpc")], b"").await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn an_address_in_use_is_named_in_the_error() {
    let first = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().to_string();
    let error = Listener::bind(&address).await.unwrap_err();
    assert_eq!(error.to_string(), format!("listen tcp {address}: bind: address already in use"));
    let error = Listener::bind("127.0.0.1").await.unwrap_err().to_string();
    assert!(error.starts_with("listen tcp 127.0.0.1: "), "{error}");
}

#[tokio::test]
async fn localhost_is_bound_on_ipv4_and_an_empty_host_everywhere() {
    assert!(Listener::bind("localhost:0").await.unwrap().local_addr().tcp().unwrap().is_ipv4());
    assert!(Listener::bind(":0").await.unwrap().local_addr().tcp().unwrap().ip().is_unspecified());
}

#[tokio::test]
async fn after_stop_intake_a_request_under_way_is_answered_and_new_connections_are_refused() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    recorder.hold.store(true, Ordering::SeqCst);
    let address = server.local_addr().tcp().unwrap();
    let url = format!("http://{address}/v1/logs");
    let waiting = tokio::task::spawn_blocking(move || http::post(&url, PROTOBUF.1, b"x").unwrap());
    recorder.arrived.notified().await;
    server.stop_intake();
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, refused).await.unwrap();
    recorder.go.notify_one();
    assert_eq!(waiting.await.unwrap().status, 200);
    assert_eq!(server.shutdown(SOON).await, 0);
}

#[tokio::test]
async fn shutdown_cuts_what_is_not_answered_by_the_deadline() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    recorder.hold.store(true, Ordering::SeqCst);
    let url = format!("http://{}/v1/logs", server.local_addr());
    let waiting = tokio::task::spawn_blocking(move || http::post(&url, PROTOBUF.1, b"x"));
    recorder.arrived.notified().await;
    assert_eq!(server.shutdown(Duration::from_millis(20)).await, 1);
    assert!(waiting.await.unwrap().is_err());
}
