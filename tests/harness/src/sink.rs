//! A recording OTLP server: what it got, and what it is told to answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::replies::Script;
use crate::{Point, Reply, poll_until};

/// One decoded request.
#[derive(Debug, Clone, PartialEq)]
pub enum Telemetry {
    /// `ExportTraceServiceRequest`.
    Traces(ExportTraceServiceRequest),
    /// `ExportMetricsServiceRequest`.
    Metrics(ExportMetricsServiceRequest),
    /// `ExportLogsServiceRequest`.
    Logs(ExportLogsServiceRequest),
}

/// A request as it was recorded, before the answer.
#[derive(Debug, Clone)]
pub struct Received {
    /// Headers or gRPC metadata in text form, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The decoded body.
    pub body: Telemetry,
    /// The answer it got.
    pub reply: Reply,
}

/// The part of a sink that its connections share.
pub(crate) struct Shared {
    pub(crate) script: Script,
    requests: AtomicUsize,
    received: Mutex<Vec<Received>>,
    /// Requests with this text anywhere in them get this answer, whatever the script says.
    marked: Mutex<Option<(String, Reply)>>,
}

impl Shared {
    /// Records a request and gives the answer to send.
    pub(crate) async fn take(&self, headers: BTreeMap<String, String>, body: Telemetry) -> Reply {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = match self.refuses(&body) {
            Some(reply) => reply,
            None => self.script.take().await,
        };
        self.received.lock().unwrap().push(Received { headers, body, reply: reply.clone() });
        reply
    }
}

impl Shared {
    fn refuses(&self, body: &Telemetry) -> Option<Reply> {
        let marked = self.marked.lock().unwrap();
        let (marker, reply) = marked.as_ref()?;
        format!("{body:?}").contains(marker).then(|| reply.clone())
    }
}

/// A running OTLP server on a free loopback port, gRPC or HTTP; stopped when dropped.
pub struct OtlpSink {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl OtlpSink {
    /// A gRPC server (plain text, gzip and zstd accepted).
    pub fn grpc() -> OtlpSink {
        OtlpSink::start("127.0.0.1:0", crate::sink_grpc::serve)
    }

    /// An HTTP server for `/v1/traces`, `/v1/metrics`, `/v1/logs` (protobuf and JSON; gzip and zstd accepted).
    pub fn http() -> OtlpSink {
        OtlpSink::start("127.0.0.1:0", crate::sink_http::serve)
    }

    fn start<F>(bind: &str, serve: fn(TcpListener, Arc<Shared>) -> F) -> OtlpSink
    where
        F: Future<Output = ()> + 'static,
    {
        let listener = std::net::TcpListener::bind(bind).expect("a free port");
        listener.set_nonblocking(true).expect("a non-blocking socket");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            script: Script::new(),
            requests: AtomicUsize::new(0),
            received: Mutex::default(),
            marked: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket");
                tokio::select! {
                    () = serve(listener, theirs) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        OtlpSink { shared, address, stop: Some(stop), thread: Some(thread) }
    }

    /// `127.0.0.1:port`.
    pub fn addr(&self) -> String {
        self.address.to_string()
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every request is answered like this.
    pub fn always(&self, reply: Reply) {
        self.shared.script.always(reply);
    }

    /// From now on every request in which `marker` occurs, as text, is answered like this.
    pub fn marked(&self, marker: &str, reply: Reply) {
        *self.shared.marked.lock().unwrap() = Some((marker.to_owned(), reply));
    }

    /// The next request is answered like this; several calls queue up.
    pub fn next(&self, reply: Reply) {
        self.shared.script.next(reply);
    }

    /// Answers what [`Reply::Hold`] holds, and from now on everything.
    pub fn release(&self) {
        self.shared.script.release();
    }

    /// Everything answered so far, refused requests too, in order.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        self.shared.received.lock().unwrap().clear();
    }

    /// The bodies that were answered with [`Reply::Ok`] or [`Reply::Partial`].
    pub fn taken(&self) -> Vec<Telemetry> {
        let taken = |r: &Received| !matches!(r.reply, Reply::Status { .. });
        self.received().into_iter().filter(taken).map(|r| r.body).collect()
    }

    /// How many requests have come so far, answered or not.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// How many of them were answered, refused ones too.
    pub fn answers(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    /// Looks at the bodies that were taken, in order, without copying them.
    pub fn each_taken(&self, mut look: impl FnMut(&Telemetry)) {
        let received = self.shared.received.lock().unwrap();
        let taken = |r: &&Received| !matches!(r.reply, Reply::Status { .. });
        received.iter().filter(taken).for_each(|r| look(&r.body));
    }

    /// Metric points taken so far, flattened, in order of arrival.
    pub fn points(&self, metric: &str) -> Vec<Point> {
        let all = self.taken();
        all.iter()
            .filter_map(|t| if let Telemetry::Metrics(m) = t { Some(m) } else { None })
            .flat_map(|m| crate::points::of(m, metric))
            .collect()
    }

    /// Log records taken so far.
    pub fn log_records(&self) -> Vec<opentelemetry_proto::tonic::logs::v1::LogRecord> {
        let mut records = Vec::new();
        for telemetry in self.taken() {
            if let Telemetry::Logs(logs) = telemetry {
                for resource in logs.resource_logs {
                    resource.scope_logs.into_iter().for_each(|s| records.extend(s.log_records));
                }
            }
        }
        records
    }

    /// Spans taken so far.
    pub fn spans(&self) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        let mut spans = Vec::new();
        for telemetry in self.taken() {
            if let Telemetry::Traces(traces) = telemetry {
                for resource in traces.resource_spans {
                    resource.scope_spans.into_iter().for_each(|s| spans.extend(s.spans));
                }
            }
        }
        spans
    }

    /// Polls until a point of `metric` satisfies `wanted`, and gives it.
    #[track_caller]
    pub fn wait_for_point(&self, metric: &str, within: Duration, wanted: impl Fn(&Point) -> bool) -> Point {
        let what = format!("a wanted point of {metric}");
        poll_until(&what, within, || self.points(metric).into_iter().find(&wanted))
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
