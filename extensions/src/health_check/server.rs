//! The HTTP server: one path, two answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use streamgauge_component::{ComponentError, StatusBoard};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::config::Config;
use super::report::Report;

/// Probes are few; more connections than this wait.
const CONNECTIONS: usize = 64;
/// A client that does not ask within this time is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens on `host:port`. Of a name's addresses the IPv4 ones come first, as in the Collector: probes of
/// `localhost` and of `127.0.0.1` then both find it.
pub(super) async fn bind(endpoint: &str) -> Result<TcpListener, ComponentError> {
    let failed = |e: std::io::Error| {
        ComponentError(format!("cannot listen on {endpoint}: {e}; free the port or set another `endpoint`"))
    };
    let mut addresses: Vec<_> = tokio::net::lookup_host(endpoint).await.map_err(failed)?.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    TcpListener::bind(addresses.as_slice()).await.map_err(failed)
}

/// What every connection answers from.
struct Probe {
    config: Arc<Config>,
    board: Arc<StatusBoard>,
}

/// Serves until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, config: Arc<Config>, board: Arc<StatusBoard>) {
    let probe = Arc::new(Probe { config, board });
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    while let Ok(slot) = slots.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: let others give some back before asking again.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let probe = probe.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(|request| {
                let answer = probe.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // A client that breaks off is its own affair.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(slot);
        });
    }
}

impl Probe {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != self.config.path {
            return response(StatusCode::NOT_FOUND, "text/plain", "no such path\n".into());
        }
        let ready = self.board.ready();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        match &self.config.response_body {
            Some(fixed) => {
                let text = if ready { &fixed.healthy } else { &fixed.unhealthy };
                response(status, "text/plain", text.clone().into_bytes())
            }
            None => {
                let body = serde_json::to_vec(&Report::new(&self.board));
                response(status, "application/json", body.unwrap_or_default())
            }
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
