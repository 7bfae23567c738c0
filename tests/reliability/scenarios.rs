//! What can happen.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use streamgauge_harness::{Reply, poll_until};

use crate::ledger::{RECORDS, Row};
use crate::rig::{CONSUMERS, Rig, SOON};

pub const ALL: [fn() -> Row; 8] = [
    killed_at_random_moments,
    killed_between_export_and_settlement,
    terminated_under_load,
    sink_down_beyond_the_retries,
    sink_down_and_a_restart_meanwhile,
    quota_used_up,
    a_damaged_byte,
    storage_missing_at_the_start,
];

const ROUNDS: usize = 20;
const CLIENTS: usize = 4;
/// Records that may be with the peer while the collector does not know it: each consumer's request, and one more each
/// whose end is not written down yet.
const ON_THE_WAY: usize = 2 * CONSUMERS * RECORDS as usize;

fn killed_at_random_moments() -> Row {
    let rig = Rig::new();
    for _ in 0..ROUNDS {
        let running = rig.start();
        let (url, before) = (running.url.clone(), rig.ledger.acked());
        let moment = Duration::from_millis(u64::from(clock_noise() % 300));
        rig.ledger.load(&url, CLIENTS, &AtomicBool::new(false), || {
            poll_until("load", SOON, || (rig.ledger.acked() > before).then_some(()));
            std::thread::sleep(moment); // the moment is what the test is about
            running.kill();
        });
    }
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    Row {
        most_duplicated: ROUNDS * ON_THE_WAY,
        ..rig.ledger.row("kill -9 at a random moment under load, 20 times", &rig.sink)
    }
}

fn killed_between_export_and_settlement() -> Row {
    let rig = Rig::new();
    rig.sink.always(Reply::Stall(Duration::from_millis(300)));
    let running = rig.start();
    for _ in 0..20 {
        assert!(rig.ledger.send(&running.url));
    }
    poll_until("some are being exported", SOON, || {
        (running.number("otelcol_exporter_in_flight_requests") == CONSUMERS as f64).then_some(())
    });
    running.kill();
    rig.sink.always(Reply::Ok);
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    Row {
        most_duplicated: ON_THE_WAY,
        ..rig.ledger.row("kill -9 while the peer has data and has not answered", &rig.sink)
    }
}

fn terminated_under_load() -> Row {
    let rig = Rig::new();
    for _ in 0..3 {
        let running = rig.start();
        let (url, before) = (running.url.clone(), rig.ledger.acked());
        rig.ledger.load(&url, CLIENTS, &AtomicBool::new(false), || {
            poll_until("load", SOON, || (rig.ledger.acked() > before + 500).then_some(()));
            running.terminate();
        });
    }
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    rig.ledger.row("SIGTERM under load, 3 times", &rig.sink)
}

fn sink_down_beyond_the_retries() -> Row {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let mut running = rig.start();
    for _ in 0..50 {
        assert!(rig.ledger.send(&running.url));
    }
    running.collector.wait_for_log("The data went back to where it came from", SOON);
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    running.terminate();
    rig.ledger.row("peer down for longer than max_elapsed_time", &rig.sink)
}

fn sink_down_and_a_restart_meanwhile() -> Row {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    for _ in 0..2 {
        let running = rig.start();
        for _ in 0..50 {
            assert!(rig.ledger.send(&running.url));
        }
        running.terminate();
    }
    let running = rig.start();
    assert!(rig.ledger.send(&running.url));
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    running.terminate();
    rig.ledger.row("peer down, collector restarted twice, peer back", &rig.sink)
}

fn quota_used_up() -> Row {
    let mut rig = Rig::new();
    rig.quota = 256 << 10;
    rig.sink.always(Reply::status(503));
    let running = rig.start();
    poll_until("the quota is used up", SOON, || (!rig.ledger.send(&running.url)).then_some(()));
    assert!(rig.ledger.refused() >= RECORDS);
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    assert!(rig.ledger.send(&running.url), "there is room again");
    rig.arrives(0);
    running.terminate();
    rig.ledger.row("peer down until the quota is used up, then back", &rig.sink)
}

/// One request is damaged: it is set aside and counted, and nothing else is touched.
fn a_damaged_byte() -> Row {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let running = rig.start();
    for _ in 0..50 {
        assert!(rig.ledger.send(&running.url));
    }
    running.kill();
    let segment = std::fs::File::options().read(true).write(true).open(&rig.segments()[0]).unwrap();
    let mut byte = [0];
    segment.read_exact_at(&mut byte, 40_000).unwrap();
    segment.write_all_at(&[!byte[0]], 40_000).unwrap();
    rig.sink.always(Reply::Ok);
    let running = rig.start();
    rig.arrives(RECORDS as usize);
    let damaged = poll_until("it is counted", SOON, || {
        Some(running.number("streamgauge_queue_disk_damaged")).filter(|damaged| *damaged > 0.0)
    });
    assert_eq!(damaged, 1.0, "requests");
    running.terminate();
    let name = "kill -9, then one byte of the queue flipped: its request is set aside and counted";
    let row = rig.ledger.row(name, &rig.sink);
    Row { counted_lost: RECORDS as usize, most_duplicated: ON_THE_WAY, ..row }
}

/// Senders are told to come again, and once the directory is there everything is well, without a restart.
fn storage_missing_at_the_start() -> Row {
    let mut rig = Rig::new();
    rig.within = "later";
    let running = rig.start();
    assert!(!rig.ledger.send(&running.url), "nothing is taken that cannot be stored");
    std::fs::create_dir(rig.directory()).unwrap();
    poll_until("the storage is taken into use", SOON, || rig.ledger.send(&running.url).then_some(()));
    rig.arrives(0);
    running.terminate();
    rig.ledger.row("directory of the storage missing at the start, made later", &rig.sink)
}

fn clock_noise() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_micros()
}
