use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Kind, Outcome};
use streamgauge_pdata::build::{LogsBuilder, MetricsBuilder};
use streamgauge_pdata::view::{LogsView, MetricsView, TracesView};

use super::*;
use crate::testing::{bench, create, examples, read};

fn start(signal: Signal, yaml: &str) -> Bench {
    bench((FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[signal], yaml)).unwrap())
}

/// Logs of two services: body, severity and attribute `n` of each record.
fn logs() -> bytes::Bytes {
    let mut request = LogsBuilder::new();
    for (service, version) in [("shop", "1.0"), ("bank", "2.0")] {
        let mut resource = request.resource([("service.name", service), ("zone", "eu")]);
        let mut scope = resource.scope("lib", version);
        scope.record(1).body("login ok").severity(9, "INFO").attribute("n", 1);
        scope.record(2).body("login failed").severity(17, "ERROR").attribute("n", 2);
        scope.record(3).body(7);
    }
    request.finish()
}

/// Which log records the action was done on, as `service/place`.
fn marked(filter: &str) -> Vec<String> {
    let yaml = format!("actions: [{{key: mark, value: true, action: upsert}}]\n{filter}");
    let source = Source::new();
    let sent = start(Signal::Logs, &yaml).process(source.batch(Signal::Logs, logs(), 6));
    assert_eq!(sent[0].items(), 6);
    let bytes = sent[0].parts[0].bytes.clone();
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered());
    let mut marked = vec![];
    for resource in LogsView::new(&bytes).resources().map(Result::unwrap) {
        let service = resource.attributes().get("service.name").unwrap().unwrap().as_str().unwrap();
        for record in resource.scopes().flat_map(|scope| scope.unwrap().records()).map(Result::unwrap) {
            if record.attributes().get("mark").unwrap().is_some() {
                marked.push(format!("{service}/{}", record.observed_time));
            }
        }
    }
    marked
}

#[test]
fn without_include_and_exclude_every_record_is_changed() {
    assert_eq!(marked("").len(), 6);
}

#[test]
fn properties_choose_log_records() {
    let include = |properties: &str| marked(&format!("include: {{{properties}}}"));
    assert_eq!(include("match_type: strict, services: [shop]"), ["shop/1", "shop/2", "shop/3"]);
    assert_eq!(include("match_type: regexp, services: [^ba]"), ["bank/1", "bank/2", "bank/3"]);
    assert_eq!(include("match_type: strict, services: [sho]"), [""; 0]);
    assert_eq!(include("match_type: strict, log_bodies: [login ok]"), ["shop/1", "bank/1"]);
    assert_eq!(include("match_type: regexp, log_bodies: [failed$]"), ["shop/2", "bank/2"]);
    assert_eq!(include("match_type: strict, log_severity_texts: [ERROR]"), ["shop/2", "bank/2"]);
    assert_eq!(include("match_type: strict, log_severity_number: {min: 10}"), ["shop/2", "bank/2"]);
    let undefined = "match_type: strict, log_severity_number: {min: 10, match_undefined: true}";
    assert_eq!(include(undefined), ["shop/2", "shop/3", "bank/2", "bank/3"]);
    assert_eq!(include("match_type: strict, attributes: [{key: n, value: 1}]"), ["shop/1", "bank/1"]);
    assert_eq!(include("match_type: strict, attributes: [{key: n, value: \"1\"}]"), [""; 0]);
    assert_eq!(include("match_type: regexp, attributes: [{key: n, value: \"[2-9]\"}]"), ["shop/2", "bank/2"]);
    assert_eq!(include("match_type: strict, attributes: [{key: n}]").len(), 4);
    assert_eq!(include("match_type: strict, libraries: [{name: lib, version: \"2.0\"}]").len(), 3);
    assert_eq!(include("match_type: strict, libraries: [{name: lib}]").len(), 6);
    let both = "match_type: strict, resources: [{key: zone, value: eu}, {key: service.name, value: bank}]";
    assert_eq!(include(both), ["bank/1", "bank/2", "bank/3"]);
}

#[test]
fn exclude_is_asked_after_include() {
    let yaml = "
include: {match_type: strict, services: [shop]}
exclude: {match_type: strict, log_severity_texts: [INFO]}";
    assert_eq!(marked(yaml), ["shop/2", "shop/3"]);
}

