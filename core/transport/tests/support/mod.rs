//! A handler that records what it gets and answers what it is told.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use streamgauge_transport::*;
use tokio::sync::Notify;

pub const LOGS_GRPC: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub const LOGS_HTTP: &str = "/v1/logs";
/// For what must come within moments; long, because the machine may be busy.
pub const SOON: Duration = Duration::from_secs(20);

pub struct Recorder {
    pub bodies: Mutex<Vec<Bytes>>,
    pub requests: Mutex<Vec<(Protocol, HeaderMap, Option<Duration>)>>,
    pub peers: Mutex<Vec<Option<Arc<str>>>>,
    pub refused: Mutex<Vec<Status>>,
    pub reply: Mutex<Reply>,
    /// When set, answers wait for `go`; `arrived` tells that one waits.
    pub hold: std::sync::atomic::AtomicBool,
    pub arrived: Notify,
    pub go: Notify,
}

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            bodies: Mutex::default(),
            requests: Mutex::default(),
            peers: Mutex::default(),
            refused: Mutex::default(),
            reply: Mutex::new(Reply::Ok(Bytes::new())),
            hold: false.into(),
            arrived: Notify::new(),
            go: Notify::new(),
        })
    }

    pub fn answer(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.bodies.lock().unwrap().clone()
    }
}

impl Handler for Recorder {
    type Route = ();

    fn route(&self, protocol: Protocol, path: &str) -> Option<()> {
        let ours = match protocol {
            Protocol::Grpc => LOGS_GRPC,
            Protocol::Http => LOGS_HTTP,
        };
        (path == ours).then_some(())
    }

    fn handle(&self, request: Request<()>) -> futures_util::future::BoxFuture<'_, Reply> {
        Box::pin(async move {
            self.requests.lock().unwrap().push((
                request.protocol,
                request.headers().clone(),
                request.timeout,
            ));
            self.peers.lock().unwrap().push(request.peer);
            self.bodies.lock().unwrap().push(request.body.into());
            if self.hold.load(std::sync::atomic::Ordering::SeqCst) {
                self.arrived.notify_one();
                self.go.notified().await;
            }
            self.reply.lock().unwrap().clone()
        })
    }

    fn refused(&self, _: (), status: &Status) {
        self.refused.lock().unwrap().push(status.clone());
    }
}

pub async fn serve(options: ServerOptions) -> (Server, Arc<Recorder>) {
    let recorder = Recorder::new();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    (listener.serve(options, recorder.clone()), recorder)
}

/// A request with one log record of about this many bytes.
pub fn logs(size: usize) -> ExportLogsServiceRequest {
    let body = AnyValue { value: Some(Value::StringValue("x".repeat(size))) };
    let record = LogRecord { body: Some(body), ..Default::default() };
    let scope = ScopeLogs { log_records: vec![record], ..Default::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }
}
