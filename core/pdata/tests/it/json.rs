//! OTLP/JSON against prost, against what the official types' serde writes, and against the mapping. Their reading is no
//! oracle: it refuses null and empty arrays, and loses NaN and enum names.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, number_data_point};
use proptest::prelude::*;
use prost::Message;
use streamgauge_pdata::json::{JsonError, read, write};
use streamgauge_pdata::{Signal, check};

use crate::decoded::Decoded;
use crate::sample::Gen;

fn text(signal: Signal, bytes: &[u8]) -> String {
    let written = write(signal, bytes).unwrap();
    assert_eq!(written.broken, 0);
    String::from_utf8(written.json).unwrap()
}

/// A log record from its members.
fn log(members: &str) -> Result<LogRecord, JsonError> {
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{members}}}]}}]}}]}}"#);
    let bytes = read(Signal::Logs, json.as_bytes())?;
    let mut request = ExportLogsServiceRequest::decode(&*bytes).unwrap();
    Ok(request.resource_logs.remove(0).scope_logs.remove(0).log_records.remove(0))
}

fn metric(members: &str) -> Result<Metric, JsonError> {
    let json = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{members}}}]}}]}}]}}"#);
    let bytes = read(Signal::Metrics, json.as_bytes())?;
    let mut request = ExportMetricsServiceRequest::decode(&*bytes).unwrap();
    Ok(request.resource_metrics.remove(0).scope_metrics.remove(0).metrics.remove(0))
}