#[test]
fn data_points_are_chosen_by_their_metrics_name() {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(());
        let mut scope = resource.scope("", "");
        scope.gauge("a", "1", "").point(1).int(1);
        scope.gauge("b", "1", "").point(1).int(1);
    }
    let yaml = "
include: {match_type: strict, metric_names: [b]}
actions: [{key: mark, value: true, action: upsert}]";
    let sent =
        start(Signal::Metrics, yaml).process(Source::new().batch(Signal::Metrics, request.finish(), 2));
    let view = MetricsView::new(&sent[0].parts[0].bytes);
    let scope = view.resources().next().unwrap().unwrap().scopes().next().unwrap().unwrap();
    let marks = scope.records().map(|metric| {
        let streamgauge_pdata::view::Data::Gauge(mut points) = metric.unwrap().data else {
            panic!("no gauge")
        };
        points.next().unwrap().unwrap().attributes().count()
    });
    assert_eq!(marks.collect::<Vec<_>>(), [0, 1]);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn spans_are_chosen_by_name_and_kind() {
    let span = |name: &str, kind| Span { name: name.into(), kind, ..Default::default() };
    let spans = vec![span("GET /", 2), span("GET /", 3), span("PUT /", 2)];
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let yaml = "
include: {match_type: strict, span_names: [GET /], span_kinds: [SPAN_KIND_SERVER]}
actions: [{key: mark, value: true, action: upsert}]";
    let sent = start(Signal::Traces, yaml).process(Source::new().batch(Signal::Traces, bytes, 3));
    let view = TracesView::new(&sent[0].parts[0].bytes);
    let scope = view.resources().next().unwrap().unwrap().scopes().next().unwrap().unwrap();
    let marks = scope.records().map(|span| span.unwrap().attributes().count());
    assert_eq!(marks.collect::<Vec<_>>(), [1, 0, 0]);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn a_request_in_which_nothing_changes_is_passed_on_as_it_is() {
    let request = logs();
    let mut bench = start(Signal::Logs, "actions: [{key: none, action: delete}]");
    let sent = bench.process(Source::new().batch(Signal::Logs, request.clone(), 6));
    assert_eq!(sent[0].parts[0].bytes.as_ptr(), request.as_ptr());
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn a_malformed_request_is_rejected() {
    let source = Source::new();
    let mut bench = start(Signal::Logs, "actions: [{key: none, action: delete}]");
    assert!(bench.process(source.batch(Signal::Logs, vec![0x0a, 9], 1)).is_empty());
    assert!(matches!(&source.outcomes()[0], Some(Outcome::Rejected { reason: Reason::Malformed, .. })));
}

#[test]
fn a_property_that_the_pipelines_signal_does_not_have_is_refused() {
    let yaml = "
include: {match_type: strict, span_names: [GET /]}
actions: [{key: none, action: delete}]";
    let error =
        (FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Logs], yaml)).err().unwrap();
    assert_eq!(error.to_string(), "test: include.span_names has no meaning in a pipeline of logs");
}

#[test]
fn nonsense_is_refused_and_the_examples_in_the_readme_load() {
    let refused = |include: &str| {
        let yaml = format!("include: {include}\nactions: [{{key: a, action: delete}}]");
        read(&FACTORY.config, &yaml).unwrap_err()
    };
    assert!(refused("{match_type: strict}").contains("needs at least one property"));
    assert!(refused("{services: [a]}").contains("match_type"));
    assert!(refused("{match_type: regexp, services: [\"(\"]}").contains("unclosed group"));
    assert!(refused("{match_type: regexp, attributes: [{key: a, value: 1}]}").contains("strings"));
    assert!(refused("{match_type: strict, span_kinds: [server]}").contains("SPAN_KIND_SERVER"));
    assert!(refused("{match_type: strict, services: [a], wat: 1}").contains("wat"));
    assert!(read(&FACTORY.config, "actions: []").unwrap_err().contains("at least one action"));
    let cache = "{match_type: regexp, regexp: {cacheenabled: true, cachemaxnumentries: 9}, services: [a]}";
    let yaml = format!("include: {cache}\nactions: [{{key: a, action: delete}}]");
    read(&FACTORY.config, &yaml).unwrap_or_else(|errors| panic!("{errors}"));
    for example in examples(FACTORY.description.readme) {
        read(&FACTORY.config, example).unwrap_or_else(|errors| panic!("{errors}"));
    }
}
