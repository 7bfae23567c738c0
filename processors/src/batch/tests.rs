use std::time::Duration;

use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Context, Kind};
use streamgauge_pdata::build::LogsBuilder;
use streamgauge_pdata::count;

use super::*;
use crate::testing::{bench, create, examples, read};

fn logs(records: usize) -> bytes::Bytes {
    let mut request = LogsBuilder::new();
    {
        let mut resource = request.resource([("service.name", "shop")]);
        let mut scope = resource.scope("", "");
        (0..records).for_each(|n| drop(scope.record(n as u64)));
    }
    request.finish()
}

fn start(yaml: &str) -> Bench {
    bench((FACTORY.create)(create(&FACTORY.config, Kind::Processor, &[Signal::Logs], yaml)).unwrap())
}

fn batch(source: &Source, records: usize) -> Batch {
    source.batch(Signal::Logs, logs(records), records)
}

fn sizes(batches: &[Batch]) -> Vec<Vec<usize>> {
    batches.iter().map(|batch| batch.parts.iter().map(|part| part.items).collect()).collect()
}

#[test]
fn data_waits_for_the_size_or_the_timeout_and_every_source_hears_of_its_own_part() {
    let source = Source::new();
    let mut bench = start("{send_batch_size: 10, timeout: 1s}");
    assert!(bench.process(batch(&source, 4)).is_empty());
    let full = bench.process(batch(&source, 6));
    assert_eq!(sizes(&full), [[4, 6]]);
    assert!(bench.process(batch(&source, 1)).is_empty());
    assert!(bench.advance(Duration::from_millis(999)).is_empty());
    let late = bench.advance(Duration::from_millis(1));
    assert_eq!(sizes(&late), [[1]]);

    assert_eq!(source.outcomes(), [None, None, None]);
    late.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    full.into_iter().for_each(|batch| batch.settle(&Outcome::retry(Reason::QueueFull)));
    let retry = Some(Outcome::retry(Reason::QueueFull));
    assert_eq!(source.outcomes(), [retry.clone(), retry, Some(Outcome::Delivered)]);
}

#[test]
fn a_batch_above_the_largest_size_is_cut_and_its_source_hears_once() {
    let source = Source::new();
    let mut bench = start("{send_batch_size: 4, send_batch_max_size: 4}");
    let mut sent = bench.process(batch(&source, 10));
    sent.extend(bench.flush());
    assert_eq!(sizes(&sent), [[4], [4], [2]]);
    for part in sent.iter().flat_map(|batch| &batch.parts) {
        assert_eq!(count(Signal::Logs, &part.bytes), part.items);
    }
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered());
}

#[test]
fn a_stop_lets_everything_go() {
    let source = Source::new();
    let mut bench = start("");
    assert!(bench.process(batch(&source, 3)).is_empty());
    let sent = bench.flush();
    assert_eq!(sizes(&sent), [[3]]);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered() && bench.flush().is_empty());
}

#[test]
fn a_timeout_or_a_size_of_zero_waits_for_nothing() {
    for yaml in ["timeout: 0s", "send_batch_size: 0"] {
        let source = Source::new();
        let sent = start(yaml).process(batch(&source, 3));
        assert_eq!(sizes(&sent), [[3]], "{yaml}");
        sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    }
}

#[test]
fn tenants_are_kept_apart_and_one_too_many_is_given_back() {
    let source = Source::new();
    let mut bench = start("{metadata_keys: [X-Tenant], metadata_cardinality_limit: 2, send_batch_size: 10}");
    let of = |tenant: &str, records| {
        let context =
            Context { headers: vec![("x-tenant".into(), tenant.into())], ..(*source.context()).clone() };
        Batch { context: Arc::new(context), ..batch(&source, records) }
    };
    assert!(bench.process(of("a", 1)).is_empty());
    assert!(bench.process(of("b", 2)).is_empty());
    assert!(bench.process(of("a", 3)).is_empty());
    assert!(bench.process(of("c", 4)).is_empty());
    assert_eq!(source.outcomes()[3], Some(Outcome::retry(Reason::CardinalityLimit)));
    assert_eq!(bench.tally().returned, [(Reason::CardinalityLimit, 4)]);
    let mut sent = bench.advance(Duration::from_millis(200));
    sent.sort_by_key(|batch| batch.context.header("x-tenant").map(str::to_owned));
    assert_eq!(sizes(&sent), [vec![1, 3], vec![2]]);
    sent.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert!(source.all_settled());
}

#[test]
fn what_is_held_is_told() {
    let source = Source::new();
    let created = create(&FACTORY.config, Kind::Processor, &[Signal::Logs], "");
    let processor = (FACTORY.create)(created).unwrap();
    let mut bench = bench(processor.clone());
    assert!(bench.process(batch(&source, 3)).is_empty());
    assert_eq!(processor.held(), Held { items: 3, bytes: logs(3).len() as u64 });
    bench.flush().into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
    assert_eq!(processor.held(), Held::default());
}

#[test]
fn the_collectors_checks_have_its_words() {
    let refused = |yaml| read(&FACTORY.config, yaml).unwrap_err();
    assert!(
        refused("{send_batch_size: 10, send_batch_max_size: 5}")
            .contains("send_batch_max_size must be greater or equal to send_batch_size")
    );
    assert!(
        refused("metadata_keys: [a, A]")
            .contains("duplicate entry in metadata_keys: \"A\" (case-insensitive)")
    );
    // The default size is above this.
    assert!(read(&FACTORY.config, "send_batch_max_size: 5").is_err());
    assert!(refused("wat: 1").contains("wat"));
}

#[test]
fn defaults_are_the_collectors_and_the_examples_in_the_readme_load() {
    let defaults = (FACTORY.config.defaults)().unwrap();
    let expected = serde_json::json!({
        "send_batch_size": 8192, "timeout": "200ms", "send_batch_max_size": 0,
        "metadata_keys": [], "metadata_cardinality_limit": 1000
    });
    assert_eq!(defaults, expected);
    for example in examples(FACTORY.description.readme) {
        read(&FACTORY.config, example).unwrap_or_else(|errors| panic!("{errors}"));
    }
}
