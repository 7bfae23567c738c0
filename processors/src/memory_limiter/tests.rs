use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::testkit::Source;
use streamgauge_component::{Host, Kind, MemoryBounds};

use super::*;
use crate::testing::{bench, create, examples, read};

const MIB: u64 = 1 << 20;

fn bounds(yaml: &str) -> MemoryBounds {
    let config = read(&FACTORY.config, yaml).unwrap();
    config.downcast_ref::<MemoryLimiterConfig>().unwrap().bounds(&SystemMemory::default()).unwrap()
}

/// An instance, and the host whose budget it bounds.
fn limiter(yaml: &str) -> (Arc<dyn Processor>, Host) {
    let create = create(&FACTORY.config, Kind::Processor, &[Signal::Logs], yaml);
    let host = create.host.clone();
    ((FACTORY.create)(create).unwrap(), host)
}

#[test]
fn above_the_soft_limit_data_is_given_back_with_a_delay_and_below_it_passes() {
    // More than this process takes.
    let (limiter, host) = limiter("{check_interval: 1s, limit_mib: 100000, spike_limit_mib: 99999}");
    let mut bench = bench(limiter);
    let source = Source::new();
    let passed = bench.process(source.batch(Signal::Logs, "below", 3));
    assert_eq!(passed[0].items(), 3);
    passed.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));

    let held = host.budget().charge(Bytes::from(vec![0; MIB as usize + 1])).unwrap();
    assert!(bench.process(source.batch(Signal::Logs, "above", 4)).is_empty());
    let Some(Some(Outcome::Retry { reason: Reason::MemoryLimit, after, answered: false, detail })) =
        source.outcomes().pop()
    else {
        panic!("{:?}", source.outcomes())
    };
    assert_eq!(after, Some(Duration::from_secs(1)));
    let text = "data refused due to high memory usage: 1.0 MiB are in flight, the soft limit is 1.0 MiB";
    assert_eq!(detail.as_deref(), Some(text));
    assert_eq!(bench.tally().returned, [(Reason::MemoryLimit, 4)]);

    drop(held);
    let passed = bench.process(source.batch(Signal::Logs, "again", 4));
    assert_eq!(passed.len(), 1);
    passed.into_iter().for_each(|batch| batch.settle(&Outcome::Delivered));
}

#[test]
fn the_hard_limit_is_the_budget_while_an_instance_lives() {
    let (limiter, host) = limiter("{check_interval: 1s, limit_mib: 3}");
    let budget = host.budget().clone();
    assert_eq!(budget.limit(), 3 * MIB);
    assert!(budget.charge(Bytes::from(vec![0; 3 * MIB as usize + 1])).is_err());
    drop(limiter);
    assert!(budget.limit() > 3 * MIB);
}

#[test]
fn limits_are_in_mib_or_in_percent_and_the_spike_is_a_fifth() {
    let mib = bounds("{check_interval: 1s, limit_mib: 100}");
    assert_eq!((mib.hard, mib.soft), (100 * MIB, 80 * MIB));
    let own = bounds("{check_interval: 1s, limit_mib: 100, spike_limit_mib: 30, limit_percentage: 1}");
    assert_eq!((own.hard, own.soft), (100 * MIB, 70 * MIB));
    let percent = bounds("{check_interval: 1s, limit_percentage: 50, spike_limit_percentage: 10}");
    let total = SystemMemory::default().total().unwrap();
    assert_eq!((percent.hard, percent.soft), (total / 100 * 50, total / 100 * 50 - total / 100 * 10));
}

#[test]
fn what_makes_no_sense_is_said_as_the_collector_does() {
    for (yaml, expected) in [
        ("limit_mib: 5", "'check_interval' must be greater than zero"),
        ("check_interval: 1s", "'limit_mib' or 'limit_percentage' must be greater than zero"),
        ("{check_interval: 1s, limit_percentage: 101}", "less than or equal to hundred"),
        ("{check_interval: 1s, limit_mib: 5, spike_limit_mib: 5}", "must be smaller than 'limit_mib'"),
        (
            "{check_interval: 1s, limit_percentage: 5, spike_limit_percentage: 6}",
            "must be smaller than 'limit_percentage'",
        ),
    ] {
        let errors = read(&FACTORY.config, yaml).unwrap_err();
        assert!(errors.contains(expected), "{yaml}: {errors}");
    }
}

#[test]
fn examples_of_the_readme_load() {
    let found = examples(FACTORY.description.readme);
    assert_eq!(found.len(), 2);
    for yaml in found {
        read(&FACTORY.config, yaml).unwrap();
    }
}
