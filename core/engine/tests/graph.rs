//! Whole graphs out of small test components: fan-out, connectors, stop, and a ledger that adds up.

#![allow(clippy::unwrap_used, clippy::expect_used)] // test code in a module of its own

mod parts;

use std::time::Duration;

use parts::{DISTRIBUTION, Given, Recorded, exporter, given, start};
use streamgauge_component::{Kind, Outcome, Reason, Registry};
use streamgauge_engine::Ledger;

fn assert_balanced(registry: &Registry) {
    for row in Ledger::read(registry).rows {
        assert_eq!(row.difference(), 0, "{row:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn data_reaches_every_exporter_of_every_pipeline_and_the_source_hears_delivered() {
    let running = start(
        "
receivers: {given/a: }
processors: {pass: }
exporters: {record/a1: , record/a2: , record/a3: }
service:
  pipelines:
    logs/one: {receivers: [given/a], processors: [pass], exporters: [record/a1, record/a2]}
    logs/two: {receivers: [given/a], exporters: [record/a3]}
",
    )
    .await;
    let heard = given("given/a").send(&[5, 6]).await;
    assert_eq!(heard, Outcome::Delivered);
    for id in ["record/a1", "record/a2", "record/a3"] {
        assert_eq!(exporter(id).records(), vec![Recorded { bytes: vec![5, 6], items: 2 }], "{id}");
    }
    assert_balanced(running.registry());
    assert_eq!(running.stop(Duration::from_secs(1)).await.undelivered, 0);
}

#[tokio::test(start_paused = true)]
async fn one_full_exporter_behind_a_fan_out_makes_the_source_try_again_and_the_ledger_adds_up() {
    let running = start(
        "
receivers: {given/b: }
exporters:
  record/b1: {}
  record/b2: {stall: true, queue_size: 2}
service:
  pipelines:
    logs: {receivers: [given/b], exporters: [record/b1, record/b2]}
",
    )
    .await;
    let given: Given = given("given/b");
    // The queue counts what is being exported as well: two fill it, the third is refused.
    let first = given.offer(&[1]).await;
    let second = given.offer(&[2]).await;
    let refused = given.send(&[3]).await;
    assert!(matches!(refused, Outcome::Retry { reason: Reason::QueueFull, .. }), "{refused:?}");
    assert_eq!(exporter("record/b1").records().len(), 3, "the good exporter is not held back");
    assert_balanced(running.registry());
    exporter("record/b2").release();
    assert_eq!((first.await, second.await), (Outcome::Delivered, Outcome::Delivered));
    running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn with_block_on_overflow_the_source_waits_instead() {
    let running = start(
        "
receivers: {given/c: }
exporters:
  record/c: {stall: true, queue_size: 2, block: true}
service:
  pipelines:
    logs: {receivers: [given/c], exporters: [record/c]}
",
    )
    .await;
    let given = given("given/c");
    let _first = given.offer(&[1]).await;
    let _second = given.offer(&[2]).await;
    let third = tokio::spawn(async move { given.send(&[3]).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!third.is_finished());
    exporter("record/c").release();
    assert_eq!(third.await.unwrap(), Outcome::Delivered);
    assert_balanced(running.registry());
    running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_connector_leads_into_every_pipeline_that_takes_from_it() {
    let running = start(
        "
receivers: {given/d: }
connectors: {twice: }
exporters: {record/d: }
service:
  pipelines:
    logs/in: {receivers: [given/d], exporters: [twice]}
    logs/out: {receivers: [twice], exporters: [record/d]}
",
    )
    .await;
    assert_eq!(given("given/d").send(&[9]).await, Outcome::Delivered);
    assert_eq!(exporter("record/d").records().len(), 2);
    assert_balanced(running.registry());
    let ledger = Ledger::read(running.registry());
    let row = ledger.rows.iter().find(|r| r.kind == Kind::Connector).unwrap();
    assert_eq!((row.taken, row.created, row.out), (1, 1, 2));
    running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_held_data_through_and_abandons_no_ack() {
    let running = start(
        "
receivers: {given/e: }
processors: {hold: }
exporters: {record/e: }
service:
  pipelines:
    logs: {receivers: [given/e], processors: [hold], exporters: [record/e]}
",
    )
    .await;
    let held = given("given/e").offer(&[7]).await;
    assert_eq!(exporter("record/e").records().len(), 0);
    let registry = running.registry().clone();
    running.stop(Duration::from_secs(5)).await;
    assert_eq!(held.await, Outcome::Delivered);
    assert_eq!(exporter("record/e").records().len(), 1);
    assert_balanced(&registry);
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_back_what_a_standing_target_does_not_take() {
    let running = start(
        "
receivers: {given/f: }
exporters: {record/f: {stall: true, queue_size: 2}}
service:
  pipelines:
    logs: {receivers: [given/f], exporters: [record/f]}
",
    )
    .await;
    let stuck = given("given/f").offer(&[1]).await;
    let registry = running.registry().clone();
    let report = running.stop(Duration::from_secs(3)).await;
    assert_eq!(report.undelivered, 1);
    assert!(matches!(stuck.await, Outcome::Retry { reason: Reason::Stopping, .. }));
    assert_balanced(&registry);
}

#[test]
fn a_section_that_no_pipeline_uses_is_read_all_the_same() {
    let errors = parts::plan(
        "
receivers: {given/g: }
exporters: {record/g: , record/unused: {queue_size: many}}
service: {pipelines: {logs: {receivers: [given/g], exporters: [record/g]}}}
",
    )
    .err()
    .expect("an unused component's section is wrong");
    let text = streamgauge_config::render(&errors, streamgauge_config::Style::Plain);
    assert!(text.contains("record/unused") && text.contains("queue_size"), "{text}");
    assert!(DISTRIBUTION.exporter("record").is_some());
}

#[tokio::test(start_paused = true)]
async fn under_load_a_processor_that_panics_costs_the_poison_and_nothing_else() {
    let running = start(
        "
receivers: {given/u: }
processors: {burst: }
exporters: {record/u: }
service:
  pipelines:
    logs: {receivers: [given/u], processors: [burst], exporters: [record/u]}
",
    )
    .await;
    let senders: Vec<_> = (0..4u8)
        .map(|sender| {
            let given = given("given/u");
            tokio::spawn(async move {
                let mut poisoned = 0;
                for n in 0..200u8 {
                    let bytes = if n % 50 == 49 { [13, sender] } else { [n % 10, sender] };
                    // What is given back while the processor is down is sent again, as by a client.
                    let outcome = loop {
                        match given.send(&bytes).await {
                            Outcome::Retry { reason: Reason::ComponentDown, .. } => {
                                tokio::time::sleep(Duration::from_millis(5)).await;
                            }
                            other => break other,
                        }
                    };
                    match outcome {
                        Outcome::Delivered => assert_ne!(bytes[0], 13),
                        refused => {
                            assert_eq!((refused, bytes[0]), (Outcome::rejected(Reason::Panic), 13));
                            poisoned += 1;
                        }
                    }
                }
                poisoned
            })
        })
        .collect();
    let mut poisoned = 0;
    for sender in senders {
        poisoned += sender.await.unwrap();
    }
    assert_eq!(poisoned, 16);
    assert_eq!(exporter("record/u").records().len(), 4 * 200 - 16);
    assert_balanced(running.registry());
    let ledger = Ledger::read(running.registry());
    let row = ledger.rows.iter().find(|row| row.component == "burst").unwrap();
    assert_eq!(row.dropped, [(Reason::Panic, 32)]);
    running.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_exporter_slows_no_other_while_its_queue_has_room() {
    let running = start(
        "
receivers: {given/v: }
exporters:
  record/v1: {}
  record/v2: {stall: true, queue_size: 1000}
service:
  pipelines:
    logs: {receivers: [given/v], exporters: [record/v1, record/v2]}
",
    )
    .await;
    let begun = tokio::time::Instant::now();
    let given = given("given/v");
    let mut waiting = Vec::new();
    for _ in 0..500 {
        waiting.push(given.offer(&[1]).await);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    assert_eq!(exporter("record/v1").records().len(), 500);
    assert_balanced(running.registry());
    exporter("record/v2").release();
    for outcome in waiting {
        assert_eq!(outcome.await, Outcome::Delivered);
    }
    running.stop(Duration::from_secs(1)).await;
}
