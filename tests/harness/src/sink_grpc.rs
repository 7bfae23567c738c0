//! The gRPC side of a sink, on tonic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::metadata::{KeyAndValueRef, MetadataMap};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::sink::Shared;
use crate::{Reply, Telemetry};

const LIMIT: usize = 64 << 20;

struct Service(Arc<Shared>);

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    macro_rules! service {
        ($server:ident) => {
            $server::new(Service(Arc::clone(&shared)))
                .max_decoding_message_size(LIMIT)
                .accept_compressed(Gzip)
                .accept_compressed(Zstd)
        };
    }
    Server::builder()
        .add_service(service!(TraceServiceServer))
        .add_service(service!(MetricsServiceServer))
        .add_service(service!(LogsServiceServer))
        .serve_with_incoming(TcpIncoming::from(listener))
        .await
        .expect("serve gRPC");
}

/// The rejected items and the message of a partial success, or the refusal.
async fn answer(
    service: &Service,
    metadata: &MetadataMap,
    body: Telemetry,
) -> Result<Option<(i64, String)>, Status> {
    match service.0.take(headers(metadata), body).await {
        Reply::Ok | Reply::Stall(_) | Reply::Hold => Ok(None),
        Reply::Partial { rejected, message } => Ok(Some((rejected, message))),
        Reply::Status { code, retry_after } => Err(status(Code::from(i32::from(code)), retry_after)),
    }
}

macro_rules! export {
    ($trait:ident, $request:ident, $response:ident, $partial:ident, $signal:ident, $rejected:ident) => {
        #[tonic::async_trait]
        impl $trait for Service {
            async fn export(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, _, body) = request.into_parts();
                let partial = answer(self, &metadata, Telemetry::$signal(body)).await?;
                let partial_success =
                    partial.map(|(rejected, error_message)| $partial { $rejected: rejected, error_message });
                Ok(Response::new($response { partial_success }))
            }
        }
    };
}

export!(
    TraceService,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
    ExportTracePartialSuccess,
    Traces,
    rejected_spans
);
export!(
    MetricsService,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
    ExportMetricsPartialSuccess,
    Metrics,
    rejected_data_points
);
export!(
    LogsService,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
    ExportLogsPartialSuccess,
    Logs,
    rejected_log_records
);

fn headers(metadata: &MetadataMap) -> BTreeMap<String, String> {
    let ascii = |entry| match entry {
        KeyAndValueRef::Ascii(key, value) => {
            Some((key.to_string(), value.to_str().unwrap_or_default().to_owned()))
        }
        KeyAndValueRef::Binary(..) => None,
    };
    metadata.iter().filter_map(ascii).collect()
}

/// google.rpc.Status, as far as RetryInfo needs it.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn status(code: Code, retry_after: Option<Duration>) -> Status {
    let Some(delay) = retry_after else { return Status::new(code, "told to refuse") };
    let retry_delay = Some(Delay { seconds: delay.as_secs() as i64, nanos: delay.subsec_nanos() as i32 });
    let info = Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: RetryInfo { retry_delay }.encode_to_vec(),
    };
    let details = RpcStatus { code: code as i32, details: vec![info] }.encode_to_vec();
    Status::with_details(code, "told to refuse", details.into())
}
