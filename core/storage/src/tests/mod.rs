//! What the crate promises, against real files.

mod cells;
mod damage;
mod faults;
mod kill;
mod locks;
mod model;
mod snapshot;
mod speed;

use std::path::Path;

use bytes::Bytes;

use crate::{Log, Reader, Settings, Storage};

/// Small segments, so that a test has several.
fn settings(directory: &Path) -> Settings {
    Settings { segment_bytes: 64 << 10, quota: 4 << 20, fsync: false, ..Settings::new(directory) }
}

async fn log(directory: &Path) -> (Storage, Log) {
    let storage = Storage::open(settings(directory)).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    (storage, log)
}

/// A payload that tells its number, in two pieces.
fn payload(number: u64, len: usize) -> Vec<Bytes> {
    let body: Vec<u8> = (0..len).map(|at| (number as usize * 31 + at) as u8 | 1).collect();
    vec![Bytes::copy_from_slice(&number.to_le_bytes()), body.into()]
}

fn number(payload: &[u8]) -> u64 {
    let number = u64::from_le_bytes(payload[..8].try_into().unwrap());
    let whole = self::payload(number, payload.len() - 8);
    assert_eq!(whole.concat(), payload, "record {number} is not what was appended");
    number
}

async fn numbers(reader: &mut Reader) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(record) = reader.try_next().await.unwrap() {
        all.push(number(&record.payload));
    }
    all
}

/// As `when_full: drop_oldest` makes room.
async fn settle_oldest(log: &Log, many: usize) {
    let mut oldest = log.reader();
    for _ in 0..many {
        assert!(log.settle(oldest.try_next().await.unwrap().unwrap().id));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            drop(std::fs::copy(entry.path(), to))
        }
    }
}

#[tokio::test]
async fn what_was_appended_is_read_in_order_and_comes_again_until_it_is_settled() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = log(dir.path()).await;
    let mut ids = Vec::new();
    for number in 0..1000 {
        ids.push(log.append(payload(number, (number % 700) as usize)).await.unwrap());
    }
    assert!(ids.is_sorted());
    assert_eq!(numbers(&mut log.reader()).await, (0..1000).collect::<Vec<_>>());
    for id in ids.iter().step_by(2) {
        assert!(log.settle(*id));
        assert!(!log.settle(*id), "once");
    }
    let stats = log.stats();
    assert_eq!((stats.records, stats.appended, stats.commits), (500, 1000, 1000), "none waited for another");
    assert_eq!(stats.bytes, ids.iter().skip(1).step_by(2).map(|id| id.bytes()).sum::<u64>());
    log.close().await;
    drop((log, storage));

    let (_storage, log) = self::log(dir.path()).await;
    let again = log.stats();
    assert_eq!((again.records, again.bytes, again.appended), (stats.records, stats.bytes, 0));
    assert_eq!(numbers(&mut log.reader()).await, (0..1000).filter(|n| n % 2 == 1).collect::<Vec<_>>());
    assert!(log.append(payload(1000, 5)).await.unwrap() > ids[999], "numbers go on");
}

#[tokio::test]
async fn a_reader_waits_for_what_comes_and_ends_with_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = log(dir.path()).await;
    let mut reader = log.reader();
    let (read, appended) = tokio::join!(reader.next(), log.append(payload(7, 10)));
    let record = read.unwrap().unwrap();
    assert_eq!((record.id, number(&record.payload)), (appended.unwrap(), 7));
    let (ended, ()) = tokio::join!(reader.next(), log.close());
    assert!(ended.unwrap().is_none());
}

#[tokio::test]
async fn settled_segments_are_used_again_and_disk_use_stays_within_the_quota() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = log(dir.path()).await;
    for number in 0..2000 {
        let id = log.append(payload(number, 10_000)).await.unwrap();
        log.settle(id);
    }
    let stats = log.stats();
    assert!(stats.allocated <= 6 * (64 << 10), "{stats:?}");
    let on_disk: u64 = std::fs::read_dir(dir.path().join("logs/queue"))
        .unwrap()
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|e| e == "seg"))
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(on_disk <= stats.quota && on_disk <= 6 * (64 << 10), "{on_disk}");
}

#[tokio::test]
async fn a_full_log_refuses_until_a_segment_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let log = storage.log("queue", Some(512 << 10)).await.unwrap();
    let mut held = 0;
    let error = loop {
        match log.append(payload(held, 10_000)).await {
            Ok(_) => held += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, crate::StorageError::Full { name: "queue".to_owned(), quota: 512 << 10 });
    assert!(held >= 35, "{held}");
    assert_eq!(log.stats().condition, crate::Condition::Failed(error));

    settle_oldest(&log, 30).await;
    let (next, last) = (held, held + 11);
    for number in next..=last {
        // A segment is free once the writer has seen that nothing in it is left.
        while log.append(payload(number, 10_000)).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    let read = numbers(&mut log.reader()).await;
    assert_eq!(*read.last().unwrap(), last);
    assert!(read.is_sorted() && log.stats().condition == crate::Condition::Ok, "{:?}", log.stats());
}

#[tokio::test]
async fn a_record_above_the_quota_is_refused_for_good_and_one_above_a_segment_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = log(dir.path()).await;
    let error = log.append(payload(0, 5 << 20)).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("above the limit"), "{error}");
    log.append(payload(1, 2 << 20)).await.unwrap();
    assert_eq!(numbers(&mut log.reader()).await, [1]);
}
