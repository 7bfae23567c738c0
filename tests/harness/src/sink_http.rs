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
use tokio::net::TcpListener;

use crate::sink::Shared;
use crate::{Reply, Telemetry};

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
    let decoded = match head.uri.path() {
        "/v1/traces" => Message::decode(body.as_slice()).map(Telemetry::Traces),
        "/v1/metrics" => Message::decode(body.as_slice()).map(Telemetry::Metrics),
        "/v1/logs" => Message::decode(body.as_slice()).map(Telemetry::Logs),
        _ => return plain(404, "no such path"),
    };
    let Ok(telemetry) = decoded else { return plain(400, "not OTLP protobuf") };
    let headers = head.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    match shared.take(headers.collect(), telemetry).await {
        Reply::Ok | Reply::Stall(_) | Reply::Hold => protobuf(Vec::new()),
        Reply::Partial { rejected, message } => protobuf(partial(head.uri.path(), rejected, message)),
        Reply::Status { code, retry_after } => {
            let mut response = plain(code, "told to refuse");
            if let Some(delay) = retry_after {
                response.headers_mut().insert("retry-after", delay.as_secs().into());
            }
            response
        }
    }
}

fn partial(path: &str, rejected: i64, error_message: String) -> Vec<u8> {
    match path {
        "/v1/traces" => {
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans: rejected, error_message });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        }
        "/v1/metrics" => {
            let partial_success =
                Some(ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message });
            ExportMetricsServiceResponse { partial_success }.encode_to_vec()
        }
        _ => {
            let partial_success =
                Some(ExportLogsPartialSuccess { rejected_log_records: rejected, error_message });
            ExportLogsServiceResponse { partial_success }.encode_to_vec()
        }
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

fn protobuf(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    response.headers_mut().insert("content-type", "application/x-protobuf".parse().expect("a header"));
    response
}

fn plain(status: u16, text: &'static str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "text/plain");
    response.body(Full::from(text)).expect("a valid status")
}
