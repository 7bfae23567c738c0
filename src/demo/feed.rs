//! The wires between demo and collector: the OTLP server that hears what it exports, and the client that sends the
//! workload's latencies.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_pdata::Signal;
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_transport::{
    ClientOptions, Code, Endpoint, Handler, HeaderMap, HeaderValue, HttpClient, Listener, Protocol, Reply,
    Request, Server, ServerOptions, Status,
};

use super::state::State;
use super::workload::Job;

/// Hears what the collector exports.
pub struct Feed {
    state: Arc<Mutex<State>>,
    server: Server,
}

struct Ears(Arc<Mutex<State>>);

impl Feed {
    /// Listens on a free loopback port.
    pub async fn start() -> Result<Feed, String> {
        let listener = Listener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
        let state = Arc::<Mutex<State>>::default();
        let options = ServerOptions { grpc: None, ..ServerOptions::default() };
        Ok(Feed { server: listener.serve(options, Arc::new(Ears(state.clone()))), state })
    }

    /// Where the collector is to send to.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// What was heard.
    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Ears {
    type Route = Signal;

    fn route(&self, _: Protocol, path: &str) -> Option<Signal> {
        match path {
            "/v1/metrics" => Some(Signal::Metrics),
            "/v1/logs" => Some(Signal::Logs),
            _ => None,
        }
    }

    fn handle(&self, request: Request<Signal>) -> BoxFuture<'_, Reply> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = match request.route {
            Signal::Logs => state.logs(&request.body),
            _ => state.metrics(&request.body),
        };
        let reply = match heard {
            Ok(()) => Reply::Ok(Bytes::new()),
            Err(malformed) => Reply::Refused(Status::new(Code::InvalidArgument, malformed.to_string())),
        };
        Box::pin(std::future::ready(reply))
    }
}

/// Sends latencies as an application would.
pub struct Sender {
    client: HttpClient,
    headers: HeaderMap,
}

impl Sender {
    /// To the collector's OTLP receiver at this URL.
    pub fn new(url: &str) -> Result<Sender, String> {
        let endpoint = Endpoint::parse(url).map_err(|e| e.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
        Ok(Sender { client: HttpClient::new(endpoint, ClientOptions::default()), headers })
    }

    /// Sends jobs as points of `app.latency`. What the collector does not take is lost: it is a demo's latency.
    pub async fn send(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let mut request = MetricsBuilder::new();
        {
            let mut resource =
                request.resource([("service.name", "demo-workers"), ("service.namespace", "demo-shop")]);
            let mut scope = resource.scope("streamgauge.demo", env!("CARGO_PKG_VERSION"));
            let mut gauge = scope.gauge("app.latency", "ms", "From reading an entry to its acknowledgement.");
            for job in jobs {
                gauge.point(job.at).attribute("route", job.route).double(job.millis);
            }
        }
        let timeout = Some(Duration::from_secs(1));
        let _ = self.client.post("/v1/metrics", &self.headers, request.finish().into(), timeout).await;
    }
}
