//! A connector that chooses among its pipelines.

#![allow(clippy::unwrap_used, clippy::expect_used)] // test code in a module of its own

mod parts;

use std::time::Duration;

use parts::{exporter, given, good_plan, plan, start};
use streamgauge_component::{Kind, Outcome, Registry};
use streamgauge_engine::Ledger;

fn yaml(name: &str, routes: &str, exporters: &str) -> String {
    format!(
        "
receivers: {{given/{name}: }}
connectors: {{choose: {{routes: {routes}}}}}
exporters: {exporters}
service:
  pipelines:
    logs/in: {{receivers: [given/{name}], exporters: [choose]}}
    logs/a: {{receivers: [choose], exporters: [record/{name}a]}}
    logs/b: {{receivers: [choose], exporters: [record/{name}b]}}
    logs/c: {{receivers: [choose], exporters: [record/{name}c]}}
"
    )
}

fn assert_balanced(registry: &Registry) {
    for row in Ledger::read(registry).rows {
        assert_eq!(row.difference(), 0, "{row:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_route_leads_into_its_pipelines_only_and_the_ledger_adds_up() {
    let mut running =
        start(&yaml("r", "[[logs/a], [logs/b, logs/c]]", "{record/ra: , record/rb: , record/rc: }")).await;
    let receiver = given("given/r");
    assert_eq!(receiver.send(&[1, 1]).await, Outcome::Delivered);
    assert_eq!(receiver.send(&[2]).await, Outcome::Delivered);
    let got = |id: &str| exporter(id).records().into_iter().map(|r| r.bytes).collect::<Vec<_>>();
    assert_eq!(got("record/ra"), [[2]]);
    assert_eq!(got("record/rb"), [vec![1, 1], vec![2]]);
    assert_eq!(got("record/rc"), got("record/rb"));
    assert_balanced(running.registry());
    let ledger = Ledger::read(running.registry());
    let row = ledger.rows.iter().find(|r| r.kind == Kind::Connector).unwrap();
    assert_eq!((row.taken, row.created, row.out), (3, 1, 4));

    // Another exporter behind a route: the connector stays, and leads there.
    let changed = "{record/ra: {version: 2}, record/rb: , record/rc: }";
    let next = good_plan(&yaml("r", "[[logs/a], [logs/b, logs/c]]", changed));
    let changes = running.reload(&next, Duration::from_secs(5)).await.unwrap();
    assert!(changes.kept.contains(&"connector/choose".to_owned()), "{changes:?}");
    assert_eq!(receiver.send(&[3]).await, Outcome::Delivered);
    assert_eq!(got("record/ra"), [[3]]);
    running.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_full_does_not_keep_data_from_the_others() {
    let exporters = "{record/fa: {stall: true, queue_size: 1, block: true}, record/fb: , record/fc: }";
    let running = start(&yaml("f", "[[logs/a], [logs/b]]", exporters)).await;
    let receiver = given("given/f");
    let first = receiver.offer(&[2]).await;
    let second = tokio::spawn(async move { receiver.send(&[3]).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!second.is_finished(), "the full route is waited for");
    assert_eq!(exporter("record/fb").records().len(), 2);
    exporter("record/fa").release();
    assert_eq!((first.await, second.await.unwrap()), (Outcome::Delivered, Outcome::Delivered));
    assert_balanced(running.registry());
    running.stop(Duration::from_secs(1)).await;
}

#[test]
fn a_route_into_a_pipeline_that_is_not_there_or_does_not_take_from_it_is_refused_with_its_place() {
    let exporters = "{record/na: , record/nb: , record/nc: }";
    for (routes, expected) in [
        ("[[logs/a], [logs/x]]", "references pipeline \"logs/x\" which is not configured"),
        ("[[logs/a], [logs/in]]", "does not take from this connector: name \"choose\" in its receivers"),
        ("[[logs/a], []]", "has no pipeline for the logs that come in"),
    ] {
        let Err(found) = plan(&yaml("n", routes, exporters)) else { panic!("{routes} is taken") };
        let text = found.to_string();
        assert!(text.contains(expected) && text.contains("connectors::choose::routes::1"), "{text}");
    }
}