fn body(value: &str) -> Option<Value> {
    log(&format!(r#""body":{value}"#)).unwrap().body.unwrap().value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes_to_json_and_back_mean_the_same_to_prost(seed: u64, which in 0usize..3) {
        let signal = Signal::ALL[which];
        let bytes = Gen::new(seed).request(signal);
        let json = text(signal, &bytes);
        let back = read(signal, json.as_bytes()).unwrap();
        prop_assert_eq!(check(signal, &back), check(signal, &bytes));
        prop_assert_eq!(Decoded::new(signal, &back).text(), Decoded::new(signal, &bytes).text());
        prop_assert_eq!(text(signal, &back), json);
    }

    #[test]
    fn what_the_official_types_write_is_read_as_they_mean_it(seed: u64) {
        let mut g = Gen::new(seed);
        let (logs, traces, metrics) = (g.logs(), g.traces(), g.metrics());
        let json = serde_json::to_vec(&logs).unwrap();
        prop_assert_eq!(ExportLogsServiceRequest::decode(&*read(Signal::Logs, &json).unwrap()).unwrap(), logs);
        let json = serde_json::to_vec(&traces).unwrap();
        prop_assert_eq!(ExportTraceServiceRequest::decode(&*read(Signal::Traces, &json).unwrap()).unwrap(), traces);
        let json = serde_json::to_vec(&metrics).unwrap();
        prop_assert_eq!(ExportMetricsServiceRequest::decode(&*read(Signal::Metrics, &json).unwrap()).unwrap(), metrics);
    }
}

#[test]
fn ids_are_hex_in_either_case_and_an_empty_one_is_none() {
    let record = log(r#""traceId":"5B8EFFF798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#).unwrap();
    assert_eq!(record.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
    assert_eq!(record.span_id, [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
    assert!(log(r#""traceId":"","spanId":null"#).unwrap().trace_id.is_empty());
}

#[test]
fn integers_are_strings_or_numbers_and_exact() {
    for time in [
        "\"1544712660300000001\"",
        "1544712660300000001",
        "1544712660300000001.0",
        "\"1.544712660300000001e18\"",
    ] {
        assert_eq!(
            log(&format!(r#""timeUnixNano":{time}"#)).unwrap().time_unix_nano,
            1_544_712_660_300_000_001
        );
    }
    assert_eq!(body(r#"{"intValue":"-9223372036854775808"}"#), Some(Value::IntValue(i64::MIN)));
    assert_eq!(body(r#"{"intValue":0}"#), Some(Value::IntValue(0)));
    assert_eq!(log(r#""flags":"257","droppedAttributesCount":4294967295"#).unwrap().flags, 257);
}

#[test]
fn doubles_are_numbers_strings_or_words() {
    for (json, expected) in
        [("1", 1.0), ("-1.5e-3", -0.0015), ("\"2.5\"", 2.5), ("\"-Infinity\"", f64::NEG_INFINITY)]
    {
        assert_eq!(body(&format!(r#"{{"doubleValue":{json}}}"#)), Some(Value::DoubleValue(expected)));
    }
    let metric =
        metric(r#""gauge":{"dataPoints":[{"asDouble":"NaN"},{"asDouble":0},{"asInt":"-3"}]}"#).unwrap();
    let Some(Data::Gauge(gauge)) = metric.data else { panic!("no gauge") };
    let values: Vec<_> = gauge.data_points.iter().map(|point| point.value.unwrap()).collect();
    assert!(matches!(values[0], number_data_point::Value::AsDouble(value) if value.is_nan()));
    assert_eq!(values[1], number_data_point::Value::AsDouble(0.0));
    assert_eq!(values[2], number_data_point::Value::AsInt(-3));
}

#[test]
fn enums_are_numbers_or_names_and_an_unknown_number_survives() {
    assert_eq!(log(r#""severityNumber":17"#).unwrap().severity_number, 17);
    assert_eq!(log(r#""severityNumber":"SEVERITY_NUMBER_WARN2""#).unwrap().severity_number, 14);
    assert_eq!(log(r#""severityNumber":99"#).unwrap().severity_number, 99);
    let metric = metric(r#""sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE"}"#).unwrap();
    assert!(matches!(metric.data, Some(Data::Sum(sum)) if sum.aggregation_temporality == 2));
}

#[test]
fn bytes_are_base64_also_with_the_slashes_that_some_writers_escape() {
    for json in [r#""\/\u002b8=""#, r#""_-8""#] {
        assert_eq!(body(&format!(r#"{{"bytesValue":{json}}}"#)), Some(Value::BytesValue(vec![0xff, 0xef])));
    }
}

#[test]
fn original_names_escaped_names_and_unknown_fields_are_taken() {
    let record = log(
        r#""time_unix_nano":7,"sever\u0069tyText":"a\n\u00e9\ud83d\ude00","new":{"a":[1,"}",{"b":null}],"c":-1.5e3},"event_name":"e""#,
    );
    let record = record.unwrap();
    assert_eq!(
        (record.time_unix_nano, &*record.severity_text, &*record.event_name),
        (7, "a\n\u{e9}\u{1f600}", "e")
    );
}

#[test]
fn null_is_an_absent_field_and_an_empty_element() {
    for signal in Signal::ALL {
        assert_eq!(read(signal, b" null ").unwrap(), b"");
        assert_eq!(read(signal, b"{}").unwrap(), b"");
    }
    let nulls = r#""timeUnixNano":null,"severityNumber":null,"body":null,"attributes":null,"flags":null,"traceId":null"#;
    assert_eq!(log(nulls).unwrap(), LogRecord::default());
    let Some(Value::ArrayValue(array)) = body(r#"{"arrayValue":{"values":[null,{"stringValue":""},{}]}}"#)
    else {
        panic!("no array")
    };
    let values: Vec<_> = array.values.into_iter().map(|value| value.value).collect();
    assert_eq!(values, [None, Some(Value::StringValue(String::new())), None]);
    let request = read(Signal::Logs, br#"{"resourceLogs":[null,{"scopeLogs":[null]}]}"#).unwrap();
    assert_eq!(check(Signal::Logs, &request), Ok(0));
    assert_eq!(ExportLogsServiceRequest::decode(&*request).unwrap().resource_logs.len(), 2);
}

#[test]
fn faults_are_told_with_path_line_and_column() {
    let prefix = "{\n  \"resourceLogs\": [{\"scopeLogs\": [{\"logRecords\": [{}, {\n";
    for (member, path, column, what) in [
        (r#""traceId": "5b8e""#, ".traceId", 12, "32 hex digits are expected"),
        (r#""spanId": "zzzzzzzzzzzzzzzz""#, ".spanId", 11, "16 hex digits are expected"),
        (r#""traceId": 5"#, ".traceId", 12, "a string of hex digits is expected, a number was found"),
        (r#""timeUnixNano": "-1""#, ".timeUnixNano", 17, "must not be negative"),
        (r#""timeUnixNano": {}"#, ".timeUnixNano", 17, "a number is expected, an object was found"),
        (r#""flags": 4294967296"#, ".flags", 10, "not within 32 bits without a sign"),
        (r#""severityNumber": "WARN""#, ".severityNumber", 19, "not a name of this enum"),
        (r#""severityNumber": 3000000000"#, ".severityNumber", 19, "not within 32 bits"),
        (r#""attributes": {}"#, ".attributes", 15, "an array is expected, an object was found"),
        (
            r#""attributes": [{"key":"é","value":{"intValue":1.5}}]"#,
            ".attributes[0].value.intValue",
            47,
            "not an integer of 64 bits",
        ),
        (r#""body": "text""#, ".body", 9, "an object is expected, a string was found"),
        (
            r#""body": {"boolValue": "true"}"#,
            ".body.boolValue",
            23,
            "true or false is expected, a string was found",
        ),
        (r#""body": {"bytesValue": "!"}"#, ".body.bytesValue", 24, "not base64"),
        (r#""body": {"doubleValue": 1e999}"#, ".body.doubleValue", 25, "not a double"),
        ("\"severityText\": \"a\u{1}\"", ".severityText", 19, "a control character must be escaped"),
        (r#""severityText": "\x""#, ".severityText", 18, "an escape that JSON does not have"),
        (r#""severityText": "open"#, ".severityText", 17, "the string does not end"),
        (r#""flags": 01"#, ".flags", 10, "not a number"),
        (r#""flags" 1"#, "", 9, "`:` is expected, a number was found"),
        (r#""flags": 1,"#, "", 12, "a member's name is expected, the text ends"),
        (r#""flags": 1 "x""#, "", 12, "`,` or `}` is expected, a string was found"),
        (r#""x": tru"#, "", 6, "a value is expected, a boolean was found"),
    ] {
        let json = format!("{prefix}{member}");
        let error = read(Signal::Logs, json.as_bytes()).unwrap_err();
        let path = format!("resourceLogs[0].scopeLogs[0].logRecords[1]{path}");
        let expected = JsonError { path, line: 3, column, what: what.to_owned() };
        assert_eq!(error, expected, "{member}");
    }
    let error = read(Signal::Logs, b"{\"resourceLogs\":[{\"schemaUrl\":5}]}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed OTLP/JSON at line 1, column 31 in resourceLogs[0].schemaUrl: a string is expected, a number was found"
    );
    for (json, what) in [
        (&b""[..], "an object is expected, the text ends"),
        (b"[]", "an object is expected, an array was found"),
        (b"{} {}", "the text goes on behind its end"),
        (b"{\"a\":\"\xff\"}", "the text is not UTF-8"),
    ] {
        assert_eq!(read(Signal::Traces, json).unwrap_err().what, what);
    }
    let nulls = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[1,null]}]}}]}]}]}"#;
    let error = read(Signal::Metrics, nulls).unwrap_err();
    assert!(error.path.ends_with("dataPoints[0].bucketCounts[1]"), "{error}");
}

#[test]
fn depth_is_bounded_and_what_is_within_the_bound_is_read_by_prost() {
    let nested = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let close = "]}}".repeat(levels);
        log(&format!(r#""body":{open}{{"intValue":1}}{close}"#))
    };
    // The record's body is the fourth message below the request; every level adds two.
    assert!(nested(48).is_ok());
    let error = nested(49).unwrap_err();
    assert_eq!(error.what, "nested deeper than 100 levels");
    let unknown = format!(r#""unknown":{}{}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(log(&unknown).unwrap_err().what, "nested deeper than 100 levels");
}

#[test]
fn defaults_are_left_out_and_integers_of_64_bits_are_strings() {
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","flags":257,"kind":2,"endTimeUnixNano":"1544712661000000000","attributes":[{"key":"a","value":{"intValue":"0"}},{"key":"b","value":{"bytesValue":"/+8="}},{"key":"c","value":{"doubleValue":1e-7}}],"status":{}}]}]}]}"#;
    let bytes = read(Signal::Traces, json.as_bytes()).unwrap();
    assert_eq!(text(Signal::Traces, &bytes), json);
    let zeros = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"","kind":0,"flags":0,"startTimeUnixNano":"0","attributes":[]}]}]}]}"#;
    let bytes = read(Signal::Traces, zeros.as_bytes()).unwrap();
    assert_eq!(text(Signal::Traces, &bytes), r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}"#);
}

#[test]
fn a_broken_record_is_left_out_and_counted_and_its_neighbours_are_written() {
    // Three records, the second with a severity text that is not UTF-8.
    let request = [0x0a, 13, 0x12, 11, 0x12, 2, 0x40, 1, 0x12, 3, 0x1a, 1, 0xff, 0x12, 0];
    let mut request = request.to_vec();
    request[6..8].copy_from_slice(&[0x38, 1]);
    let written = write(Signal::Logs, &request).unwrap();
    let json = String::from_utf8(written.json).unwrap();
    assert_eq!(
        json,
        r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"droppedAttributesCount":1},{}]}]}]}"#
    );
    assert_eq!(written.broken, 1);
    // A metric whose name is not UTF-8 takes its two points along.
    let request = [0x0a, 13, 0x12, 11, 0x12, 9, 0x0a, 1, 0xff, 0x2a, 4, 0x0a, 0, 0x0a, 0];
    assert_eq!(check(Signal::Metrics, &request), Ok(2));
    let written = write(Signal::Metrics, &request).unwrap();
    assert_eq!((written.broken, &*written.json), (2, &br#"{"resourceMetrics":[{"scopeMetrics":[{}]}]}"#[..]));
    assert!(write(Signal::Logs, &[0x0a, 200]).is_err());
}
