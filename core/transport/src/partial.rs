//! The one thing that an OTLP answer may hold: how many items of an accepted request were refused.

use bytes::Bytes;
use http::HeaderMap;

use crate::server::Encoding;
use crate::{json, wire};

/// The `partial_success` of an `Export*ServiceResponse`. The three signals have the same field numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Spans, data points or log records that the server threw away; they must not be sent again.
    pub rejected: u64,
    /// Why; with `rejected` 0 it is only a warning.
    pub message: String,
}

impl PartialSuccess {
    /// Reads an `Export*ServiceResponse`; `None` when all of the request was accepted without a word.
    pub fn decode(response: &[u8]) -> Option<Self> {
        let mut partial = PartialSuccess::default();
        for field in wire::fields(response).filter(|field| field.number == 1) {
            for field in wire::fields(field.value.bytes().unwrap_or_default()) {
                match field.number {
                    // A negative count is a peer's fault and no loss that could be counted.
                    1 => partial.rejected = u64::try_from(field.value.int().unwrap_or(0)).unwrap_or(0),
                    2 => {
                        let message = field.value.bytes().unwrap_or_default();
                        partial.message = String::from_utf8_lossy(message).into_owned();
                    }
                    _ => {}
                }
            }
        }
        (partial != PartialSuccess::default()).then_some(partial)
    }

    /// Writes the `Export*ServiceResponse` that holds it.
    pub fn encode(&self) -> Bytes {
        let mut inner = Vec::new();
        wire::put_int(&mut inner, 1, i64::try_from(self.rejected).unwrap_or(i64::MAX));
        if !self.message.is_empty() {
            wire::put_bytes(&mut inner, 2, self.message.as_bytes());
        }
        let mut out = Vec::new();
        wire::put_bytes(&mut out, 1, &inner);
        out.into()
    }
}

impl PartialSuccess {
    /// Reads what a server answered, in the encoding that it says it used. An answer of another kind says nothing.
    pub fn from_answer(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        match Encoding::of(headers)? {
            Encoding::Proto => Self::decode(body),
            Encoding::Json => json::decode_partial(body),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };
    use prost::Message as _;

    #[test]
    fn what_the_official_types_write_is_read_and_the_other_way_round() {
        let theirs = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: 7,
                error_message: "too old".into(),
            }),
        };
        let ours = PartialSuccess { rejected: 7, message: "too old".into() };
        assert_eq!(PartialSuccess::decode(&theirs.encode_to_vec()), Some(ours.clone()));
        assert_eq!(ExportLogsServiceResponse::decode(ours.encode()).unwrap(), theirs);
    }

    #[test]
    fn an_empty_answer_is_full_success() {
        let empty = ExportLogsServiceResponse { partial_success: Some(ExportLogsPartialSuccess::default()) };
        assert_eq!(PartialSuccess::decode(&empty.encode_to_vec()), None);
        assert_eq!(PartialSuccess::decode(b""), None);
    }
}
