//! Disks that are full, read-only, missing, or somebody else's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use streamgauge_harness::{Reply, poll_until};

use crate::ledger::RECORDS;
use crate::rig::{Rig, SOON};
use crate::row::Row;
use crate::scenarios::Run;

pub const ALL: &[(&str, Run)] = &[
    ("peer down until the quota is used up, then back", quota_used_up),
    ("peer down until the file system is full, then back", file_system_full),
    ("file system read-only at the start, writable later", read_only_at_the_start),
    ("directory missing at the start, made later", missing_at_the_start),
    ("two collectors on one directory: the second takes over when the first ends", two_on_one_directory),
];

/// A small file system of its own.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this process may not mount.
    fn at(path: &Path, bytes: u64) -> Option<Mounted> {
        std::fs::create_dir(path).unwrap();
        let options = format!("size={bytes}");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &path.display().to_string()]);
        mounted.then(|| Mounted(path.to_owned()))
    }

    fn remount(&self, option: &str) {
        assert!(run("mount", &["-o", &format!("remount,{option}"), &self.0.display().to_string()]));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["-l", &self.0.display().to_string()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn quota_used_up() -> Option<Row> {
    let mut rig = Rig::new();
    rig.quota = 256 << 10;
    filled_and_emptied(&rig)
}

fn file_system_full() -> Option<Row> {
    let mut rig = Rig::new();
    (rig.within, rig.quota) = ("small", 16 << 20);
    let _mounted = Mounted::at(&rig.directory(), 5 << 20)?;
    filled_and_emptied(&rig)
}

/// Nothing is taken that cannot be stored; with the peer comes room.
fn filled_and_emptied(rig: &Rig) -> Option<Row> {
    rig.sink.always(Reply::status(503));
    let running = rig.start();
    let begun = Instant::now();
    while rig.ledger.send(&running.url) {
        assert!(begun.elapsed() < SOON, "there is still room");
    }
    assert!(rig.ledger.refused() >= RECORDS);
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    poll_until("there is room again", SOON, || rig.ledger.send(&running.url).then_some(()));
    rig.arrives(0);
    assert_eq!(running.dropped("otlp_http"), 0);
    running.terminate();
    Some(rig.ledger.row(&rig.sink, 0))
}

/// Senders are told to come again, and once it can be written everything is well, without a restart.
fn read_only_at_the_start() -> Option<Row> {
    let mut rig = Rig::new();
    rig.within = "readonly";
    let mounted = Mounted::at(&rig.directory(), 64 << 20)?;
    mounted.remount("ro");
    taken_once(&rig, || mounted.remount("rw"))
}

fn missing_at_the_start() -> Option<Row> {
    let mut rig = Rig::new();
    rig.within = "later";
    taken_once(&rig, || std::fs::create_dir(rig.directory()).unwrap())
}

fn taken_once(rig: &Rig, mended: impl FnOnce()) -> Option<Row> {
    let running = rig.start();
    assert!(!rig.ledger.send(&running.url), "nothing is taken that cannot be stored");
    mended();
    poll_until("the storage is taken into use", SOON, || rig.ledger.send(&running.url).then_some(()));
    rig.arrives(0);
    running.terminate();
    Some(rig.ledger.row(&rig.sink, 0))
}

fn two_on_one_directory() -> Option<Row> {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let first = rig.start();
    rig.send(&first, 20);
    let mut second = rig.start();
    second.collector.wait_for_log("is in use by process", SOON);
    assert!(!rig.ledger.send(&second.url), "the directory is the first one's");
    rig.send(&first, 20);
    first.terminate();
    poll_until("the second takes the directory", SOON, || rig.ledger.send(&second.url).then_some(()));
    rig.sink.always(Reply::Ok);
    rig.arrives(0);
    second.terminate();
    Some(rig.ledger.row(&rig.sink, 0))
}
