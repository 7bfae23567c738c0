//! From a request's head to its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use streamgauge_http2 as http2;

use super::answer::{self, Answer};
use super::cors;
use super::read::{self, Incomplete, Unread};
use super::slow::Activity;
use super::{Denied, Encoding, Handler, Protocol, Reply, Request, ServerOptions};
use crate::code::Code;
use crate::memory::Room;
use crate::status::Status;

/// What all requests of a connection have in common.
pub(super) struct Door<H> {
    pub options: Arc<ServerOptions>,
    pub handler: Arc<H>,
    pub peer: Option<Arc<str>>,
    pub activity: Arc<Activity>,
}

/// The requests of an HTTP/2 connection.
pub(super) struct Requests<H>(pub Arc<Door<H>>);

impl<H: Handler> http2::Service for Requests<H> {
    type Future = BoxFuture<'static, http2::Answer>;

    fn call(&self, head: Arc<Parts>, body: http2::Body) -> Self::Future {
        let door = self.0.clone();
        Box::pin(async move {
            let _under_way = door.activity.request();
            match (door.options.grpc.filter(|_| is_grpc(&head.headers)), door.options.http) {
                (Some(limit), _) => grpc_call(head, body, limit, &door).await,
                (None, Some(limit)) => answer::by_http2(http_answer(head, body, limit, &door).await),
                (None, None) => answer::by_http2(answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, GRPC_ONLY)),
            }
        })
    }
}

const GRPC_ONLY: &str = "415 this port speaks gRPC only: content-type application/grpc on HTTP/2";

/// A request by HTTP/1.1.
pub(super) async fn http1<H: Handler>(
    request: http::Request<Incoming>,
    door: Arc<Door<H>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _under_way = door.activity.request();
    let (head, body) = request.into_parts();
    let answer = match door.options.http {
        Some(limit) => http_answer(Arc::new(head), body, limit, &door).await,
        None => answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, GRPC_ONLY),
    };
    Ok(answer.map(Full::new))
}

async fn grpc_call<H: Handler>(
    head: Arc<Parts>,
    body: http2::Body,
    limit: usize,
    door: &Door<H>,
) -> http2::Answer {
    let handler = &*door.handler;
    let path = head.uri.path();
    let Some(route) = handler.route(Protocol::Grpc, path) else {
        return answer::grpc_refusal(&Status::new(Code::Unimplemented, format!("unknown service {path}")));
    };
    let identity = match identify(handler, &head.headers, None).await {
        Ok(identity) => identity,
        Err(denied) => {
            let status = Status::new(Code::Unauthenticated, denied.message);
            handler.refused(route, &status);
            return answer::grpc_refusal(&status);
        }
    };
    let body = match read::grpc(&head.headers, body, limit, Room::new(door.options.memory.as_ref())).await {
        Ok(body) => body,
        Err(unread) => {
            handler.refused(route, unread.status());
            return answer::grpc_refusal(unread.status());
        }
    };
    let timeout = grpc_timeout(&head.headers);
    let (protocol, encoding, peer) = (Protocol::Grpc, Encoding::Proto, door.peer.clone());
    let request = Request { route, protocol, encoding, head, peer, identity, timeout, body };
    match handler.handle(request).await {
        Reply::Ok(message) => answer::grpc(message),
        Reply::Refused(status) => answer::grpc_refusal(&status),
    }
}

/// The answer by HTTP with the headers that do not depend on it.
async fn http_answer<H: Handler>(
    head: Arc<Parts>,
    body: impl Incomplete,
    limit: usize,
    door: &Door<H>,
) -> Answer {
    let common = &door.options.response_headers;
    let Some(cors) = &door.options.cors else {
        return with(common, http_post(head, body, limit, door).await);
    };
    if cors::is_preflight(&head.method, &head.headers) {
        let mut answer = answer::nothing();
        cors::preflight(cors, &head.headers, answer.headers_mut());
        return with(common, answer);
    }
    let origin: HeaderMap =
        head.headers.get(ORIGIN).map(|origin| (ORIGIN, origin.clone())).into_iter().collect();
    let mut answer = http_post(head, body, limit, door).await;
    cors::actual(cors, &origin, answer.headers_mut());
    with(common, answer)
}

fn with(headers: &HeaderMap, mut answer: Answer) -> Answer {
    for (name, value) in headers {
        answer.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    answer
}

async fn http_post<H: Handler>(
    head: Arc<Parts>,
    body: impl Incomplete,
    limit: usize,
    door: &Door<H>,
) -> Answer {
    let (options, handler) = (&*door.options, &*door.handler);
    let Some(route) = handler.route(Protocol::Http, head.uri.path()) else {
        return answer::text(StatusCode::NOT_FOUND, "404 page not found");
    };
    if head.method != Method::POST {
        return answer::method_not_allowed();
    }
    let Some(encoding) = Encoding::of(&head.headers) else {
        return answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED);
    };
    let identity = match identify(handler, &head.headers, head.uri.query()).await {
        Ok(identity) => identity,
        Err(denied) => {
            let status = Status::new(Code::Unauthenticated, denied.message);
            handler.refused(route, &status);
            read::drain(body, limit);
            return answer::unauthorized(&status, &denied.challenge, encoding);
        }
    };
    let codings = options.codings.as_deref();
    let reading = read::http(&head.headers, codings, body, limit, Room::new(options.memory.as_ref()));
    let read = match options.timeouts.read {
        None => reading.await,
        Some(limit) => {
            tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| Err(Unread::slow(limit)))
        }
    };
    let body = match read {
        Ok(body) => body,
        Err(unread) => {
            handler.refused(route, unread.status());
            let code = match unread {
                Unread::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                Unread::NoMemory(_) => StatusCode::TOO_MANY_REQUESTS,
                Unread::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Unread::Malformed(_) => StatusCode::BAD_REQUEST,
                Unread::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            };
            return answer::http_refusal(code, unread.status(), encoding);
        }
    };
    let (protocol, timeout, peer) = (Protocol::Http, None, door.peer.clone());
    let request = Request { route, protocol, encoding, head, peer, identity, timeout, body };
    match handler.handle(request).await {
        Reply::Ok(message) => answer::http(message, encoding),
        Reply::Refused(status) => answer::http_refusal(status.code.to_http(), &status, encoding),
    }
}

async fn identify<H: Handler>(
    handler: &H,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Option<Arc<str>>, Denied> {
    match handler.authenticate(headers, query) {
        None => Ok(None),
        Some(asked) => asked.await.map(Some),
    }
}

const UNSUPPORTED: &str = "415 unsupported media type, supported: [application/json, application/x-protobuf]";

/// The media type without its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn is_grpc(headers: &HeaderMap) -> bool {
    matches!(content_type(headers), "application/grpc" | "application/grpc+proto")
}

/// `grpc-timeout`: up to eight digits and a unit.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_with_their_units() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            grpc_timeout(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(read("5"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("18446744073709551615H"), None);
    }
}
