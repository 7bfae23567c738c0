//! The HTTP endpoint that scrapes come to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use streamgauge_prometheus::text::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::TelemetryError;
use crate::config::PrometheusReader;
use crate::text::Exposition;

/// Scrapers are few; more connections than this wait.
const CONNECTIONS: usize = 64;

/// A listening socket and its task, which ends with it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Endpoint {
    pub async fn start(reader: &PrometheusReader, text: Exposition) -> Result<Self, TelemetryError> {
        let place = format!("{}:{}", reader.host, reader.port);
        let failed = |error: std::io::Error| {
            TelemetryError(format!(
                "service::telemetry::metrics: cannot listen on {place} for scrapes: {error}; \
                 set another port under readers, or level: none"
            ))
        };
        let listener = TcpListener::bind(&place).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(accept(listener, Arc::new(text)));
        Ok(Self { address, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn stop(mut self) {
        self.task.abort();
        // An aborted task ends with an error that says just that.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, text: Arc<Exposition>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let text = text.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let answer = answer(&request, &text);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let mut server = http1::Builder::new();
                    // The timer makes hyper's own limit on slow request heads work.
                    let _ =
                        server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a scrape's connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

fn answer(request: &Request<Incoming>, text: &Exposition) -> Response<Full<Bytes>> {
    let known = matches!(request.uri().path(), "/metrics" | "/metrics/");
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, body) = match (known, readable) {
        (true, true) => (StatusCode::OK, text.text()),
        (true, false) => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
        (false, _) => (StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(CONTENT_TYPE));
    response
}
