use streamgauge_component::testkit::Source;
use streamgauge_component::{Kind, Outcome};
use streamgauge_pdata::build::MetricsBuilder;

use super::*;
use crate::testing::{bench, create, examples, lines, read};

fn request() -> bytes::Bytes {
    let mut request = MetricsBuilder::new();
    for service in ["a", "b"] {
        let mut resource = request.resource([("service.name", service)]);
        resource.scope("", "").gauge("g", "1", "").point(0).int(1);
    }
    request.finish()
}

fn processor(yaml: &str) -> Arc<dyn Processor> {
    (FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml)).unwrap()
}

#[test]
fn every_resource_is_changed_and_its_points_and_acks_are_kept() {
    let mut bench = bench(processor("attributes: [{key: env, value: prod, action: upsert}]"));
    let source = Source::new();
    let sent = bench.process(source.batch(Signal::Metrics, request(), 2));
    let lines: Vec<String> =
        lines(&sent).iter().map(|line| line.split('|').next().unwrap().trim().to_owned()).collect();
    assert_eq!(lines, ["service.name=a,env=prod", "service.name=b,env=prod"]);
    assert_eq!(sent[0].items(), 2);
    assert!(!source.all_settled());
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered());
}

#[test]
fn a_request_in_which_nothing_changes_is_passed_on_as_it_is() {
    let mut bench = bench(processor("attributes: [{key: env, value: prod, action: update}]"));
    let request = request();
    let sent = bench.process(Source::new().batch(Signal::Metrics, request.clone(), 2));
    assert_eq!(sent[0].parts[0].bytes.as_ptr(), request.as_ptr());
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn a_malformed_request_is_rejected_and_its_neighbours_pass() {
    let mut bench = bench(processor("attributes: [{key: env, value: prod, action: upsert}]"));
    let source = Source::new();
    let parts = vec![source.part(vec![0x0a, 9], 1), source.part(request(), 2)];
    let sent = bench.process(Batch { signal: Signal::Metrics, context: source.context(), parts });
    assert!(matches!(&source.outcomes()[0], Some(Outcome::Rejected { reason: Reason::Malformed, .. })));
    assert_eq!(bench.tally().dropped, [(Reason::Malformed, 1)]);
    assert_eq!(sent[0].items(), 2);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn the_examples_in_the_readme_load() {
    let examples = examples(FACTORY.description.readme);
    assert!(!examples.is_empty());
    for example in examples {
        read(&FACTORY.config, example).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn a_section_without_actions_or_with_unknown_keys_is_refused() {
    assert!(read(&FACTORY.config, "attributes: []").unwrap_err().contains("must have at least one action"));
    assert!(read(&FACTORY.config, "").is_err());
    assert!(
        read(&FACTORY.config, "attributes: [{key: a, action: delete, wat: 1}]").unwrap_err().contains("wat")
    );
}
