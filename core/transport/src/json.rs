//! OTLP's two short messages, partial success and status, in JSON. Telemetry itself is transcoded by `core/pdata`.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::code::Code;
use crate::partial::PartialSuccess;
use crate::status::{RETRY_INFO, Status};

/// `google.rpc.Status` as proto3's JSON has it.
pub(crate) fn encode_status(status: &Status) -> Bytes {
    let mut object = Map::new();
    object.insert("code".to_owned(), status.code.number().into());
    object.insert("message".to_owned(), status.message().into());
    if let Some(delay) = status.retry_after {
        let info = json!({"@type": RETRY_INFO, "retryDelay": seconds(delay)});
        object.insert("details".to_owned(), Value::Array(vec![info]));
    }
    Value::Object(object).to_string().into()
}

/// Reads `google.rpc.Status`; `None` when the body is no JSON object. As in protobuf, what cannot be read is left at its
/// default.
pub(crate) fn decode_status(body: &[u8]) -> Option<Status> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return None };
    let number = object.get("code").and_then(Value::as_i64).unwrap_or(0);
    let message = object.get("message").and_then(Value::as_str).unwrap_or_default();
    let mut status = Status::new(Code::from_number(number), message);
    let details = object.get("details").and_then(Value::as_array);
    let infos = details.into_iter().flatten().filter(|detail| text(detail, "@type") == Some(RETRY_INFO));
    let mut delays = infos.filter_map(|info| duration(text(info, "retryDelay")?));
    status.retry_after = delays.next();
    Some(status)
}

/// Reads an `Export*ServiceResponse`; `None` when all of the request was accepted without a word.
pub(crate) fn decode_partial(body: &[u8]) -> Option<PartialSuccess> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    let partial = member(&whole, ["partialSuccess", "partial_success"])?;
    let counts = [
        ["rejectedLogRecords", "rejected_log_records"],
        ["rejectedSpans", "rejected_spans"],
        ["rejectedDataPoints", "rejected_data_points"],
    ];
    let count = counts.into_iter().find_map(|names| member(partial, names));
    // A number of 64 bits is a string in proto3's JSON.
    let rejected = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    let message = member(partial, ["errorMessage", "error_message"]).and_then(Value::as_str);
    let partial =
        PartialSuccess { rejected: rejected.unwrap_or(0), message: message.unwrap_or_default().to_owned() };
    (partial != PartialSuccess::default()).then_some(partial)
}

fn member<'a>(value: &'a Value, names: [&str; 2]) -> Option<&'a Value> {
    names.into_iter().find_map(|name| value.get(name))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// `google.protobuf.Duration`: seconds with a fraction and an `s`.
fn seconds(delay: Duration) -> String {
    match delay.subsec_nanos() {
        0 => format!("{}s", delay.as_secs()),
        nanos => format!("{}.{nanos:09}s", delay.as_secs()),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(Duration::new(whole.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_json() {
        let plain = Status::new(Code::InvalidArgument, "br\u{f6}ken \"5\"");
        assert_eq!(&*encode_status(&plain), "{\"code\":3,\"message\":\"br\u{f6}ken \\\"5\\\"\"}".as_bytes());
        let delayed = Status::new(Code::ResourceExhausted, "full").retry_after(Duration::from_millis(1500));
        let expected = r#"{"code":8,"message":"full","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500000000s"}]}"#;
        assert_eq!(&*encode_status(&delayed), expected.as_bytes());
        for status in [plain, delayed, Status::new(Code::Unavailable, "").retry_after(Duration::from_secs(3))]
        {
            assert_eq!(decode_status(&encode_status(&status)), Some(status));
        }
        assert_eq!(decode_status(b"<html>"), None);
        assert_eq!(decode_status(b"[]"), None);
    }

    #[test]
    fn durations_have_a_fraction_or_none_and_never_a_sign() {
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("7s"), Some(Duration::from_secs(7)));
        for text in ["-1s", "1", "1.0000000001s", "1.+5s", "s", "xs"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_partial_success_of_any_signal_is_read_and_an_empty_one_is_none() {
        let some = |rejected, message: &str| Some(PartialSuccess { rejected, message: message.to_owned() });
        for (json, expected) in [
            (r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}"#, some(3, "old")),
            (r#"{"partialSuccess":{"rejectedSpans":3}}"#, some(3, "")),
            (r#"{"partial_success":{"rejected_data_points":"3","error_message":"a"}}"#, some(3, "a")),
            (r#"{"partialSuccess":{"rejectedSpans":"-3","errorMessage":"warning"}}"#, some(0, "warning")),
            (r#"{"partialSuccess":{}}"#, None),
            (r#"{"partialSuccess":null}"#, None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(decode_partial(json.as_bytes()), expected, "{json}");
        }
    }
}
