//! What is answered.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use streamgauge_component::Host;

use super::guard::Guard;

pub(super) struct Routes {
    pub(super) guard: Guard,
    pub(super) host: Host,
}

impl Routes {
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if let Err((status, why)) = self.guard.check(request.headers()) {
            let mut refused = response(status, &json!({"error": why}));
            if status == StatusCode::UNAUTHORIZED {
                refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            return refused;
        }
        let allowed = match request.uri().path() {
            "/api/v1/ledger" => Method::GET,
            "/api/v1/reload" => Method::POST,
            _ => {
                let text = "no such path: GET /api/v1/ledger, POST /api/v1/reload";
                return response(StatusCode::NOT_FOUND, &json!({"error": text}));
            }
        };
        if *request.method() != allowed {
            let text = format!("use {allowed}");
            return response(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": text}));
        }
        let Some(control) = self.host.control() else {
            return response(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "nothing runs here"}));
        };
        if allowed == Method::GET {
            return response(StatusCode::OK, &control.ledger());
        }
        let reloaded = control.reload().await;
        if reloaded.errors.is_empty() {
            response(StatusCode::OK, &json!({"result": "ok", "changes": reloaded.changes}))
        } else {
            let body = json!({"result": "refused", "errors": reloaded.errors});
            response(StatusCode::UNPROCESSABLE_ENTITY, &body)
        }
    }
}

fn response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{body:#}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
