use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Batch, Kind, Signal};
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::Temporality;

use super::FACTORY;
use crate::testing::{EPOCH, SECOND, bench, create, examples, lines, read};

const RULES: &str = "
rules:
  - {metric: redis.commands.processed, window: 1m, output: rate, name: redis.commands.rate}
";

fn rate(yaml: &str) -> Bench {
    bench((FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Metrics], yaml)).unwrap())
}

/// A counter of two databases at one time.
fn counter(at: u64, start: u64, values: [i64; 2]) -> Bytes {
    let mut request = MetricsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "redis")]);
        let mut scope = resource.scope("redis", "1");
        let mut sum = scope.sum("redis.commands.processed", "{command}", "", Temporality::Cumulative, true);
        for (db, value) in values.iter().enumerate() {
            let mut point = sum.point((EPOCH + at) * SECOND);
            point.start((EPOCH + start) * SECOND).attribute("db", db as i64).int(*value);
        }
        drop(sum);
        scope.gauge("redis.clients", "{client}", "").point(1).int(5);
    }
    request.finish()
}

/// Runs requests through it; what it created, and that the input came through unchanged.
fn run(bench: &mut Bench, source: &Source, requests: &[Bytes]) -> Vec<String> {
    let mut created: Vec<Batch> = Vec::new();
    for request in requests {
        let mut sent = bench.process(source.batch(Signal::Metrics, request.clone(), 3));
        let passed = sent.remove(0);
        assert_eq!(*passed.parts[0].bytes, request);
        passed.settle(&streamgauge_component::Outcome::Delivered);
        created.extend(sent);
    }
    assert!(created.iter().flat_map(|batch| &batch.parts).all(|part| !part.ack.has_source()));
    lines(&created)
}

#[test]
fn a_rate_is_growth_between_the_points_in_the_window_and_the_data_passes_with_its_ack() {
    let (mut bench, source) = (rate(RULES), Source::new());
    let created = run(
        &mut bench,
        &source,
        &[counter(0, 0, [1000, 10]), counter(10, 0, [1500, 10]), counter(70, 0, [1740, 70])],
    );
    let expected = [
        "service.name=redis | redis.commands.rate{db=0} {command}/s = 50 @10",
        "service.name=redis | redis.commands.rate{db=1} {command}/s = 0 @10",
        "service.name=redis | redis.commands.rate{db=0} {command}/s = 4 @70",
        "service.name=redis | redis.commands.rate{db=1} {command}/s = 1 @70",
    ];
    assert_eq!(created, expected);
    assert!(source.all_delivered());
    assert_eq!(bench.tally().created_items(), 4);
}

#[test]
fn a_restart_counts_from_zero() {
    let (mut bench, source) = (rate(RULES), Source::new());
    let requests = [counter(0, 0, [1000, 500]), counter(10, 5, [100, 700])];
    let created = run(&mut bench, &source, &requests);
    // The first fell, the second did not, but both started anew.
    assert!(created[0].ends_with("= 10 @10"), "{created:?}");
    assert!(created[1].ends_with("= 70 @10"), "{created:?}");
}

#[test]
fn increase_and_match_choose() {
    let yaml = "
rules:
  - {metric: redis.commands.processed, output: increase, match: {db: \"1\", service.name: red*}}
  - {metric: redis.commands.processed, name: other, match: {service.name: \"/^x/\"}}
";
    let (mut bench, source) = (rate(yaml), Source::new());
    let created = run(&mut bench, &source, &[counter(0, 0, [1, 1]), counter(10, 0, [2, 8])]);
    let expected = ["service.name=redis | redis.commands.processed.increase{db=1} {command} = 7 @10"];
    assert_eq!(created, expected);
}

#[test]
fn a_series_that_ends_ends_its_gauge_and_starts_over() {
    let (mut bench, source) = (rate(RULES), Source::new());
    let mut ended = MetricsBuilder::new();
    {
        let mut resource = ended.resource([("service.name", "redis")]);
        let mut scope = resource.scope("redis", "1");
        let mut sum = scope.sum("redis.commands.processed", "{command}", "", Temporality::Cumulative, true);
        sum.point((EPOCH + 20) * SECOND).attribute("db", 0i64).no_recorded_value();
    }
    let ended = ended.finish();
    let requests =
        [counter(0, 0, [1, 1]), counter(10, 0, [2, 2]), ended.clone(), ended, counter(30, 0, [9, 9])];
    let created = run(&mut bench, &source, &requests);
    assert_eq!(created.len(), 4, "{created:?}");
    assert!(created[2].ends_with("{db=0} {command}/s = none @20"));
    assert!(created[3].contains("{db=1}"), "the ended one has one point only: {created:?}");
}

#[test]
fn series_beyond_the_maximum_get_no_rate_and_silent_ones_make_room() {
    let yaml = format!("{RULES}max_series: 1");
    let (mut bench, source) = (rate(&yaml), Source::new());
    let created = run(&mut bench, &source, &[counter(0, 0, [1, 1]), counter(10, 0, [2, 2])]);
    assert_eq!(created.len(), 1, "{created:?}");
    bench.advance(Duration::from_secs(61));
    let mut other = MetricsBuilder::new();
    for at in [61, 62] {
        let mut resource = other.resource([("service.name", "other")]);
        let mut scope = resource.scope("redis", "1");
        let mut sum = scope.sum("redis.commands.processed", "", "", Temporality::Cumulative, true);
        sum.point((EPOCH + at) * SECOND).int(at as i64);
    }
    let created = run(&mut bench, &source, &[other.finish()]);
    assert_eq!(created, ["service.name=other | redis.commands.rate{} 1/s = 1 @62"]);
}

#[test]
fn broken_bytes_pass_and_harm_nothing() {
    let (mut bench, source) = (rate(RULES), Source::new());
    let whole = counter(0, 0, [1000, 10]);
    for cut in 0..whole.len() {
        let created = run(&mut bench, &source, &[whole.slice(..cut)]);
        assert!(created.is_empty());
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
        ("rules: [{metric: a, window: 0s}]", "rules::0::window: must be longer than 0"),
        ("rules: [{metric: a, name: a}]", "rules::0::name: must differ"),
        ("rules: [{metric: a}, {metric: a}]", "rules::1::name: rule 0 makes \"a.rate\""),
        ("rules: [{metric: a, output: speed}]", "speed"),
        ("rules: [{metric: a, match: {b: \"/(/\"}}]", "is not valid: unclosed group"),
        ("rules: [{metric: a, windows: 1m}]", "windows"),
    ];
    for (yaml, message) in table {
        let errors = read(&FACTORY.config, yaml).unwrap_err();
        assert!(errors.contains(message), "{yaml}: {errors}");
    }
}
