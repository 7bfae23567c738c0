//! The yardstick of a queue on disk: writes and syncs the same bytes in the same groups, and does nothing else.
//!
//! It writes over blocks that were written before, round and round, which is the fastest that a disk does it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::bodies::{self, Shape};
use super::child::{Helper, answer_commands};
use super::rows::Row;
use super::run::{Measured, SUBJECT_CORE, Times, args};
use super::subject::Subject;
use crate::proc;

/// The file: more than a disk's own cache is likely to take for one write.
const FILE: u64 = 256 << 20;

#[derive(Args, Clone, Debug)]
pub struct WriterArgs {
    /// The file to write.
    #[arg(long)]
    pub file: PathBuf,
    /// Bytes of each group.
    #[arg(long)]
    pub group: usize,
}

/// What has been written and synced so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    bytes: u64,
}

/// The mode of the process.
pub async fn run(args: WriterArgs) {
    let file = File::create_new(&args.file).expect("create the file");
    let group: Vec<u8> = (0..args.group).map(|n| n as u8).collect();
    let groups = (FILE / group.len() as u64).max(1);
    let write = |n: u64| file.write_all_at(&group, n % groups * group.len() as u64).expect("write the file");
    (0..groups).for_each(write);
    file.sync_all().expect("sync the file");
    let bytes = Arc::new(AtomicU64::new(0));
    let counted = bytes.clone();
    answer_commands("ready", move |_| {
        serde_json::to_string(&Written { bytes: counted.load(Relaxed) }).expect("a count is JSON")
    });
    for n in 0.. {
        write(n);
        file.sync_data().expect("sync the file");
        bytes.fetch_add(group.len() as u64, Relaxed);
    }
}

/// One request of a row.
pub fn request(row: &Row) -> Bytes {
    let (signal, records, groups) = (row.signal, row.records, row.groups);
    bodies::request(Shape { signal, records, groups, tagged: row.tagged, numbered: row.numbered() })
}

/// How many requests ours wrote with one sync; half of those under way where it was not seen.
pub fn group(row: &Row, earlier: &[Measured]) -> f64 {
    let seen: Vec<f64> = earlier.iter().filter_map(|run| run.group).collect();
    match seen.len() {
        0 => row.in_flight as f64 / 2.0,
        n => seen.iter().sum::<f64>() / n as f64,
    }
}

/// Runs it with groups of so many of the row's requests.
pub fn measure(row: &Row, requests: f64, times: Times, dir: &Path) -> Measured {
    let request = request(row).len() as f64;
    let (file, group) = (dir.join("bare"), (request * requests).round());
    let words = ["write", "--file", &file.display().to_string(), "--group", &group.to_string()];
    let (mut writer, _) = Helper::start(&args(&words), SUBJECT_CORE);
    let pid = writer.id();
    // Not waiting for a state: this is the time that is measured.
    std::thread::sleep(times.warm_up);
    let mut now = || {
        let cpu = proc::cpu_time_of_threads(pid).expect("the writer is alive");
        (writer.ask::<Written>("counts").bytes, cpu, Instant::now())
    };
    let before = now();
    std::thread::sleep(times.window);
    let after = now();
    let bytes_out = request / row.records as f64;
    let written = (after.0 - before.0) as f64 / bytes_out;
    Measured {
        cpu_ns: (after.1 - before.1).as_nanos() as f64 / written,
        rate: written / (after.2 - before.2).as_secs_f64(),
        rss_mib: proc::resident_mib(pid).unwrap_or(f64::NAN),
        peak_mib: proc::peak_mib(pid).unwrap_or(f64::NAN),
        bytes_out,
        group: Some(requests),
        ..Measured::nothing(Subject::Writer)
    }
}
