//! The HTTP endpoint that scrapes come to.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use streamgauge_prometheus::text::CONTENT_TYPE;
use streamgauge_transport::{Pages, Sockets};

use crate::TelemetryError;
use crate::config::PrometheusReader;
use crate::text::Exposition;

/// Whose socket it is: a later section of the same process may take it over.
const OWNER: &str = "service::telemetry";

/// Begins to answer scrapes.
pub(crate) async fn start(
    reader: &PrometheusReader,
    text: Exposition,
    sockets: &Arc<Sockets>,
) -> Result<Pages, TelemetryError> {
    let place = format!("{}:{}", reader.host, reader.port);
    let listener = sockets.bind(OWNER, &place).await.map_err(|error| {
        TelemetryError(format!(
            "service::telemetry::metrics: cannot listen on {place} for scrapes: {error}; \
             set another port under readers, or level: none"
        ))
    })?;
    Ok(Pages::serve(listener, move |request| std::future::ready(answer(&request, &text))))
}

fn answer<B>(request: &Request<B>, text: &Exposition) -> Response<Full<Bytes>> {
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
