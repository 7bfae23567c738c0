//! OTLP/JSON in and out. What goes in is written, and what comes out is read, by the official types' own serde.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::to_vec;
use streamgauge_harness::{OtlpSink, Telemetry, http, poll_until};
use streamgauge_transport::Codec;

use crate::support::{Running, SOON};

const TIME: u64 = 1_700_000_000_123_456_789; // more digits than a double holds

#[test]
fn every_signal_goes_in_as_json_and_out_as_protobuf_plain_and_packed() {
    let sink = OtlpSink::grpc();
    let running = Running::start(
        &format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}}}
exporters: {{otlp_grpc: {{endpoint: {}, tls: {{insecure: true}}}}}}
{PIPELINES}",
            sink.addr()
        )
        .replace("EXPORTER", "otlp_grpc"),
    );
    for packing in ["identity", "gzip", "zstd"] {
        for (path, json, sent) in [
            ("/v1/traces", to_vec(&traces()).unwrap(), Telemetry::Traces(traces())),
            ("/v1/metrics", to_vec(&metrics()).unwrap(), Telemetry::Metrics(metrics())),
            ("/v1/logs", to_vec(&logs()).unwrap(), Telemetry::Logs(logs())),
        ] {
            let headers =
                [("content-type", "application/json; charset=utf-8"), ("content-encoding", packing)];
            let url = format!("{}{path}", running.http_url());
            let answer = http::request("POST", &url, &headers, &packed(packing, &json)).unwrap();
            assert_eq!(
                (answer.status, &*answer.text()),
                (200, r#"{"partialSuccess":{}}"#),
                "{packing} {path}"
            );
            poll_until("it arrives", SOON, || (sink.received().len() == 1).then_some(()));
            assert_eq!(sink.taken(), [sent], "{packing} {path}");
            sink.clear();
        }
    }
}

#[test]
fn every_signal_goes_in_as_protobuf_and_out_as_json() {
    let sink = OtlpSink::http();
    for compression in ["none", "gzip"] {
        let running = Running::start(
            &format!(
                "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{{http}}'}}}}}}}}
exporters: {{otlp_http: {{endpoint: '{}', encoding: json, compression: {compression}}}}}
{PIPELINES}",
                sink.url()
            )
            .replace("EXPORTER", "otlp_http"),
        );
        for (path, body, sent) in [
            ("/v1/traces", traces().encode_to_vec(), Telemetry::Traces(traces())),
            ("/v1/metrics", metrics().encode_to_vec(), Telemetry::Metrics(metrics())),
            ("/v1/logs", logs().encode_to_vec(), Telemetry::Logs(logs())),
        ] {
            let url = format!("{}{path}", running.http_url());
            assert_eq!(http::post(&url, "application/x-protobuf", &body).unwrap().status, 200);
            poll_until("it arrives", SOON, || (sink.received().len() == 1).then_some(()));
            assert_eq!(sink.received()[0].headers["content-type"], "application/json");
            assert_eq!(sink.taken(), [sent], "{compression} {path}");
            sink.clear();
        }
    }
}

#[test]
fn malformed_json_is_400_with_its_place_and_too_much_of_it_is_413() {
    let running = Running::start(
        &"receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{http}', max_request_body_size: 4096}}}}
exporters: {nop: }
PIPELINES"
            .replace("PIPELINES", PIPELINES)
            .replace("EXPORTER", "nop"),
    );
    let post = |packing: &str, body: &[u8]| {
        let headers = [("content-type", "application/json"), ("content-encoding", packing)];
        http::request("POST", &format!("{}/v1/logs", running.http_url()), &headers, body).unwrap()
    };
    let wrong = b"{\"resourceLogs\":[\n  {\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":1.5}]}]}]}";
    for (packing, body) in [("identity", wrong.to_vec()), ("gzip", packed("gzip", wrong))] {
        let answer = post(packing, &body);
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(3)));
        let text = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(text.contains("line 2, column") && text.contains("logRecords[0].timeUnixNano"), "{text}");
    }
    let cut = post("identity", &wrong[..30]);
    assert!(cut.status == 400 && cut.text().contains("line 2, column"), "{}", cut.text());

    let large = format!("{{\"resourceLogs\":[{}]}}", vec!["{}"; 4096].join(","));
    for (packing, body) in
        [("identity", large.as_bytes().to_vec()), ("gzip", packed("gzip", large.as_bytes()))]
    {
        let answer = post(packing, &body);
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (413, Some(8)), "{packing}");
    }
}

