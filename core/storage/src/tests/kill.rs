//! kill -9 of a process that appends and settles, again and again on one directory.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;

use super::*;

const DIRECTORY: &str = "STREAMGAUGE_TEST_KILL_DIRECTORY";
/// Appends that wait at the same time.
const IN_FLIGHT: usize = 16;
const FIRST: &str = "STREAMGAUGE_TEST_KILL_FIRST";

/// The process that is killed: it tells what it appended once that is durable, and what it settles before it does.
#[tokio::test]
async fn child() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let patient =
        Settings { timeout: Duration::from_secs(10), quota: 4 << 30, ..settings(directory.as_ref()) };
    let storage = Storage::open(patient).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    let mut out = std::io::stderr();
    let mut appends = FuturesOrdered::new();
    for number in first.. {
        let log = &log;
        appends.push_back(async move {
            (log.append(payload(number, (number * 37 % 5000) as usize)).await.unwrap(), number)
        });
        if appends.len() < IN_FLIGHT {
            continue;
        }
        let (id, number) = appends.next().await.unwrap();
        writeln!(out, "acked {number}").unwrap();
        if number % 3 > 0 {
            writeln!(out, "settling {number}").unwrap();
            log.settle(id);
        }
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged_and_keeps_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut acked, mut settling) = (BTreeSet::new(), BTreeSet::new());
    let mut first = 1;
    for round in 0..20_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::kill::child", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // At another place each time: after some hundred words, wherever it is then.
        let words = 50 + round * 97 % 400;
        let mut said = Vec::new();
        while (said.len() as u64) < words {
            said.push(lines.next().expect("the child lives").unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok));
        for line in &said {
            let number = |word| line.strip_prefix(word).and_then(|n| n.parse::<u64>().ok());
            acked.extend(number("acked "));
            settling.extend(number("settling "));
        }
        let (storage, log) = log(dir.path()).await;
        let (mut reader, mut found, mut again) = (log.reader(), Vec::new(), 0);
        while let Some(record) = reader.try_next().await.unwrap() {
            let number = number(&record.payload);
            found.push(number);
            if settling.contains(&number) {
                log.settle(record.id);
                again += 1;
            }
        }
        let stats = log.stats();
        log.close().await;
        drop((log, storage));
        assert!(found.is_sorted(), "round {round}: {found:?}");
        let found: BTreeSet<u64> = found.into_iter().collect();
        let lost: Vec<_> = acked.iter().filter(|n| !found.contains(n) && !settling.contains(n)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        assert_eq!(stats.damaged_records, 0, "round {round}: {stats:?}");
        // What comes again although it was settled is at most what was under way.
        assert!(again <= 2 * IN_FLIGHT, "round {round}: {again}");
        first = found.last().copied().unwrap_or(first).max(acked.last().copied().unwrap_or(0)) + 100;
    }
    assert!(acked.len() > 1000, "{}", acked.len());
}
