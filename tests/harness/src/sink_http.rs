//! The HTTP side of a sink, on hyper.

use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use crate::sink::Shared;
use crate::{Reply, Telemetry};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept a connection");
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            // A client that goes away mid-request is no failure of the sink.
            let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return plain(400, "the body broke off") };
    let encoding = head.headers.get("content-encoding").and_then(|v| v.to_str().ok()).unwrap_or("identity");
    let Some(body) = decompress(encoding, &body.to_bytes()) else { return plain(400, "bad compression") };
    let content_type = head.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let json = content_type == JSON;
    let telemetry = match head.uri.path() {
        "/v1/traces" => decode(json, &body).map(Telemetry::Traces),
        "/v1/metrics" => decode(json, &body).map(Telemetry::Metrics),
        "/v1/logs" => decode(json, &body).map(Telemetry::Logs),
        _ => return plain(404, "no such path"),
    };
    let Some(telemetry) = telemetry else { return plain(400, "not OTLP") };
    let headers = head.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    match shared.take(headers.collect(), telemetry).await {
        Reply::Ok | Reply::Stall(_) | Reply::Hold if json => message(200, JSON, "{\"partialSuccess\":{}}"),
        Reply::Ok | Reply::Stall(_) | Reply::Hold => message(200, PROTOBUF, Vec::new()),
        Reply::Partial { rejected, message: words } => partial(head.uri.path(), json, rejected, words),
        Reply::Status { code, retry_after } => {
            let mut response = match json {
                true => message(code, JSON, "{\"code\":3,\"message\":\"told to refuse\"}"),
                false => plain(code, "told to refuse"),
            };
            if let Some(delay) = retry_after {
                response.headers_mut().insert("retry-after", delay.as_secs().into());
            }
            response
        }
    }
}

/// JSON is read by the official types' serde, which is nobody's code under test.
fn decode<M: Message + Default + DeserializeOwned>(json: bool, body: &[u8]) -> Option<M> {
    match json {
        true => serde_json::from_slice(body).ok(),
        false => M::decode(body).ok(),
    }
}

fn partial(path: &str, json: bool, rejected: i64, error_message: String) -> Response<Full<Bytes>> {
    match path {
        "/v1/traces" => {
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans: rejected, error_message });
            encode(json, &ExportTraceServiceResponse { partial_success })
        }
        "/v1/metrics" => {
            let partial_success =
                Some(ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message });
            encode(json, &ExportMetricsServiceResponse { partial_success })
        }
        _ => {
            let partial_success =
                Some(ExportLogsPartialSuccess { rejected_log_records: rejected, error_message });
            encode(json, &ExportLogsServiceResponse { partial_success })
        }
    }
}

fn encode<M: Message + Serialize>(json: bool, answer: &M) -> Response<Full<Bytes>> {
    match json {
        true => message(200, JSON, serde_json::to_vec(answer).expect("an answer as JSON")),
        false => message(200, PROTOBUF, answer.encode_to_vec()),
    }
}

fn decompress(encoding: &str, body: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        "identity" => Some(body.to_vec()),
        "gzip" => {
            let mut out = Vec::new();
            flate2::read::MultiGzDecoder::new(body).read_to_end(&mut out).ok()?;
            Some(out)
        }
        "zstd" => zstd::decode_all(body).ok(),
        _ => None,
    }
}

fn plain(status: u16, text: &'static str) -> Response<Full<Bytes>> {
    message(status, "text/plain", text)
}

fn message(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", content_type);
    response.body(Full::new(body.into())).expect("a valid status")
}