const PIPELINES: &str = "service:
  pipelines:
    traces: {receivers: [otlp], exporters: [EXPORTER]}
    metrics: {receivers: [otlp], exporters: [EXPORTER]}
    logs: {receivers: [otlp], exporters: [EXPORTER]}
";

fn packed(packing: &str, body: &[u8]) -> Vec<u8> {
    match packing {
        "gzip" => Codec::Gzip.pack(body, None).unwrap().into(),
        "zstd" => Codec::Zstd.pack(body, None).unwrap().into(),
        _ => body.to_vec(),
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attributes() -> Vec<KeyValue> {
    let list = vec![any(Value::BoolValue(true)), any(Value::DoubleValue(-0.25))];
    let values = vec![
        ("text", Value::StringValue("line\nbreak \"quoted\" \u{1f30a} \u{0}".to_owned())),
        ("int", Value::IntValue(i64::MIN)),
        ("double", Value::DoubleValue(1e300)),
        ("bool", Value::BoolValue(false)),
        ("bytes", Value::BytesValue(vec![0, 0xff, 0x7f])),
        ("list", Value::ArrayValue(ArrayValue { values: list })),
        ("map", Value::KvlistValue(KeyValueList { values: vec![pair("inner", Value::IntValue(7))] })),
    ];
    values.into_iter().map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: attributes(), dropped_attributes_count: 3, ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    let (name, version) = ("lib".to_owned(), "1.2".to_owned());
    Some(InstrumentationScope { name, version, attributes: attributes(), dropped_attributes_count: 1 })
}

fn traces() -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: (1..=16).collect(),
        span_id: (0xf0..=0xf7).collect(),
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![9; 8],
        flags: 0x301,
        name: "GET /".to_owned(),
        kind: 3,
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + 1,
        attributes: attributes(),
        events: vec![Event {
            time_unix_nano: TIME,
            name: "e".to_owned(),
            attributes: attributes(),
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            attributes: attributes(),
            ..Link::default()
        }],
        status: Some(Status { message: "no".to_owned(), code: 2 }),
        ..Span::default()
    };
    let scope_spans =
        vec![ScopeSpans { scope: scope(), spans: vec![span, Span::default()], schema_url: "s".to_owned() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(), scope_spans, schema_url: "r".to_owned() }];
    ExportTraceServiceRequest { resource_spans }
}

fn metrics() -> ExportMetricsServiceRequest {
    let point = |value| NumberDataPoint {
        attributes: attributes(),
        start_time_unix_nano: TIME,
        time_unix_nano: TIME + 1,
        value: Some(value),
        ..NumberDataPoint::default()
    };
    let data_points = vec![point(Number::AsInt(i64::MAX)), point(Number::AsDouble(0.0))];
    let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
    let histogram = HistogramDataPoint {
        time_unix_nano: TIME,
        count: 3,
        sum: Some(0.0),
        bucket_counts: vec![1, 0, 2],
        explicit_bounds: vec![0.5, 10.0],
        min: Some(-1.5),
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![histogram], aggregation_temporality: 1 };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        unit: "1".to_owned(),
        description: "d".to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let metrics = vec![metric("sum", Data::Sum(sum)), metric("histogram", Data::Histogram(histogram))];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn logs() -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: TIME,
        observed_time_unix_nano: TIME + 1,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(any(Value::StringValue("\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}".to_owned()))),
        attributes: attributes(),
        flags: 1,
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        event_name: "started".to_owned(),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}
