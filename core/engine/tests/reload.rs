//! Another plan while data flows: what stays, what follows, what is given up, and that nothing is lost on the way.

#![allow(clippy::unwrap_used, clippy::expect_used)] // test code in a module of its own

mod parts;

use std::time::Duration;

use parts::{exporter, given, good_plan, host, start};
use streamgauge_component::{Kind, Outcome, Reason, State};
use streamgauge_engine::{Changes, Ledger, Running};

const PATIENCE: Duration = Duration::from_secs(5);

async fn reload(running: &mut Running, yaml: &str) -> Result<Changes, Vec<String>> {
    running.reload(&good_plan(yaml), PATIENCE).await
}

fn assert_balanced(running: &Running) {
    for row in Ledger::read(running.registry()).rows {
        assert_eq!(row.difference(), 0, "{row:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_means_the_same_stays_with_its_state_and_its_outlets_lead_elsewhere() {
    let yaml = |exporters: &str| {
        format!(
            "
receivers: {{given/ka: {{version: 1}}}}
processors: {{hold: }}
exporters: {{record/ka1: , record/ka2: }}
service: {{pipelines: {{logs: {{receivers: [given/ka], processors: [hold], exporters: {exporters}}}}}}}
"
        )
    };
    let mut running = start(&yaml("[record/ka1]")).await;
    let receiver = given("given/ka");
    let held = receiver.offer(&[1]).await;
    let changes = reload(&mut running, &yaml("[record/ka1, record/ka2]")).await.unwrap();
    let kept = ["receiver/given/ka", "processor/hold (logs)", "exporter/record/ka1", "pipeline/logs"];
    assert!(kept.iter().all(|name| changes.kept.contains(&(*name).to_owned())), "{changes:?}");
    assert_eq!(
        (changes.added, changes.replaced.len(), changes.removed.len()),
        (vec!["exporter/record/ka2".to_owned()], 0, 0)
    );
    assert_eq!(exporter("record/ka1").records().len(), 0, "the processor still holds what it held");
    assert_balanced(&running);
    running.stop(PATIENCE).await;
    assert_eq!(held.await, Outcome::Delivered);
    assert_eq!(exporter("record/ka1").records().len(), 1);
    assert_eq!(
        exporter("record/ka2").records().len(),
        1,
        "the same outlet leads to the new exporter as well"
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_exporter_gets_the_data_that_waited_before_the_old_one() {
    // The other times the queue's own settings change too: then the data moves to another queue.
    for (name, size, next) in [("same", 5, 5), ("other", 5, 3), ("smaller", 5, 1)] {
        let yaml = |version: u32, stall: bool, size: usize| {
            format!(
                "
receivers: {{given/q{name}: }}
exporters: {{record/q{name}: {{stall: {stall}, queue_size: {size}, version: {version}}}}}
service: {{pipelines: {{logs: {{receivers: [given/q{name}], exporters: [record/q{name}]}}}}}}
"
            )
        };
        let mut running = start(&yaml(1, true, size)).await;
        let (receiver, old) = (given(&format!("given/q{name}")), exporter(&format!("record/q{name}")));
        let mut waiting = Vec::new();
        for byte in 1..=5 {
            waiting.push(receiver.offer(&[byte]).await);
        }
        let changes = reload(&mut running, &yaml(2, false, next)).await.unwrap();
        assert_eq!(changes.replaced, [format!("exporter/record/q{name}")]);
        let new = exporter(&format!("record/q{name}"));
        old.release(); // the one that was in an attempt ends there
        for outcome in waiting {
            assert_eq!(outcome.await, Outcome::Delivered, "{name}");
        }
        assert_eq!(receiver.send(&[6]).await, Outcome::Delivered, "{name}");
        let bytes =
            |records: Vec<parts::Recorded>| records.into_iter().flat_map(|r| r.bytes).collect::<Vec<_>>();
        assert_eq!(bytes(old.records()), [1], "{name}: only what was in an attempt");
        assert_eq!(bytes(new.records()), [2, 3, 4, 5, 6], "{name}: in order");
        assert_balanced(&running);
        assert_eq!(running.stop(PATIENCE).await.undelivered, 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_processor_sends_on_what_it_held_and_the_new_one_begins_empty() {
    let yaml = |version: u32| {
        format!(
            "
receivers: {{given/h: }}
processors: {{hold: {{version: {version}}}}}
exporters: {{record/h: }}
service: {{pipelines: {{logs: {{receivers: [given/h], processors: [hold], exporters: [record/h]}}}}}}
"
        )
    };
    let mut running = start(&yaml(1)).await;
    let first = given("given/h").offer(&[1]).await;
    let changes = reload(&mut running, &yaml(2)).await.unwrap();
    assert_eq!(changes.replaced, ["processor/hold (logs)"]);
    let second = given("given/h").offer(&[2]).await;
    assert_eq!(first.await, Outcome::Delivered);
    assert_balanced(&running);
    let ledger = Ledger::read(running.registry());
    let row = ledger.rows.iter().find(|row| row.component == "hold").unwrap();
    assert_eq!((row.taken, row.out, row.held), (2, 1, 1));
    running.stop(PATIENCE).await;
    assert_eq!(second.await, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_comes_and_goes_while_another_runs_on() {
    let one = "
receivers: {given/p1: }
exporters: {record/p1: }
service: {pipelines: {logs: {receivers: [given/p1], exporters: [record/p1]}}}
";
    let two = "
receivers: {given/p1: , given/p2: }
processors: {pass: }
exporters: {record/p1: , record/p2: }
service:
  pipelines:
    logs: {receivers: [given/p1], exporters: [record/p1]}
    logs/more: {receivers: [given/p1, given/p2], processors: [pass], exporters: [record/p2]}
";
    let host = host();
    let mut running = Running::start(&good_plan(one), host.clone()).await.unwrap();
    let changes = reload(&mut running, two).await.unwrap();
    assert!(changes.to_string().starts_with("kept 3, added "), "{changes}");
    assert_eq!(changes.added.len(), 4, "{changes:?}");
    assert_eq!(given("given/p1").send(&[1]).await, Outcome::Delivered);
    assert_eq!(given("given/p2").send(&[2]).await, Outcome::Delivered);
    assert_eq!(exporter("record/p2").records().len(), 2);
    let changes = reload(&mut running, one).await.unwrap();
    assert_eq!(changes.removed.len(), 4, "{changes:?}");
    assert_eq!(given("given/p1").send(&[3]).await, Outcome::Delivered);
    assert_eq!(exporter("record/p2").records().len(), 2, "the pipeline is gone");
    tokio::time::sleep(PATIENCE * 2).await;
    assert_eq!(host.board().state(Kind::Exporter, "record/p2"), None, "nobody hears of it any more");
    assert_eq!(host.board().state(Kind::Exporter, "record/p1"), Some(State::Ok));
    assert_balanced(&running);
    running.stop(PATIENCE).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_or_started_changes_nothing() {
    let yaml = |version: u32, broken: &str| {
        format!(
            "
receivers: {{given/n1: , given/n2: {{broken: {broken}}}}}
processors: {{hold: {{version: {version}}}}}
exporters: {{record/n: {{version: {version}}}}}
service:
  pipelines:
    logs: {{receivers: [given/n1, given/n2], processors: [hold], exporters: [record/n]}}
"
        )
    };
    let host = host();
    let mut running = Running::start(&good_plan(&yaml(1, "no")), host.clone()).await.unwrap();
    let old = exporter("record/n");
    let held = given("given/n1").offer(&[1]).await;
    let why = reload(&mut running, &yaml(2, "create")).await.unwrap_err();
    assert_eq!(why, ["failed to create \"given/n2\" receiver: it was told to"]);
    let why = reload(&mut running, &yaml(2, "start")).await.unwrap_err();
    assert_eq!(why, ["failed to start \"given/n2\" receiver: it was told not to"]);
    assert_eq!(host.board().state(Kind::Receiver, "given/n2"), Some(State::Ok), "the old one runs");
    assert_eq!(old.records().len(), 0, "the old processor holds what it held");
    running.stop(PATIENCE).await;
    assert_eq!(held.await, Outcome::Delivered);
    assert_eq!(old.records().len(), 1, "through the old exporter");
}

#[tokio::test(start_paused = true)]
async fn a_removed_exporter_gives_back_what_it_cannot_deliver_in_time() {
    let yaml = |id: &str| {
        format!(
            "
receivers: {{given/r: }}
exporters: {{record/{id}: {{stall: true, queue_size: 5}}}}
service: {{pipelines: {{logs: {{receivers: [given/r], exporters: [record/{id}]}}}}}}
"
        )
    };
    let mut running = start(&yaml("r1")).await;
    let stuck = given("given/r").offer(&[1]).await;
    reload(&mut running, &yaml("r2")).await.unwrap();
    assert!(matches!(stuck.await, Outcome::Retry { reason: Reason::Stopping, .. }));
    assert_balanced(&running);
    let again = given("given/r").offer(&[1]).await;
    exporter("record/r2").release();
    assert_eq!(again.await, Outcome::Delivered);
    running.stop(PATIENCE).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_draining_and_everything_is_settled() {
    let yaml = "
receivers: {given/s: }
exporters: {record/s: {stall: true, queue_size: 5}}
service: {pipelines: {logs: {receivers: [given/s], exporters: [record/s]}}}
";
    let running = start(yaml).await;
    let stuck = given("given/s").offer(&[1]).await;
    let begun = tokio::time::Instant::now();
    let signal = tokio::time::sleep(Duration::from_secs(2));
    let report = running.stop_until(Duration::from_secs(3600), signal).await;
    assert_eq!(report.undelivered, 1);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(matches!(stuck.await, Outcome::Retry { reason: Reason::Stopping, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_degrades_the_one_and_with_fail_fast_ends_all() {
    let yaml = |fail_fast: bool| {
        format!(
            "
receivers: {{given/f1: , given/f2: {{broken: start}}}}
exporters: {{record/f: }}
service:
  fail_fast: {fail_fast}
  pipelines: {{logs: {{receivers: [given/f1, given/f2], exporters: [record/f]}}}}
"
        )
    };
    let host = host();
    let running = Running::start(&good_plan(&yaml(false)), host.clone()).await.unwrap();
    assert_eq!(host.board().state(Kind::Receiver, "given/f2"), Some(State::Recoverable));
    assert_eq!(given("given/f1").send(&[1]).await, Outcome::Delivered);
    running.stop(PATIENCE).await;
    let error = Running::start(&good_plan(&yaml(true)), parts::host()).await.err().unwrap();
    let text = "cannot start pipelines: failed to start \"given/f2\" receiver: it was told not to";
    assert_eq!(error.to_string(), text);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_reloads_leave_no_tasks_behind() {
    let yaml = |version: usize| {
        format!(
            "
receivers: {{given/t: {{version: {version}}}}}
processors: {{hold: {{version: {version}}}}}
exporters: {{record/t: {{version: {version}, queue_size: {}}}}}
service: {{pipelines: {{logs: {{receivers: [given/t], processors: [hold], exporters: [record/t]}}}}}}
",
            5 + version
        )
    };
    let mut running = start(&yaml(0)).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    tokio::time::sleep(PATIENCE).await;
    let before = tasks();
    let mut waiting = Vec::new();
    for version in 1..=200 {
        waiting.push(given("given/t").offer(&[1]).await);
        assert_eq!(reload(&mut running, &yaml(version)).await.unwrap().replaced.len(), 3);
    }
    tokio::time::sleep(PATIENCE * 2).await;
    assert_eq!(tasks(), before);
    for outcome in waiting {
        assert_eq!(outcome.await, Outcome::Delivered);
    }
    assert_balanced(&running);
    running.stop(PATIENCE).await;
}
