//! The ledger goes on over restarts where there is a storage.

use std::path::PathBuf;

use serde_json::Value;
use streamgauge_harness::{Collector, Reply, http, poll_until};

use crate::queue::Rig;
use crate::support::SOON;

fn ledger(rig: &Rig) -> Value {
    let url = format!("http://127.0.0.1:{}/api/v1/ledger", rig.api.unwrap());
    http::request("GET", &url, &[("authorization", "Bearer hunter2")], &[]).unwrap().json()
}

/// The exporter's line: in and created (but for what had been given back to the queue), held, delivered. Every line adds up.
#[track_caller]
fn exporter(ledger: &Value) -> [u64; 3] {
    let lines = ledger["components"].as_array().unwrap();
    for line in lines {
        let number = |key: &str| line[key].as_u64().unwrap();
        let sum = |key: &str| line[key].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
        let ends = number("out") + number("held") + number("delivered") + sum("dropped") + sum("returned");
        assert_eq!(number("in") + number("created"), ends, "{line}");
    }
    let line = lines.iter().find(|line| line["kind"] == "exporter").unwrap();
    let returned = line["returned"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    let [taken, created, held, delivered] =
        ["in", "created", "held", "delivered"].map(|key| line[key].as_u64().unwrap());
    [taken + created - returned, held, delivered]
}

/// With the runs before this one.
#[track_caller]
fn of_run(rig: &Rig, run: u64) -> Value {
    poll_until("the ledger of all runs", SOON, || Some(ledger(rig)).filter(|ledger| ledger["runs"] == run))
}

#[track_caller]
fn until_delivered(rig: &Rig, delivered: u64) -> Value {
    poll_until("so many are delivered", SOON, || {
        Some(ledger(rig)).filter(|ledger| exporter(ledger)[2] == delivered)
    })
}

/// Until the cell was written by this run, with as much in the queue.
fn until_stored(rig: &Rig, runs: u64, held: u64) {
    let cell = PathBuf::from(rig.storage()).join("cells/ledger");
    poll_until("the ledger is stored", SOON, || {
        let text = String::from_utf8_lossy(&std::fs::read(&cell).ok()?).into_owned();
        let wanted = [format!("\"runs\":{runs},"), format!("\"held\":{held},")];
        wanted.iter().all(|part| text.contains(part)).then_some(())
    });
}

fn kill(mut collector: Collector) {
    collector.signal("KILL");
    assert_eq!(collector.exit_code(SOON), None);
}

#[test]
fn what_was_counted_before_a_stop_is_counted_after_it() {
    let rig = Rig::new(true);
    let collector = rig.start();
    ["one", "two", "three"].iter().for_each(|text| rig.send(text));
    let (_, log) = collector.terminate(SOON);
    assert!(log.contains(", 1 run: received 6, delivered 0,") && log.contains("held 6"), "{log}");

    rig.sink.always(Reply::Ok);
    let collector = rig.start();
    let first = until_delivered(&rig, 6);
    assert_eq!((exporter(&first), &first["runs"]), ([6, 0, 6], &2.into()));
    rig.send("four");
    let second = until_delivered(&rig, 8);
    assert_eq!((exporter(&second), &second["since"]), ([8, 0, 8], &first["since"]));
    assert!(second["since"].as_str().unwrap().ends_with('Z'), "{second}");
    let (_, log) = collector.terminate(SOON);
    assert!(log.contains(", 2 runs: received 8, delivered 8, dropped 0,"), "{log}");

    // What was purged in between is not held any more.
    rig.sink.always(Reply::Status { code: 503, retry_after: None });
    let collector = rig.start();
    rig.send("five");
    let (_, log) = collector.terminate(SOON);
    assert!(log.contains("held 2"), "{log}");
    rig.json(&["purge", "otlp_http/eu/logs", "--yes", "otlp_http/eu/logs"]);
    let collector = rig.start();
    let after = of_run(&rig, 4);
    assert_eq!(exporter(&after), [10, 0, 8]);
    let line =
        after["components"].as_array().unwrap().iter().find(|line| line["kind"] == "exporter").unwrap();
    assert_eq!(line["dropped"], serde_json::json!({"purged": 2}));
    collector.terminate(SOON);
}

#[test]
fn after_a_kill_the_ledger_goes_on_from_what_was_stored_and_what_the_queue_knows() {
    let rig = Rig::new(true);
    let collector = rig.start();
    rig.send("stored");
    until_stored(&rig, 1, 2);
    rig.send("not stored");
    kill(collector);

    rig.sink.always(Reply::Ok);
    let collector = rig.start();
    // The second was not in the ledger: the queue has it, and makes it known.
    assert_eq!(exporter(&until_delivered(&rig, 4)), [4, 0, 4]);
    rig.sink.always(Reply::Status { code: 503, retry_after: None });
    rig.send("waits");
    until_stored(&rig, 2, 2);
    rig.sink.always(Reply::Ok);
    poll_until("it is delivered", SOON, || (rig.received() == 6).then_some(()));
    poll_until("and gone", SOON, || (rig.json(&["ls"])[0]["records"] == 0).then_some(()));
    kill(collector);

    // The ledger has it in the queue, the queue not any more.
    let collector = rig.start();
    assert_eq!(exporter(&until_delivered(&rig, 6)), [6, 0, 6]);
    until_stored(&rig, 3, 0);
    rig.send("comes and goes");
    poll_until("it is gone", SOON, || (rig.received() == 8).then_some(()));
    poll_until("and gone", SOON, || (rig.json(&["ls"])[0]["records"] == 0).then_some(()));
    kill(collector);

    // Nobody knows more of it than its number, unless the ledger was just then stored again.
    let collector = rig.start();
    let told = "came and went after the ledger was last stored";
    let [all, held, delivered] = poll_until("the ledger of all runs", SOON, || {
        let numbers = exporter(&of_run(&rig, 4));
        (numbers[2] == 8 || collector.log().contains(told)).then_some(numbers)
    });
    assert_eq!((held, all), (0, delivered), "{}", collector.log());
    collector.terminate(SOON);
}
