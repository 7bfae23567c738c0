//! The gRPC server against tonic's client, and against a client that cuts its frames badly.
#![allow(clippy::unwrap_used, reason = "a helper that fails must fail its test")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message as _;
use streamgauge_transport::*;
use support::{logs, serve};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

async fn channel(server: &Server) -> Channel {
    Channel::from_shared(format!("http://{}", server.local_addr())).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn what_tonic_sends_arrives_in_every_packing() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let client = LogsServiceClient::new(channel(&server).await);
    let packed = |encoding| client.clone().send_compressed(encoding).accept_compressed(encoding);
    // 300 KB comes in many frames of 16 KiB, 10 B in one.
    for size in [10, 300_000] {
        client.clone().export(logs(size)).await.unwrap();
        packed(CompressionEncoding::Gzip).export(logs(size)).await.unwrap();
        packed(CompressionEncoding::Zstd).export(logs(size)).await.unwrap();
        let expected = Bytes::from(logs(size).encode_to_vec());
        let bodies = std::mem::take(&mut *recorder.bodies.lock().unwrap());
        assert!(bodies == vec![expected; 3], "{size}");
    }
    let requests = recorder.requests.lock().unwrap();
    assert!(requests.iter().all(|(protocol, ..)| *protocol == Protocol::Grpc));
}

#[tokio::test]
async fn the_answers_message_and_the_clients_deadline_pass_through() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let partial = PartialSuccess { rejected: 3, message: "too old".into() };
    recorder.answer(Reply::Ok(partial.encode()));
    let mut request = tonic::Request::new(logs(1));
    request.set_timeout(Duration::from_secs(7));
    let answer = LogsServiceClient::new(channel(&server).await).export(request).await.unwrap();
    let theirs = answer.into_inner().partial_success.unwrap();
    assert_eq!((theirs.rejected_log_records, &*theirs.error_message), (3, "too old"));
    assert_eq!(recorder.requests.lock().unwrap()[0].2, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_refusal_carries_code_message_and_delay() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let refusal = Status::new(Code::ResourceExhausted, "queue is full: 100 %");
    recorder.answer(Reply::Refused(refusal.clone().retry_after(Duration::from_millis(1500))));
    let error = LogsServiceClient::new(channel(&server).await).export(logs(1)).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::ResourceExhausted);
    assert_eq!(error.message(), refusal.message);
    assert_eq!(Status::decode(error.details()).retry_after, Some(Duration::from_millis(1500)));
}

#[tokio::test]
async fn unknown_services_are_unimplemented() {
    let (server, _) = serve(ServerOptions::default()).await;
    let mut client = MetricsServiceClient::new(channel(&server).await);
    let error = client.export(tonic::Request::new(Default::default())).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unimplemented);
}

#[tokio::test]
async fn a_message_above_the_limit_and_a_bomb_are_resource_exhausted_and_the_connection_lives() {
    let (server, recorder) = serve(ServerOptions { grpc: Some(100_000), ..Default::default() }).await;
    let client = LogsServiceClient::new(channel(&server).await);
    let plain = client.clone().export(logs(200_000)).await.unwrap_err();
    let packed = client.clone().send_compressed(CompressionEncoding::Gzip);
    let bomb = packed.clone().export(logs(50_000_000)).await.unwrap_err();
    for error in [plain, bomb] {
        assert_eq!(error.code(), tonic::Code::ResourceExhausted, "{error}");
    }
    packed.clone().export(logs(99_000)).await.unwrap();
    assert_eq!(recorder.bodies().len(), 1);
    assert_eq!(recorder.refused.lock().unwrap().len(), 2);
}

/// Calls with a body of exactly these DATA frames; the gRPC status, or `None` without one.
async fn call_with_frames(server: &Server, frames: Vec<Vec<u8>>, headers: &[(&str, &str)]) -> Option<String> {
    let tcp = tokio::net::TcpStream::connect(server.local_addr().tcp().unwrap()).await.unwrap();
    let io = TokioIo::new(tcp);
    let (mut sender, driver) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(driver);
    let frames = frames.into_iter().map(|f| Ok::<_, Infallible>(Frame::data(Bytes::from(f))));
    let mut request = hyper::Request::post(format!("http://x{}", support::LOGS_GRPC))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(StreamBody::new(stream::iter(frames))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.headers().get("grpc-status").cloned();
    let trailers = response.into_body().collect().await.unwrap().trailers().cloned();
    let status = status.or_else(|| trailers?.get("grpc-status").cloned())?;
    Some(status.to_str().unwrap().to_owned())
}

fn framed(message: &[u8], flag: u8) -> Vec<u8> {
    let mut body = vec![flag];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(message);
    body
}

#[tokio::test]
async fn a_prefix_cut_by_data_frames_is_put_together() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let body = framed(b"message", 0);
    for cut in 1..body.len() {
        let frames = vec![body[..cut].to_vec(), body[cut..].to_vec()];
        assert_eq!(call_with_frames(&server, frames, &[]).await.as_deref(), Some("0"), "{cut}");
    }
    let bytewise = body.iter().map(|byte| vec![*byte]).collect();
    assert_eq!(call_with_frames(&server, bytewise, &[]).await.as_deref(), Some("0"));
    assert!(recorder.bodies().iter().all(|b| b == "message"));
    assert_eq!(recorder.bodies().len(), body.len());
}

#[tokio::test]
async fn malformed_bodies_and_unknown_packings_are_refused_and_told_to_the_handler() {
    let (server, recorder) = serve(ServerOptions::default()).await;
    let invalid = Some("3");
    assert_eq!(call_with_frames(&server, vec![vec![0, 0]], &[]).await.as_deref(), invalid);
    assert_eq!(call_with_frames(&server, vec![], &[]).await.as_deref(), invalid);
    assert_eq!(call_with_frames(&server, vec![framed(b"x", 1)], &[]).await.as_deref(), invalid);
    let corrupt = vec![framed(b"not gzip", 1)];
    assert_eq!(call_with_frames(&server, corrupt, &[("grpc-encoding", "gzip")]).await.as_deref(), invalid);
    let lz4 = call_with_frames(&server, vec![framed(b"x", 1)], &[("grpc-encoding", "br")]).await;
    assert_eq!(lz4.as_deref(), Some("12"));
    let snappy = Codec::SnappyFramed.pack(b"message", None).unwrap();
    let snappy = vec![framed(&snappy, 1)];
    assert_eq!(call_with_frames(&server, snappy, &[("grpc-encoding", "snappy")]).await.as_deref(), Some("0"));
    assert_eq!(recorder.bodies(), ["message"]);
    assert_eq!(recorder.refused.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn empty_answers_do_not_end_the_connection_as_abuse() {
    // Peers count empty closing DATA frames and end the connection after about a hundred.
    let (server, _) = serve(ServerOptions::default()).await;
    let mut client = LogsServiceClient::new(channel(&server).await);
    for _ in 0..300 {
        client.export(logs(1)).await.unwrap();
    }
}
