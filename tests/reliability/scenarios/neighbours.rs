//! Two exporters of one pipeline: what the dead one costs the other.

use std::time::{Duration, Instant};

use streamgauge_harness::{OtlpSink, Reply, poll_until};

use crate::ledger::RECORDS;
use crate::rig::{Rig, SOON};
use crate::row::Row;
use crate::scenarios::Run;

const MEMORY: &str = "";
const DISK: &str = "storage: file_storage, ";

pub const ALL: &[(&str, Run)] = &[
    ("it has a queue in memory, with room", || beside(MEMORY, "queue_size: 100000", 0)),
    ("it has a queue on the disk, with room", || beside(DISK, "queue_size: 100000", 0)),
    ("it has a full queue in memory, `when_full: drop_oldest`", || beside(MEMORY, DROPS, ROOM)),
    ("it has a full queue on the disk, `when_full: drop_oldest`", || beside(DISK, DROPS, ROOM)),
];

const DROPS: &str = "queue_size: 20, when_full: drop_oldest";
/// Requests that it holds; 0 is all.
const ROOM: usize = 20;
const REQUESTS: usize = 300;
/// How long any one request may take to its answer on a busy machine. The dead exporter's timeout is far beyond it.
const PROMPT: Duration = Duration::from_secs(5);

fn beside(storage: &str, queue: &str, room: usize) -> Option<Row> {
    let dead = OtlpSink::http();
    dead.always(Reply::Hold);
    let mut rig = Rig::new();
    rig.queue = "queue_size: 100000".to_owned();
    let queue = format!("sending_queue: {{num_consumers: 2, {storage}{queue}}}");
    let section = rig.section(&dead.addr(), &queue).replace("timeout: 2s", "timeout: 10m");
    rig.beside.push(("otlp_http/dead", section));
    let running = rig.start();
    let mut slowest = Duration::ZERO;
    for _ in 0..REQUESTS {
        let asked = Instant::now();
        rig.send(&running, 1);
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < PROMPT, "{slowest:?}");
    rig.arrives(0);
    assert_eq!(dead.answers(), 0, "it was dead all the time");
    let row = rig.ledger.row(&rig.sink, 0);

    // What the dead one was given is held, or was dropped and counted; once it is well it has all that was held.
    let held = || running.number("streamgauge_held_items", &["component=\"otlp_http/dead\""]);
    let dropped = || running.number("streamgauge_items_dropped", &["reason=\"drop_oldest\""]);
    let all = REQUESTS * RECORDS as usize;
    poll_until("its ledger adds up", SOON, || (held() + dropped() == all).then_some(()));
    assert!(room == 0 || held() <= room * RECORDS as usize, "{} held", held());
    dead.release();
    let dropped = running.dropped("otlp_http/dead");
    assert_eq!(dropped > 0, room > 0, "{dropped} dropped");
    poll_until("it has the rest", SOON, || (rig.ledger.missing(&dead) == dropped).then_some(()));
    running.terminate();
    Some(row)
}
