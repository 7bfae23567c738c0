//! Telemetry as text: all that a client can say, none of what SDKs may do differently (the order of attributes and
//! metrics, how much stands in one request).

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use streamgauge_harness::Telemetry;

/// Spans, metrics and log records that each client sends.
pub const EXPECTED_RECORDS: usize = 2 + 5 + 2;

pub fn records(taken: &[Telemetry]) -> usize {
    blocks(taken).len()
}

/// Every record under its resource and scope.
pub fn text(taken: &[Telemetry]) -> String {
    let mut blocks = blocks(taken);
    blocks.sort();
    blocks.join("\n")
}

fn blocks(taken: &[Telemetry]) -> Vec<String> {
    let mut blocks = Vec::new();
    for telemetry in taken {
        match telemetry {
            Telemetry::Traces(traces) => {
                for resource in &traces.resource_spans {
                    for scope in &resource.scope_spans {
                        let head = head(&resource.resource, &scope.scope);
                        blocks.extend(scope.spans.iter().map(|one| format!("{}{head}", span(one))));
                    }
                }
            }
            Telemetry::Metrics(metrics) => {
                for resource in &metrics.resource_metrics {
                    for scope in &resource.scope_metrics {
                        let head = head(&resource.resource, &scope.scope);
                        blocks.extend(scope.metrics.iter().map(|one| format!("{}{head}", metric(one))));
                    }
                }
            }
            Telemetry::Logs(logs) => {
                for resource in &logs.resource_logs {
                    for scope in &resource.scope_logs {
                        let head = head(&resource.resource, &scope.scope);
                        blocks.extend(scope.log_records.iter().map(|one| format!("{}{head}", log(one))));
                    }
                }
            }
        }
    }
    blocks
}

fn head(resource: &Option<Resource>, scope: &Option<InstrumentationScope>) -> String {
    let (resource, scope) = (resource.clone().unwrap_or_default(), scope.clone().unwrap_or_default());
    format!(
        "  resource {}\n  scope {} {} {}\n",
        attributes(&resource.attributes),
        scope.name,
        scope.version,
        attributes(&scope.attributes)
    )
}

fn span(span: &Span) -> String {
    // Not its flags: Python leaves out the bits of W3C, others those that say whether the parent is remote.
    let mut out = format!(
        "span {:?} kind {} trace {} id {} parent {} times {} {}\n  attributes {}\n",
        span.name,
        span.kind,
        hex(&span.trace_id),
        hex(&span.span_id),
        hex(&span.parent_span_id),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        attributes(&span.attributes)
    );
    for event in &span.events {
        let attributes = attributes(&event.attributes);
        writeln!(out, "  event {:?} time {} {attributes}", event.name, event.time_unix_nano).unwrap();
    }
    for link in &span.links {
        let (trace, id) = (hex(&link.trace_id), hex(&link.span_id));
        writeln!(out, "  link trace {trace} id {id} {}", attributes(&link.attributes)).unwrap();
    }
    let status = span.status.clone().unwrap_or_default();
    writeln!(out, "  status {} {:?}", status.code, status.message).unwrap();
    out
}

fn log(record: &LogRecord) -> String {
    format!(
        "log {} severity {} {:?} times {} {} trace {} span {} flags {}\n  attributes {}\n",
        record.body.as_ref().map(any).unwrap_or_default(),
        record.severity_number,
        record.severity_text,
        record.time_unix_nano,
        record.observed_time_unix_nano,
        hex(&record.trace_id),
        hex(&record.span_id),
        record.flags,
        attributes(&record.attributes)
    )
}

fn metric(metric: &Metric) -> String {
    let mut out = format!("metric {} unit {:?} {:?}\n", metric.name, metric.unit, metric.description);
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            let (kind, monotonic) = (sum.aggregation_temporality, sum.is_monotonic);
            writeln!(out, "  sum temporality {kind} monotonic {monotonic}").unwrap();
            sum.data_points.iter().for_each(|one| out.push_str(&number(one)));
        }
        Data::Gauge(gauge) => {
            out.push_str("  gauge\n");
            gauge.data_points.iter().for_each(|one| out.push_str(&number(one)));
        }
        Data::Histogram(histogram) => {
            writeln!(out, "  histogram temporality {}", histogram.aggregation_temporality).unwrap();
            histogram.data_points.iter().for_each(|one| out.push_str(&distribution(one)));
        }
        other => panic!("no client sends {other:?}"),
    }
    out
}

fn number(point: &NumberDataPoint) -> String {
    let value = match point.value.unwrap() {
        Number::AsInt(value) => value.to_string(),
        Number::AsDouble(value) => format!("{value:?}"),
    };
    format!("  point {value} {}\n", attributes(&point.attributes))
}

fn distribution(point: &HistogramDataPoint) -> String {
    format!(
        "  point count {} sum {:?} min {:?} max {:?} bounds {:?} counts {:?} {}\n",
        point.count,
        point.sum,
        point.min,
        point.max,
        point.explicit_bounds,
        point.bucket_counts,
        attributes(&point.attributes)
    )
}

fn attributes(pairs: &[KeyValue]) -> String {
    let shown =
        |pair: &KeyValue| format!("{}={}", pair.key, pair.value.as_ref().map(any).unwrap_or_default());
    let mut pairs: Vec<String> = pairs.iter().map(shown).collect();
    pairs.sort();
    format!("{{{}}}", pairs.join(", "))
}

fn any(value: &AnyValue) -> String {
    match &value.value {
        None => "empty".to_owned(),
        Some(Value::StringValue(text)) => format!("{text:?}"),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => format!("{value:?}"),
        Some(Value::BytesValue(bytes)) => format!("0x{}", hex(bytes)),
        Some(Value::ArrayValue(array)) => {
            format!("[{}]", array.values.iter().map(any).collect::<Vec<_>>().join(", "))
        }
        Some(Value::KvlistValue(list)) => attributes(&list.values),
        Some(other) => panic!("no client sends {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SDK takes a metric's times itself: each point must end between the client's start and now, and not before its
/// own start.
#[track_caller]
pub fn metrics_are_of_now(taken: &[Telemetry], before: SystemTime) {
    let nanos = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    // JavaScript's clock may be a millisecond off: it adds two clocks of less precision.
    let (before, now) =
        (nanos(before - Duration::from_millis(10)), nanos(SystemTime::now() + Duration::from_millis(10)));
    let mut points = 0;
    for (start, time) in taken.iter().flat_map(times) {
        assert!((before..=now).contains(&time) && start <= time, "{before} <= {start} <= {time} <= {now}");
        points += 1;
    }
    assert_eq!(points, 5);
}

fn times(telemetry: &Telemetry) -> Vec<(u64, u64)> {
    let Telemetry::Metrics(metrics) = telemetry else { return Vec::new() };
    let scopes = metrics.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let data = scopes.flat_map(|scope| &scope.metrics).filter_map(|metric| metric.data.as_ref());
    data.flat_map(|data| match data {
        Data::Sum(sum) => number_times(&sum.data_points),
        Data::Gauge(gauge) => number_times(&gauge.data_points),
        Data::Histogram(histogram) => {
            let points = histogram.data_points.iter();
            points.map(|point| (point.start_time_unix_nano, point.time_unix_nano)).collect()
        }
        _ => Vec::new(),
    })
    .collect()
}

fn number_times(points: &[NumberDataPoint]) -> Vec<(u64, u64)> {
    points.iter().map(|point| (point.start_time_unix_nano, point.time_unix_nano)).collect()
}
