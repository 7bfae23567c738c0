//! A wall clock that is set, forth and back, by libfaketime. Intervals are measured by the other clock, which cannot jump.

use std::path::PathBuf;

use streamgauge_harness::{Reply, poll_until};

use crate::rig::{ON_THE_WAY, Rig, Running, SOON};
use crate::row::Row;
use crate::scenarios::Run;

pub const ALL: &[(&str, Run)] = &[("an hour forth, a day back under load, and a kill -9 between", jumps)];

/// What is preloaded into the collector; `None` where the package is not installed.
fn library() -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    directories.map(|path| path.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

fn jumps() -> Option<Row> {
    let library = library()?;
    let mut rig = Rig::new();
    let clock = rig.directory().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).unwrap();
    set("+0");
    rig.env = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .to_vec();
    let jumping = |running: &Running| {
        rig.ledger.load(&running.url, 2, || {
            for to in ["+0", "+3600", "-86400", "+30d", "+0"] {
                set(to);
                rig.takes(100);
            }
        });
    };
    let running = rig.start();
    jumping(&running);
    rig.arrives(0);
    rig.sink.always(Reply::status(503));
    jumping(&running);
    set("+30d");
    poll_until("the collector believes it", SOON, || {
        (running.number("streamgauge_queue_disk_oldest_age", &[]) > 29 * 86400).then_some(())
    });
    set("-86400");
    running.kill();
    let running = rig.start();
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    jumping(&running);
    rig.arrives(0);
    assert_eq!(running.dropped("otlp_http"), 0);
    running.terminate();
    Some(Row { most_duplicated: 2 * ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}
