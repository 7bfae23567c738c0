//! What is answered.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use streamgauge_component::{Control, Host, StoredQueue};

use super::guard::Guard;

pub(super) struct Routes {
    pub(super) guard: Guard,
    pub(super) host: Host,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Ledger,
    Reload,
    Queues,
    Purge,
}

const ROUTES: [(Method, &str, Route); 4] = [
    (Method::GET, "/api/v1/ledger", Route::Ledger),
    (Method::POST, "/api/v1/reload", Route::Reload),
    (Method::GET, "/api/v1/queues", Route::Queues),
    (Method::POST, "/api/v1/queues/purge", Route::Purge),
];

type Answer = (StatusCode, Value);

impl Routes {
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if let Err((status, why)) = self.guard.check(request.headers()) {
            let mut refused = response(status, &json!({"error": why}));
            if status == StatusCode::UNAUTHORIZED {
                refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            return refused;
        }
        let (status, body) = match route(request.method(), request.uri().path()) {
            Ok(route) => self.serve(route, request.uri().query().unwrap_or_default()).await,
            Err(answer) => answer,
        };
        response(status, &body)
    }

    async fn serve(&self, route: Route, query: &str) -> Answer {
        match route {
            Route::Ledger => match self.control() {
                Ok(control) => (StatusCode::OK, control.ledger()),
                Err(answer) => answer,
            },
            Route::Reload => match self.control() {
                Ok(control) => reload(control).await,
                Err(answer) => answer,
            },
            Route::Queues => {
                let queues: Vec<_> = self.host.stored_queues().iter().map(|queue| queue.status()).collect();
                (StatusCode::OK, json!({"queues": queues}))
            }
            Route::Purge => self.purge(query).await,
        }
    }

    fn control(&self) -> Result<&dyn Control, Answer> {
        let nothing = || (StatusCode::SERVICE_UNAVAILABLE, json!({"error": "nothing runs here"}));
        self.host.control().map(|control| &**control).ok_or_else(nothing)
    }

    async fn purge(&self, query: &str) -> Answer {
        let (name, directory) = (parameter(query, "queue"), parameter(query, "directory"));
        let Some(name) = name else {
            return (StatusCode::BAD_REQUEST, json!({"error": "say which: ?queue=otlp_http/logs"}));
        };
        let mut queues = self.host.stored_queues();
        queues.retain(|queue| {
            let status = queue.status();
            let here = directory.as_ref().is_none_or(|directory| *status.directory == **directory);
            status.queue == name && here
        });
        match queues.as_slice() {
            [queue] => purge(&**queue).await,
            [] => (
                StatusCode::NOT_FOUND,
                json!({"error": format!("no queue {name:?}: see GET /api/v1/queues")}),
            ),
            _ => {
                let text = format!("several queues {name:?}: add &directory=");
                (StatusCode::BAD_REQUEST, json!({"error": text}))
            }
        }
    }
}

fn route(method: &Method, path: &str) -> Result<Route, Answer> {
    match ROUTES.iter().find(|(_, known, _)| *known == path) {
        Some((allowed, _, route)) if allowed == method => Ok(*route),
        Some((allowed, ..)) => {
            Err((StatusCode::METHOD_NOT_ALLOWED, json!({"error": format!("use {allowed}")})))
        }
        None => {
            let all: Vec<String> =
                ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
            let text = format!("no such path: {}", all.join(", "));
            Err((StatusCode::NOT_FOUND, json!({"error": text})))
        }
    }
}

async fn reload(control: &dyn Control) -> Answer {
    let reloaded = control.reload().await;
    if reloaded.errors.is_empty() {
        (StatusCode::OK, json!({"result": "ok", "changes": reloaded.changes}))
    } else {
        let body = json!({"result": "refused", "errors": reloaded.errors});
        (StatusCode::UNPROCESSABLE_ENTITY, body)
    }
}

async fn purge(queue: &dyn StoredQueue) -> Answer {
    match queue.purge().await {
        Ok(purged) => (StatusCode::OK, json!({"result": "ok", "purged": purged})),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error})),
    }
}

/// The value of a query's parameter, percent-decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut decoded = Vec::new();
    let mut left = value.bytes();
    while let Some(byte) = left.next() {
        match byte {
            b'%' => {
                let digits = [left.next()?, left.next()?];
                decoded.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            b'+' => decoded.push(b' '),
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok()
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
