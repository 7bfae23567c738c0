//! Answers: those by HTTP for both of its versions, those by gRPC for the second.

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, DATE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use streamgauge_http2::{self as http2, Content, Same};

use super::Encoding;
use crate::code::Code;
use crate::compression::ACCEPTED;
use crate::deframe::{self, PREFIX};
use crate::json;
use crate::retry_after;
use crate::status::Status;

/// An answer by HTTP.
pub(super) type Answer = Response<Bytes>;

/// An answer by HTTP, for HTTP/2. What HTTP/1.1 adds by itself is added here.
pub(super) fn by_http2(answer: Answer) -> http2::Answer {
    let mut answer = answer.map(|data| Content { data, trailers: None });
    let now = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(now) = HeaderValue::try_from(now) {
        answer.headers_mut().entry(DATE).or_insert(now);
    }
    answer.into()
}

/// Nearly every answer by gRPC: taken, and nothing to say.
static TAKEN: LazyLock<Same> = LazyLock::new(|| Same::new(message(Bytes::from_static(&[0; PREFIX]))));

/// A gRPC answer with a message.
pub(super) fn grpc(reply: Bytes) -> http2::Answer {
    if reply.is_empty() {
        return http2::Answer::Same(&TAKEN);
    }
    match deframe::prefix(false, reply.len()) {
        Some(prefix) => message([&prefix[..], &reply].concat().into()).into(),
        None => grpc_refusal(&Status::new(Code::Internal, "the answer is larger than gRPC can say")),
    }
}

fn message(data: Bytes) -> Response<Content> {
    let mut trailers = HeaderMap::with_capacity(1);
    Status::new(Code::Ok, "").write_trailers(&mut trailers);
    let mut answer = Response::new(Content { data, trailers: Some(trailers) });
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// A gRPC answer without a message: the trailers are its headers.
pub(super) fn grpc_refusal(status: &Status) -> http2::Answer {
    let mut answer = Response::new(Content::default());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if status.code == Code::Unimplemented {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED));
    }
    status.write_trailers(headers);
    answer.into()
}

/// An HTTP answer with a message.
pub(super) fn http(message: Bytes, encoding: Encoding) -> Answer {
    body(StatusCode::OK, encoding.content_type(), message)
}

/// An HTTP error: a `google.rpc.Status` in the request's encoding, and `Retry-After` where that has a meaning.
pub(super) fn http_refusal(code: StatusCode, status: &Status, encoding: Encoding) -> Answer {
    let message = match encoding {
        Encoding::Proto => status.encode(),
        Encoding::Json => json::encode_status(status),
    };
    let mut answer = body(code, encoding.content_type(), message);
    let throttled = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(delay) = status.retry_after.filter(|_| throttled) {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after::seconds(delay)));
    }
    answer
}

/// 401, with what the client must show.
pub(super) fn unauthorized(status: &Status, challenge: &str, encoding: Encoding) -> Answer {
    let mut answer = http_refusal(StatusCode::UNAUTHORIZED, status, encoding);
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// An HTTP error that has nothing to do with telemetry.
pub(super) fn text(code: StatusCode, text: &'static str) -> Answer {
    body(code, "text/plain", Bytes::from_static(text.as_bytes()))
}

/// An HTTP answer of headers alone.
pub(super) fn nothing() -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

pub(super) fn method_not_allowed() -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    answer
}

fn body(code: StatusCode, content_type: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(bytes);
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
