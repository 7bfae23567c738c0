//! An exporter as the dead letter of another: an edge of the graph.

#![allow(clippy::unwrap_used, clippy::expect_used)] // test code in a module of its own

mod parts;

use std::time::Duration;

use parts::{exporter, given, good_plan, plan, start};
use streamgauge_component::{Kind, Outcome};
use streamgauge_engine::{Ledger, Running};

const PATIENCE: Duration = Duration::from_secs(5);

fn assert_balanced(running: &Running) {
    for row in Ledger::read(running.registry()).rows {
        assert_eq!(row.difference(), 0, "{row:#?}");
    }
}

fn yaml(id: &str, exporters: &str) -> String {
    format!(
        "
receivers: {{given/{id}: }}
exporters:
{exporters}
service: {{pipelines: {{logs: {{receivers: [given/{id}], exporters: [record/{id}]}}}}}}
"
    )
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_goes_by_an_edge_to_an_exporter_that_stands_in_no_pipeline() {
    let exporters = "
  record/da: {refuse: true, queue_size: 9, dead_letter: {exporter: record/da2}}
  record/da2: {refuse: true, queue_size: 9, dead_letter: {exporter: record/da3}}
  record/da3: {queue_size: 9}";
    let running = start(&yaml("da", exporters)).await;
    assert_eq!(given("given/da").send(&[1, 2]).await, Outcome::Delivered);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(exporter("record/da3").records()[0].bytes, [1, 2]);
    assert_balanced(&running);
    let rows = Ledger::read(running.registry()).rows;
    let row = |id: &str| rows.iter().find(|r| r.kind == Kind::Exporter && r.component == id).unwrap();
    for id in ["record/da", "record/da2"] {
        assert_eq!((row(id).taken, row(id).out, row(id).delivered), (2, 2, 0), "{id}");
    }
    assert_eq!(row("record/da3").delivered, 2);
    running.stop(PATIENCE).await;
}

#[tokio::test(start_paused = true)]
async fn at_the_stop_a_dead_letter_takes_what_the_others_cannot_deliver() {
    let exporters = "
  record/db: {refuse: true, stall: true, queue_size: 9, dead_letter: {exporter: record/db2}}
  record/db2: {queue_size: 9}";
    let running = start(&yaml("db", exporters)).await;
    let given = given("given/db");
    let (first, second) = (given.offer(&[1]).await, given.offer(&[2]).await);
    let stop = tokio::spawn(running.stop(PATIENCE));
    tokio::time::sleep(Duration::from_secs(1)).await;
    exporter("record/db").release();
    assert_eq!((first.await, second.await), (Outcome::Delivered, Outcome::Delivered));
    assert_eq!(stop.await.unwrap().undelivered, 0);
    assert_eq!(exporter("record/db2").records().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_reload_the_edge_leads_to_the_fresh_exporter() {
    let exporters = |version: u32| {
        format!(
            "
  record/dc: {{refuse: true, dead_letter: {{exporter: record/dc2}}}}
  record/dc2: {{version: {version}, queue_size: {}}}",
            5 + version
        )
    };
    let mut running = start(&yaml("dc", &exporters(1))).await;
    let before = exporter("record/dc2");
    assert_eq!(given("given/dc").send(&[1]).await, Outcome::Delivered);
    running.reload(&good_plan(&yaml("dc", &exporters(2))), PATIENCE).await.unwrap();
    assert_eq!(given("given/dc").send(&[2]).await, Outcome::Delivered);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((before.records().len(), exporter("record/dc2").records().len()), (1, 1));
    assert_balanced(&running);
    running.stop(PATIENCE).await;
}

#[test]
fn a_dead_letter_that_is_not_configured_and_a_circle_are_errors_with_their_place() {
    let found = plan(&yaml("dd", "  record/dd: {dead_letter: {exporter: record/de}}")).err().unwrap();
    let text = streamgauge_config::render(&found, streamgauge_config::Style::Plain);
    assert!(text.contains("exporters::record/dd::dead_letter::exporter"), "{text}");
    assert!(text.contains("references exporter \"record/de\" which is not configured"), "{text}");

    let exporters = "
  record/dd: {dead_letter: {exporter: record/de}}
  record/de: {dead_letter: {exporter: record/dd}}";
    let found = plan(&yaml("dd", exporters)).err().unwrap();
    let text = streamgauge_config::render(&found, streamgauge_config::Style::Plain);
    assert_eq!(text.matches("leads back to this exporter").count(), 2, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_an_edge_that_takes_its_share_and_what_fails_and_its_sources_hear_it() {
    let exporters = "
  record/fa: {refuse: true, queue_size: 9, share: 0.5, fallback: {exporter: record/fa2}}
  record/fa2: {queue_size: 9}
  record/fb: {queue_size: 9, share: 1, fallback: {exporter: record/fb2}}
  record/fb2: {refuse: true}";
    let running = start(&format!(
        "
receivers: {{given/fa: , given/fb: }}
exporters:
{exporters}
service: {{pipelines: {{logs: {{receivers: [given/fa], exporters: [record/fa]}}, logs/b: {{receivers: [given/fb], exporters: [record/fb]}}}}}}
"
    ))
    .await;
    for _ in 0..4 {
        assert_eq!(given("given/fa").send(&[1]).await, Outcome::Delivered);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(exporter("record/fa2").records().len(), 4, "two by its share, two that failed");
    let refused = given("given/fb").send(&[1]).await;
    assert!(matches!(refused, Outcome::Rejected { .. }), "what the other said is heard: {refused:?}");
    assert!(exporter("record/fb").records().is_empty());
    assert_balanced(&running);
    running.stop(PATIENCE).await;
}

#[test]
fn dead_letters_and_fallbacks_that_lead_in_a_circle_are_an_error() {
    let exporters = "
  record/fc: {fallback: {exporter: record/fc2}}
  record/fc2: {dead_letter: {exporter: record/fc}}";
    let found = plan(&yaml("fc", exporters)).err().unwrap();
    let text = streamgauge_config::render(&found, streamgauge_config::Style::Plain);
    assert!(text.contains("exporters::record/fc::fallback::exporter"), "{text}");
    assert_eq!(text.matches("leads back to this exporter").count(), 2, "{text}");
    let found = plan(&yaml("fd", "  record/fd: {fallback: {exporter: record/none}}")).err().unwrap();
    let text = streamgauge_config::render(&found, streamgauge_config::Style::Plain);
    assert!(text.contains("references exporter \"record/none\" which is not configured"), "{text}");
}
