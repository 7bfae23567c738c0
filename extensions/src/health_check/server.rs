//! One path, two answers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use streamgauge_component::StatusBoard;

use super::config::Config;
use super::report::Report;

/// What every connection answers from.
pub(super) struct Probe {
    pub(super) config: Arc<Config>,
    pub(super) board: Arc<StatusBoard>,
}

impl Probe {
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
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
