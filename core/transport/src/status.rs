//! A refusal: code, message, and the delay after which another try is welcome.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::code::Code;
use crate::retry_after::LONGEST;
use crate::server::Encoding;
use crate::{json, text, wire};

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
pub(crate) const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// A message longer than this is cut: peers limit the size of their headers (8 KiB in grpc-go's oldest
/// peers), and the details repeat it.
const MAX_MESSAGE: usize = 1024;

/// How a request ended, in gRPC's terms: `google.rpc.Status` with `RetryInfo` as its only detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// What went wrong, for a person.
    pub message: String,
    /// When the client should try again, if the server knows.
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without a delay.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The same status with a delay.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Whether OTLP/gRPC lets a client send the same request again: a retryable code, or `ResourceExhausted`
    /// with a delay.
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable() || (self.code == Code::ResourceExhausted && self.retry_after.is_some())
    }

    /// The status as `google.rpc.Status` in protobuf: the body of an OTLP/HTTP error.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        wire::put_int(&mut out, 1, self.code.number().into());
        if !self.message.is_empty() {
            wire::put_bytes(&mut out, 2, self.message().as_bytes());
        }
        if let Some(delay) = self.retry_after {
            let mut duration = Vec::new();
            wire::put_int(&mut duration, 1, i64::try_from(delay.as_secs()).unwrap_or(i64::MAX));
            wire::put_int(&mut duration, 2, delay.subsec_nanos().into());
            let mut info = Vec::new();
            wire::put_bytes(&mut info, 1, &duration);
            let mut any = Vec::new();
            wire::put_bytes(&mut any, 1, RETRY_INFO.as_bytes());
            wire::put_bytes(&mut any, 2, &info);
            wire::put_bytes(&mut out, 3, &any);
        }
        out.into()
    }

    /// Reads `google.rpc.Status`. What cannot be read is left at its default: a peer's error must not hide
    /// behind another one.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut status = Status::new(Code::Ok, "");
        for field in wire::fields(bytes) {
            match field.number {
                1 => status.code = Code::from_number(field.value.int().unwrap_or(0)),
                2 => {
                    let message = field.value.bytes().unwrap_or_default();
                    status.message = String::from_utf8_lossy(message).into_owned();
                }
                3 => {
                    let delay = field.value.bytes().and_then(retry_info);
                    status.retry_after = delay.or(status.retry_after);
                }
                _ => {}
            }
        }
        status
    }

    /// Reads what an HTTP server gave as its reason, in the encoding that it says it used; `None` when it gave none that
    /// OTLP knows.
    pub fn from_answer(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        match Encoding::of(headers)? {
            Encoding::Proto => Some(Self::decode(body)),
            Encoding::Json => json::decode_status(body),
        }
    }

    /// Writes the status as gRPC trailers.
    pub(crate) fn write_trailers(&self, trailers: &mut HeaderMap) {
        let code = match self.code {
            Code::Ok => HeaderValue::from_static("0"),
            code => HeaderValue::from(u16::from(code.number())),
        };
        trailers.insert(GRPC_STATUS, code);
        if !self.message.is_empty()
            && let Ok(message) = HeaderValue::try_from(text::percent(self.message()))
        {
            trailers.insert(GRPC_MESSAGE, message);
        }
        if self.retry_after.is_some()
            && let Ok(details) = HeaderValue::try_from(text::base64(&self.encode()))
        {
            trailers.insert(GRPC_DETAILS, details);
        }
    }

    /// Reads the status from gRPC trailers; `None` when there is none in them.
    pub fn from_trailers(trailers: &HeaderMap) -> Option<Self> {
        let number = trailers.get(GRPC_STATUS)?.to_str().ok().and_then(|text| text.parse().ok());
        let message = trailers.get(GRPC_MESSAGE).map(|text| text::from_percent(text.as_bytes()));
        let details = trailers.get(GRPC_DETAILS).and_then(|text| text::from_base64(text.as_bytes()));
        Some(Self {
            code: Code::from_number(number.unwrap_or(2)),
            message: message.unwrap_or_default(),
            retry_after: details.and_then(|details| Status::decode(&details).retry_after),
        })
    }

    /// The message, cut where peers limit it.
    pub(crate) fn message(&self) -> &str {
        let mut end = self.message.len().min(MAX_MESSAGE);
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        &self.message[..end]
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// The delay in a `google.protobuf.Any` that holds a `RetryInfo`, at most a year. An empty delay means none.
fn retry_info(any: &[u8]) -> Option<Duration> {
    let mut is_retry_info = false;
    let mut value = None;
    for field in wire::fields(any) {
        match field.number {
            1 => is_retry_info = field.value.bytes() == Some(RETRY_INFO.as_bytes()),
            2 => value = field.value.bytes(),
            _ => {}
        }
    }
    let info = value.filter(|_| is_retry_info)?;
    let duration = wire::fields(info).find(|field| field.number == 1)?.value.bytes()?;
    let (mut seconds, mut nanos) = (0, 0);
    for field in wire::fields(duration) {
        match field.number {
            1 => seconds = field.value.int().unwrap_or(0),
            2 => nanos = field.value.int().unwrap_or(0),
            _ => {}
        }
    }
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(seconds).ok()?, nanos).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through_trailers(status: &Status) -> Status {
        let mut trailers = HeaderMap::new();
        status.write_trailers(&mut trailers);
        Status::from_trailers(&trailers).unwrap()
    }

    #[test]
    fn a_status_survives_protobuf_and_trailers() {
        let plain = Status::new(Code::InvalidArgument, "br\u{f6}ken: 5 %");
        let delayed = Status::new(Code::ResourceExhausted, "full").retry_after(Duration::from_millis(1500));
        let zero = Status::new(Code::Unavailable, "").retry_after(Duration::ZERO);
        for status in [plain, delayed, zero] {
            assert_eq!(Status::decode(&status.encode()), status);
            assert_eq!(through_trailers(&status), status);
        }
    }

    #[test]
    fn resource_exhausted_is_retryable_only_with_a_delay() {
        let status = Status::new(Code::ResourceExhausted, "full");
        assert!(!status.is_retryable());
        assert!(status.retry_after(Duration::from_secs(1)).is_retryable());
        assert!(Status::new(Code::Unavailable, "").is_retryable());
        assert!(!Status::new(Code::Internal, "").is_retryable());
    }

    #[test]
    fn a_delay_beyond_a_year_is_read_as_a_year() {
        let told = Status::new(Code::Unavailable, "").retry_after(Duration::MAX);
        assert_eq!(through_trailers(&told).retry_after, Some(LONGEST));
    }

    #[test]
    fn a_negative_or_foreign_detail_is_no_delay() {
        let mut duration = Vec::new();
        wire::put_int(&mut duration, 1, -3);
        let mut info = Vec::new();
        wire::put_bytes(&mut info, 1, &duration);
        for kind in [RETRY_INFO, "type.googleapis.com/google.rpc.ErrorInfo"] {
            let mut any = Vec::new();
            wire::put_bytes(&mut any, 1, kind.as_bytes());
            wire::put_bytes(&mut any, 2, &info);
            assert_eq!(retry_info(&any), None);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let status = through_trailers(&Status::new(Code::Internal, "\u{20ac}".repeat(1000)));
        assert_eq!(status.message, "\u{20ac}".repeat(341));
    }
}
