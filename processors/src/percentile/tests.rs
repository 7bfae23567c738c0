use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Kind, Outcome, Signal};
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::view::Temporality;

use super::{CONNECTOR, FACTORY};
use crate::testing::{EPOCH, SECOND, bench, create, examples, lines, read};

const LATENCY: &str = "
rules:
  - {metric: app.latency, by: [route], window: 5m, interval: 10s, quantiles: [0.5, 0.99]}
";

fn processor(yaml: &str) -> Bench {
    bench((FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml)).unwrap())
}

fn connector(yaml: &str) -> Bench {
    bench((CONNECTOR.create)(create(&CONNECTOR.config, Kind::Connector, &[Signal::Metrics], yaml)).unwrap())
}

fn gauge(route: &str, values: impl IntoIterator<Item = f64>) -> Bytes {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("app", "1");
        let mut gauge = scope.gauge("app.latency", "ms", "");
        for value in values {
            gauge.point(1).attribute("route", route).attribute("code", 200i64).double(value);
        }
    }
    request.finish()
}

/// Hands over a request that must pass unchanged, with nothing created yet.
fn pass(bench: &mut Bench, source: &Source, request: Bytes) {
    let mut sent = bench.process(source.batch(Signal::Metrics, request.clone(), 1));
    assert_eq!(sent.len(), 1);
    let passed = sent.remove(0);
    assert_eq!(passed.parts[0].bytes, request);
    passed.settle(&Outcome::Delivered);
}

fn value(line: &str) -> f64 {
    line.rsplit_once(" = ").unwrap().1.split(' ').next().unwrap().parse().unwrap()
}

fn seconds(bench: &mut Bench, seconds: u64) -> Vec<String> {
    lines(&bench.advance(Duration::from_secs(seconds)))
}

#[test]
fn quantiles_of_a_gauge_are_within_1_1_percent_for_each_group_every_interval() {
    let (mut bench, source) = (processor(LATENCY), Source::new());
    pass(&mut bench, &source, gauge("/a", (1..=1000).map(f64::from)));
    pass(&mut bench, &source, gauge("/b", [7.0]));
    assert!(seconds(&mut bench, 9).is_empty());
    let mut found = seconds(&mut bench, 1);
    found.sort();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("service.name=shop | app.latency.quantile{route=/a,quantile=0.5} ms = "));
    assert!((value(&found[0]) / 500.0 - 1.0).abs() <= 0.011, "{}", found[0]);
    assert!((value(&found[1]) / 990.0 - 1.0).abs() <= 0.011, "{}", found[1]);
    assert_eq!(found[3], "service.name=shop | app.latency.quantile{route=/b,quantile=0.99} ms = 7 @10");
    assert_eq!(seconds(&mut bench, 30).len(), 12, "three intervals more");
    assert!(source.all_delivered());
    assert_eq!(bench.tally().created_items(), 16);
}

#[test]
fn values_leave_the_window_and_then_the_series_ends_once() {
    let (mut bench, source) = (processor(&LATENCY.replace("5m", "1m").replace("0.5, ", "")), Source::new());
    pass(&mut bench, &source, gauge("/a", [10.0]));
    seconds(&mut bench, 30);
    pass(&mut bench, &source, gauge("/a", [1.0]));
    let found = seconds(&mut bench, 40);
    assert!(found[0].ends_with("= 10 @40"), "{found:?}");
    assert!(found[3].ends_with("= 1 @70"), "the first value is older than the window: {found:?}");
    let rest = seconds(&mut bench, 600);
    assert!(rest.last().unwrap().contains("= none @"), "{rest:?}");
    assert_eq!(rest.iter().filter(|line| line.contains("none")).count(), 1);
}

fn histogram(time: u64, start: u64, counts: &[u64]) -> Bytes {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("app", "1");
        let mut metric = scope.histogram("app.latency", "ms", "", Temporality::Cumulative);
        metric
            .point((EPOCH + time) * SECOND)
            .start((EPOCH + start) * SECOND)
            .attribute("route", "/a")
            .count(counts.iter().sum())
            .sum(1.0)
            .buckets(&[10.0, 20.0, 50.0], counts);
    }
    request.finish()
}

#[test]
fn a_cumulative_histogram_counts_what_it_grew_by() {
    let (mut bench, source) = (processor(LATENCY), Source::new());
    pass(&mut bench, &source, histogram(0, 0, &[1_000_000, 0, 0, 0]));
    assert!(seconds(&mut bench, 20).is_empty(), "the first point says nothing");
    pass(&mut bench, &source, histogram(20, 0, &[1_000_000, 100, 0, 0]));
    let found = seconds(&mut bench, 10);
    assert!((value(&found[0]) - 15.0).abs() < 0.4, "evenly between 10 and 20: {found:?}");
}

#[test]
fn an_exponential_histogram_is_taken_as_it_is() {
    let (mut bench, source) = (processor(LATENCY), Source::new());
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(());
        let mut scope = resource.scope("app", "1");
        let mut metric = scope.exponential_histogram("app.latency", "ms", "", Temporality::Delta);
        metric
            .point(1)
            .count(100)
            .sum(1.0)
            .scale(5)
            .zero(0, 0.0)
            .positive(32 * 3, [50, 50])
            .min(8.1)
            .max(8.3);
    }
    pass(&mut bench, &source, request.finish());
    let found = seconds(&mut bench, 10);
    assert!((value(&found[0]) / 8.1 - 1.0).abs() < 0.011, "{found:?}");
    assert!(found[0].contains("{quantile=0.5}"), "without the attribute the group is without it: {found:?}");
}

