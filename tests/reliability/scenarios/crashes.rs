//! Kills at any moment, stops under load, peers that are down meanwhile.

use std::time::{Duration, SystemTime};

use streamgauge_harness::{Reply, poll_until};

use crate::ledger::RECORDS;
use crate::rig::{CONSUMERS, ON_THE_WAY, Rig, SOON};
use crate::row::Row;
use crate::scenarios::Run;

pub const ALL: &[(&str, Run)] = &[
    ("kill -9 at a random moment under load, 20 times", killed_at_random_moments),
    ("kill -9 while the peer has data and has not answered", killed_between_export_and_settlement),
    ("SIGTERM under load, 3 times", terminated_under_load),
    ("SIGTERM under load, queue in memory, peer slow, 3 times", terminated_with_a_queue_in_memory),
    ("SIGTERM twice under load, queue in memory: the draining is skipped", terminated_twice),
    ("peer down for longer than max_elapsed_time", peer_down_beyond_the_retries),
    ("peer down for longer than max_elapsed_time, queue in memory", peer_down_beyond_the_retries_in_memory),
    ("peer down, collector restarted twice, peer back", peer_down_and_a_restart_meanwhile),
];

const ROUNDS: usize = 20;
const CLIENTS: usize = 4;

fn killed_at_random_moments() -> Option<Row> {
    let rig = Rig::new();
    for _ in 0..ROUNDS {
        let running = rig.start();
        let url = running.url.clone();
        let moment = Duration::from_millis(u64::from(clock_noise() % 300));
        rig.ledger.load(&url, CLIENTS, || {
            rig.takes(1);
            std::thread::sleep(moment); // the moment is what the test is about
            running.kill();
        });
    }
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    Some(Row { most_duplicated: ROUNDS * ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}

fn killed_between_export_and_settlement() -> Option<Row> {
    let rig = Rig::new();
    rig.sink.always(Reply::Stall(Duration::from_millis(300)));
    let running = rig.start();
    rig.send(&running, 20);
    poll_until("some are being exported", SOON, || {
        (running.number("otelcol_exporter_in_flight_requests", &[]) == CONSUMERS).then_some(())
    });
    running.kill();
    rig.sink.always(Reply::Ok);
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    Some(Row { most_duplicated: ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}

fn terminated_under_load() -> Option<Row> {
    let rig = Rig::new();
    for _ in 0..3 {
        let running = rig.start();
        let url = running.url.clone();
        rig.ledger.load(&url, CLIENTS, || {
            rig.takes(500);
            running.terminate();
        });
    }
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    Some(rig.ledger.row(&rig.sink, 0))
}

/// What does not get out within `shutdown_timeout` is counted, and its number said in the log.
fn terminated_with_a_queue_in_memory() -> Option<Row> {
    let rig = Rig::new().in_memory();
    // More comes in than goes out.
    rig.sink.always(Reply::Stall(Duration::from_millis(100)));
    let accounted = (0..3).map(|_| stopped_under_load(&rig, &["TERM"])).sum();
    assert!(accounted > 0, "this would show nothing");
    Some(Row { most_duplicated: 3 * ON_THE_WAY, ..rig.ledger.row(&rig.sink, accounted) })
}

fn terminated_twice() -> Option<Row> {
    let rig = Rig::new().in_memory();
    rig.sink.always(Reply::Stall(Duration::from_millis(100)));
    let accounted = stopped_under_load(&rig, &["TERM", "TERM"]);
    assert!(accounted > 0, "this would show nothing");
    Some(Row { most_duplicated: ON_THE_WAY, ..rig.ledger.row(&rig.sink, accounted) })
}

/// Ends a collector under load. What it says of the items that are lost by that.
fn stopped_under_load(rig: &Rig, signals: &[&str]) -> usize {
    let mut running = rig.start();
    let url = running.url.clone();
    let mut log = String::new();
    rig.ledger.load(&url, CLIENTS, || {
        rig.takes(2000);
        for signal in signals {
            running.collector.signal(signal);
            running.collector.wait_for_log("Starting shutdown", SOON);
        }
        assert_eq!(running.collector.exit_code(SOON), Some(0));
        log = running.collector.log();
    });
    lost_at_the_stop(&log)
}

/// The number in the log's line about it.
#[track_caller]
fn lost_at_the_stop(log: &str) -> usize {
    let Some(line) = log.lines().find(|line| line.contains("lost at the stop")) else { return 0 };
    let (_, rest) = line.split_once("items").unwrap_or_else(|| panic!("no number of items in {line:?}"));
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number of items in {line:?}"))
}

fn peer_down_beyond_the_retries() -> Option<Row> {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let mut running = rig.start();
    rig.send(&running, 50);
    running.collector.wait_for_log("The data went back to where it came from", SOON);
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    running.terminate();
    Some(rig.ledger.row(&rig.sink, 0))
}

/// The clients have had their answer: what runs out of retries is gone, and counted.
fn peer_down_beyond_the_retries_in_memory() -> Option<Row> {
    let rig = Rig::new().in_memory();
    rig.sink.always(Reply::status(503));
    let running = rig.start();
    rig.send(&running, 50);
    let gone = || running.number("streamgauge_receiver_came_back_items", &["answer=\"none\""]);
    poll_until("some have run out of retries", SOON, || (gone() >= 5 * RECORDS as usize).then_some(()));
    rig.sink.always(Reply::Ok);
    assert_eq!(running.dropped("otlp_http"), 0, "they are returned");
    let accounted = gone();
    running.terminate();
    Some(rig.ledger.row(&rig.sink, accounted))
}

fn peer_down_and_a_restart_meanwhile() -> Option<Row> {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    for _ in 0..2 {
        let running = rig.start();
        rig.send(&running, 50);
        running.terminate();
    }
    let running = rig.start();
    rig.send(&running, 1);
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    running.terminate();
    Some(rig.ledger.row(&rig.sink, 0))
}

fn clock_noise() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_micros()
}
