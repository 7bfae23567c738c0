use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Context, Kind, Outcome};
use streamgauge_pdata::build::MetricsBuilder;

use super::*;
use crate::testing::{bench, create, examples, lines, read};

const EXAMPLE: &str = "
rules:
  - {attribute: stream, pattern: \"^([^:]+):\"}
  - {resource: service.namespace}
  - {header: X-Project-Id}
  - {value: p-7}";

fn start(yaml: &str) -> Bench {
    bench((FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml)).unwrap())
}

/// A gauge with a point for each stream.
fn request(resource: &[(&str, &str)], streams: &[&str]) -> bytes::Bytes {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource(resource);
        let mut scope = resource.scope("s", "");
        let mut gauge = scope.gauge("lag", "1", "");
        for (n, stream) in streams.iter().enumerate() {
            gauge
                .point(crate::testing::EPOCH * crate::testing::SECOND)
                .attribute("stream", *stream)
                .int(n as i64);
        }
    }
    request.finish()
}

fn with_header(batch: Batch, name: &str, value: &str) -> Batch {
    let context = Context { headers: vec![(name.into(), value.into())], ..(*batch.context).clone() };
    Batch { context: Arc::new(context), ..batch }
}

/// The points that leave, a line each.
fn after(yaml: &str, request: bytes::Bytes, header: Option<&str>) -> Vec<String> {
    let source = Source::new();
    let items = streamgauge_pdata::count(Signal::Metrics, &request);
    let mut batch = source.batch(Signal::Metrics, request, items);
    if let Some(value) = header {
        batch = with_header(batch, "x-project-id", value);
    }
    let sent = start(yaml).process(batch);
    assert_eq!(sent.iter().map(Batch::items).sum::<usize>(), items);
    let lines = lines(&sent);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered());
    lines
}

#[test]
fn a_resource_of_several_projects_is_split_and_its_records_keep_their_order() {
    let request = request(&[("host", "h")], &["shop:orders", "bank:payments", "shop:mails", "plain"]);
    assert_eq!(
        after(EXAMPLE, request, None),
        [
            "host=h,project.id=shop | lag{stream=shop:orders} 1 = 0 @0",
            "host=h,project.id=shop | lag{stream=shop:mails} 1 = 2 @0",
            "host=h,project.id=bank | lag{stream=bank:payments} 1 = 1 @0",
            "host=h,project.id=p-7 | lag{stream=plain} 1 = 3 @0",
        ]
    );
}

#[test]
fn the_first_rule_that_matches_counts() {
    let project = |resource: &[(&str, &str)], stream: &str, header| {
        let line = after(EXAMPLE, request(resource, &[stream]), header).remove(0);
        line.split_once("project.id=").unwrap().1.split_once(' ').unwrap().0.to_owned()
    };
    let namespace = [("service.namespace", "ns")];
    assert_eq!(project(&namespace, "shop:orders", Some("from-header")), "shop");
    assert_eq!(project(&namespace, "orders", Some("from-header")), "ns");
    assert_eq!(project(&[("service.namespace", "")], "orders", Some("from-header")), "from-header");
    assert_eq!(project(&[], "orders", Some("from-header")), "from-header");
    assert_eq!(project(&[], "orders", None), "p-7");
}

#[test]
fn what_no_rule_matches_is_unassigned_and_an_old_project_is_replaced() {
    let lines = after("rules: [{attribute: other}]", request(&[("project.id", "forged")], &["a"]), None);
    assert_eq!(lines, ["project.id=unassigned | lag{stream=a} 1 = 0 @0"]);
    let lines = after("{attribute: team, default: none}", request(&[], &["a"]), None);
    assert_eq!(lines, ["team=none | lag{stream=a} 1 = 0 @0"]);
}

#[test]
fn a_pattern_without_a_group_takes_all_of_its_match() {
    let yaml = "rules: [{resource: host, pattern: \"[a-z]+\"}]";
    let lines = after(yaml, request(&[("host", "10-web-3")], &["a"]), None);
    assert_eq!(lines, ["host=10-web-3,project.id=web | lag{stream=a} 1 = 0 @0"]);
}

#[test]
fn a_request_that_has_its_project_already_is_passed_on_as_it_is() {
    let request = request(&[("project.id", "p")], &["a", "b"]);
    let mut bench = start("rules: [{resource: project.id}]");
    let sent = bench.process(Source::new().batch(Signal::Metrics, request.clone(), 2));
    assert_eq!(sent[0].parts[0].bytes.as_ptr(), request.as_ptr());
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn a_request_that_can_have_no_project_is_rejected() {
    // A field that goes beyond the end; a resource whose attribute does, above a point.
    let point = [0x12, 6, 0x12, 4, 0x2a, 2, 0x0a, 0];
    let resource = [&[0x0a, 13, 0x0a, 3, 0x0a, 1, 0x0a][..], &point].concat();
    for request in [vec![0x0a, 9], resource] {
        let source = Source::new();
        assert!(start("").process(source.batch(Signal::Metrics, request, 1)).is_empty());
        assert!(matches!(&source.outcomes()[0], Some(Outcome::Rejected { reason: Reason::Malformed, .. })));
    }
}

#[test]
fn the_examples_in_the_readme_load_and_nonsense_is_refused() {
    for example in examples(FACTORY.description.readme) {
        read(&FACTORY.config, example).unwrap_or_else(|errors| panic!("{errors}"));
    }
    let refused = |yaml| read(&FACTORY.config, yaml).unwrap_err();
    assert!(refused("rules: [{}]").contains("here are 0"));
    assert!(refused("rules: [{attribute: a, value: b}]").contains("here are 2"));
    assert!(refused("rules: [{attribute: a, pattern: \"(\"}]").contains("unclosed group"));
    assert!(refused("rules: [{value: a, pattern: b}]").contains("has no meaning with value"));
    assert!(refused("default: \"\"").contains("must not be empty"));
    assert!(refused("rules: [{header: \"\"}]").contains("empty name"));
    assert!(refused("wat: 1").contains("wat"));
}