#[test]
fn spans_and_logs_feed_the_connector_and_end_there() {
    let yaml = "
rules:
  - {span: duration, by: [service.name, span.name, status.code], quantiles: [0.5]}
  - {attribute: took, unit: ms, match: {queue: mail}, quantiles: [1]}
";
    let (mut bench, source) = (connector(yaml), Source::new());
    let span = |name: &str, millis: u64| Span {
        name: name.into(),
        start_time_unix_nano: EPOCH * SECOND,
        end_time_unix_nano: EPOCH * SECOND + millis * 1_000_000,
        ..Span::default()
    };
    let text = |text: &str| Some(AnyValue { value: Some(any_value::Value::StringValue(text.into())) });
    let mut resource = opentelemetry_proto::tonic::resource::v1::Resource::default();
    resource.attributes.push(KeyValue {
        key: "service.name".into(),
        value: text("shop"),
        ..KeyValue::default()
    });
    let spans = (1..=99).map(|n| span("GET", n)).chain([span("PUT", 5000)]).collect();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    assert!(bench.process(source.batch(Signal::Traces, request.encode_to_vec(), 100)).is_empty());
    let mut logs = LogsBuilder::new();
    {
        let mut resource = logs.resource(());
        let mut scope = resource.scope("", "");
        scope.record(1).attribute("queue", "mail").attribute("took", "12.5");
        scope.record(1).attribute("queue", "mail").attribute("took", 9i64);
        scope.record(1).attribute("queue", "mail").attribute("took", "long");
        scope.record(1).attribute("queue", "other").attribute("took", 99i64);
    }
    assert!(bench.process(source.batch(Signal::Logs, logs.finish(), 4)).is_empty());
    assert!(source.all_delivered());
    assert_eq!(bench.tally().delivered, 104);
    let mut found = seconds(&mut bench, 10);
    found.sort();
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found[0], " | took.quantile{quantile=1} ms = 12.5 @10");
    let gets = "service.name=shop | span.duration.quantile{service.name=shop,span.name=GET,status.code=unset,quantile=0.5} s = ";
    assert!(found[1].starts_with(gets) && (value(&found[1]) / 0.05 - 1.0).abs() < 0.011, "{}", found[1]);
    assert!(found[2].ends_with("span.name=PUT,status.code=unset,quantile=0.5} s = 5 @10"), "{}", found[2]);
}

#[test]
fn groups_beyond_the_maximum_share_one() {
    let (mut bench, source) = (processor(&format!("max_series: 2{LATENCY}")), Source::new());
    for n in 1..=5 {
        pass(&mut bench, &source, gauge(&format!("/{n}"), [f64::from(n)]));
    }
    let found = seconds(&mut bench, 10);
    assert_eq!(found.len(), 6, "{found:?}");
    let overflow: Vec<_> = found.iter().filter(|line| line.contains("otel.metric.overflow=true")).collect();
    assert_eq!(overflow.len(), 2);
    assert!(overflow[1].starts_with(" | ") && overflow[1].ends_with("= 5 @10"), "{overflow:?}");
}

#[test]
fn what_has_changed_leaves_at_a_stop() {
    let (mut bench, source) = (processor(LATENCY), Source::new());
    pass(&mut bench, &source, gauge("/a", [3.0]));
    assert_eq!(lines(&bench.flush()).len(), 2);
    assert!(bench.flush().is_empty(), "nothing has changed since");
}

#[test]
fn spans_and_attributes_need_the_connector() {
    let yaml = "rules: [{metric: a}, {span: duration}]";
    let made = (FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml));
    let error = made.err().unwrap().to_string();
    assert!(error.contains("rules::1") && error.contains("as a connector"), "{error}");
}

#[test]
fn broken_bytes_pass_and_harm_nothing() {
    let (mut bench, source) = (processor(LATENCY), Source::new());
    let whole = histogram(0, 0, &[1, 2, 3, 4]);
    for cut in 0..whole.len() {
        pass(&mut bench, &source, whole.slice(..cut));
    }
}

#[test]
fn the_examples_of_the_readme_load() {
    let examples = examples(FACTORY.description.readme);
    assert!(!examples.is_empty());
    for example in examples {
        read(&FACTORY.config, example).unwrap();
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let table = [
        ("rules: []", "rules: must have at least one rule"),
        ("rules: [{by: [a]}]", "rules::0: give exactly one of metric, span and attribute"),
        ("rules: [{metric: a, span: duration}]", "rules::0: give exactly one"),
        ("rules: [{span: length}]", "length"),
        ("rules: [{metric: a, quantiles: [99]}]", "rules::0::quantiles: 99 is not between 0 and 1"),
        ("rules: [{metric: a, quantiles: []}]", "rules::0::quantiles: must have at least one"),
        ("rules: [{metric: a, window: 5s}]", "rules::0::window: must be at least as long as the interval"),
        ("rules: [{metric: a, interval: 0s}]", "rules::0::interval: must be at least 100ms"),
        ("rules: [{metric: a, name: a}]", "rules::0::name: must differ"),
        ("rules: [{metric: a}, {metric: a}]", "rules::1::name: rule 0 makes"),
        ("rules: [{metric: a, match: {b: 'x['}}]", "without ]"),
        ("{rules: [{metric: a}], max_series: 0}", "max_series: must be at least 1"),
    ];
    for (yaml, message) in table {
        let errors = read(&FACTORY.config, yaml).unwrap_err();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}
