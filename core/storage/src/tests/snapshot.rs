//! What can be seen of a directory without its lock.

use crate::snapshot::{Snapshot, holder, logs};

use super::*;

fn seen(directory: &Path) -> Vec<u64> {
    Snapshot::open(directory, "queue").unwrap().map(|record| number(&record.unwrap().payload)).collect()
}

#[tokio::test]
async fn a_snapshot_shows_what_is_not_settled_while_the_log_is_open_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = log(dir.path()).await;
    let mut ids = Vec::new();
    for number in 0..1000 {
        ids.push(log.append(payload(number, (number % 700) as usize)).await.unwrap());
    }
    assert_eq!(seen(dir.path()), (0..1000).collect::<Vec<_>>());
    for id in ids.iter().step_by(3) {
        log.settle(*id);
    }
    let left: Vec<u64> = (0..1000).filter(|n| n % 3 != 0).collect();
    let held = holder(dir.path()).unwrap().unwrap();
    assert_eq!(held.pid, Some(std::process::id()));
    log.close().await;
    assert_eq!(seen(dir.path()), left);
    drop((log, storage));
    assert_eq!(seen(dir.path()), left);
    assert_eq!((holder(dir.path()).unwrap(), logs(dir.path()).unwrap()), (None, vec!["queue".to_owned()]));
    let mut all = Snapshot::open(dir.path(), "queue").unwrap();
    let first = all.next().unwrap().unwrap();
    assert_eq!((first.number, first.bytes), (ids[1].number(), ids[1].bytes()));
    let file = std::fs::read(&first.file).unwrap();
    let at = first.offset as usize + crate::format::FRAME;
    assert_eq!(file[at..at + first.payload.len()], first.payload[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_log_that_is_written_shows_records_in_order_and_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = log(dir.path()).await;
    let log = std::sync::Arc::new(log);
    let (writing, until) = (log.clone(), std::time::Instant::now() + std::time::Duration::from_secs(1));
    let writer = tokio::spawn(async move {
        let mut held = std::collections::VecDeque::new();
        let mut number = 0;
        while std::time::Instant::now() < until {
            held.push_back(writing.append(payload(number, 2000)).await.unwrap());
            number += 1;
            if held.len() > 100 {
                writing.settle(held.pop_front().unwrap());
            }
        }
        number
    });
    let mut most = 0;
    while !writer.is_finished() {
        let mut snapshot = Snapshot::open(dir.path(), "queue").unwrap();
        let seen: Vec<u64> = snapshot.by_ref().map(|record| self::number(&record.unwrap().payload)).collect();
        assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
        assert_eq!(snapshot.damaged(), 0);
        most = most.max(seen.len());
    }
    assert!(writer.await.unwrap() > 1000 && most >= 50, "{most}");
}

#[test]
fn names_that_files_cannot_have_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let names = [".x", "exporter/otlp_http/a b/logs", "exporter/ä/traces", "plain"];
    for name in names {
        std::fs::create_dir_all(dir.path().join("logs").join(crate::storage::file_name(name))).unwrap();
    }
    assert_eq!(logs(dir.path()).unwrap(), names);
    assert!(holder(&dir.path().join("nowhere")).is_err() && logs(&dir.path().join("nowhere")).is_err());
}
