//! Answers as hyper sends them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};

use super::Encoding;
use crate::code::Code;
use crate::compression::ACCEPTED;
use crate::deframe::{self, PREFIX};
use crate::json;
use crate::payload::Payload;
use crate::retry_after;
use crate::status::Status;

pub(super) type Answer = Response<Body>;

/// At most one frame of data, then perhaps trailers.
#[derive(Debug, Default)]
pub(super) struct Body {
    data: Option<Payload>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Body {
    type Data = Payload;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Payload>, Infallible>>> {
        let frame = match self.data.take() {
            Some(data) => Some(Frame::data(data)),
            None => self.trailers.take().map(Frame::trailers),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.trailers {
            Some(_) => SizeHint::default(), // gRPC answers have no content-length
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, Payload::len) as u64),
        }
    }
}

/// A gRPC answer with a message.
pub(super) fn grpc(message: Bytes) -> Answer {
    let Some(prefix) = deframe::prefix(false, message.len()) else {
        return grpc_refusal(&Status::new(Code::Internal, "the answer is larger than gRPC can say"));
    };
    let data = match message.is_empty() {
        true => Bytes::from_static(&[0; PREFIX]).into(), // nearly every answer
        false => Payload::new([Bytes::copy_from_slice(&prefix), message]),
    };
    let mut trailers = HeaderMap::with_capacity(1);
    Status::new(Code::Ok, "").write_trailers(&mut trailers);
    let mut answer = Response::new(Body { data: Some(data), trailers: Some(trailers) });
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// A gRPC answer without a message: the trailers are its headers.
pub(super) fn grpc_refusal(status: &Status) -> Answer {
    let mut answer = Response::new(Body::default());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if status.code == Code::Unimplemented {
        headers.insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED));
    }
    status.write_trailers(headers);
    answer
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
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

pub(super) fn method_not_allowed() -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed, supported: [POST]");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    answer
}

fn body(code: StatusCode, content_type: &'static str, bytes: Bytes) -> Answer {
    let data = Some(Payload::from(bytes)).filter(|data| !data.is_empty());
    let mut answer = Response::new(Body { data, trailers: None });
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
