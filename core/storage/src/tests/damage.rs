//! Every bit that can be wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::format::{FRAME, PAGE, SegmentHeader};
use crate::{Stats, StorageError};

/// The files of a log, without the zeros at their ends, and their sizes.
type Files = BTreeMap<PathBuf, (Vec<u8>, u64)>;

fn files(directory: &Path) -> Files {
    let used = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let entries = std::fs::read_dir(directory.join("logs/queue")).unwrap().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    paths
        .map(|path| {
            let mut bytes = std::fs::read(&path).unwrap();
            let size = bytes.len() as u64;
            bytes.truncate(used(&bytes));
            (path, (bytes, size))
        })
        .collect()
}

fn restore(directory: &Path, files: &Files) {
    let log = directory.join("logs/queue");
    let _ = std::fs::remove_dir_all(&log);
    std::fs::create_dir_all(&log).unwrap();
    for (path, (bytes, size)) in files {
        std::fs::write(path, bytes).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_len(*size).unwrap();
    }
}

/// Opens the log, and checks that it reads in order and takes and keeps more.
async fn opened(storage: &Storage) -> (Vec<u64>, Stats) {
    let log = storage.log("queue", None).await.unwrap();
    let found = numbers(&mut log.reader()).await;
    assert!(found.is_sorted());
    log.append(payload(9_999, 20)).await.unwrap();
    assert_eq!(*numbers(&mut log.reader()).await.last().unwrap(), 9_999);
    let stats = log.stats();
    log.close().await;
    drop(log);
    (found, stats)
}

fn quarantined(directory: &Path) -> usize {
    std::fs::read_dir(directory.join("logs/queue/quarantine")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_log_cut_at_any_byte_of_its_tail_keeps_every_whole_record_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    let mut ends = vec![PAGE];
    for number in 0..6 {
        let id = log.append(payload(number, 5 + 13 * number as usize)).await.unwrap();
        ends.push(ends.last().unwrap() + id.bytes());
    }
    log.close().await;
    drop(log);
    let whole = files(dir.path());
    let (segment, (_, size)) = whole.iter().find(|(path, _)| path.ends_with("000001.seg")).unwrap();
    for cut in PAGE..=ends[6] {
        for cuts_file in [false, true] {
            let mut files = whole.clone();
            let (bytes, len) = files.get_mut(segment).unwrap();
            bytes.truncate(cut as usize);
            *len = if cuts_file { cut } else { *size };
            restore(dir.path(), &files);
            let (found, stats) = opened(&storage).await;
            // The zeros behind a payload are no part of it.
            let complete =
                ends[1..].iter().filter(|end| **end <= cut + 7 && !cuts_file || **end <= cut).count() as u64;
            let kept = found.len() as u64;
            assert!(found == (0..kept).collect::<Vec<_>>() && kept <= complete, "{cut}: {found:?}");
            let sure = ends[1..].iter().filter(|end| **end <= cut).count() as u64;
            assert!(kept >= sure, "{cut}: {found:?}");
            assert_eq!(stats.damaged_records, 0, "{cut}");
            if stats.torn_tails > 0 {
                assert_eq!(quarantined(dir.path()), 1, "{cut}");
            }
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_at_any_byte_loses_at_most_its_record_which_is_set_aside_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    let mut ids = Vec::new();
    // A sealed segment and an open one; two records are settled.
    for (number, len) in [30, 20_000, 60, 35_000, 40, 30_000, 50, 5].into_iter().enumerate() {
        ids.push(log.append(payload(number as u64, len)).await.unwrap());
    }
    log.settle(ids[0]);
    log.settle(ids[4]);
    log.close().await;
    drop(log);
    let live = [1, 2, 3, 5, 6, 7];
    let mut whole = files(dir.path());
    whole.retain(|_, (bytes, _)| bytes.iter().any(|byte| *byte != 0)); // the next segment, made ahead
    assert_eq!(whole.len(), 3, "two segments and the journal");
    let mut flips = 0;
    for (path, (bytes, _)) in &whole {
        let is_journal = path.ends_with("settled");
        let mut at = 0;
        while at < bytes.len() + FRAME {
            let mut files = whole.clone();
            let (bytes, _) = files.get_mut(path).unwrap();
            bytes.resize(bytes.len() + FRAME, 0);
            bytes[at] ^= 1 << (at % 8);
            // Payloads and gaps are long and alike: not every byte of them.
            let alike = bytes[at.saturating_sub(40)..(at + 40).min(bytes.len())]
                .windows(2)
                .filter(|pair| pair[1].wrapping_sub(pair[0]) <= 2)
                .count();
            restore(dir.path(), &files);
            let (found, stats) = opened(&storage).await;
            let place = format!("byte {at} of {}: {found:?}, {stats:?}", path.display());
            let again = found.iter().filter(|number| !live.contains(number)).count();
            assert!(again == 0 || is_journal, "settled records came again: {place}");
            let missing = live.iter().filter(|number| !found.contains(number)).count() as u64;
            assert!(missing <= 1 && !(is_journal && missing > 0), "{place}");
            assert!(missing <= stats.damaged_records + stats.torn_tails, "{place}");
            assert!(missing == 0 || quarantined(dir.path()) == 1, "{place}");
            flips += 1;
            at += if alike > 70 { 211 } else { 1 };
        }
    }
    assert!(flips > 500, "{flips}");
}

#[tokio::test]
async fn damage_that_the_reader_meets_is_set_aside_once_and_its_neighbours_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = log(dir.path()).await;
    for number in 0..20 {
        log.append(payload(number, 1000)).await.unwrap();
    }
    let path = dir.path().join("logs/queue/000001.seg");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    // The header and the payload of the 6th, the payload of the 9th.
    let framed = 24 + 8 + 1000;
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xaa; 200], PAGE + 5 * framed).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xaa; 3], PAGE + 8 * framed + 500).unwrap();
    let kept: Vec<u64> = (0..20).filter(|number| ![5, 8].contains(number)).collect();
    for _ in 0..2 {
        assert_eq!(numbers(&mut log.reader()).await, kept);
        let stats = log.stats();
        assert_eq!((stats.records, stats.damaged_records, stats.damaged_bytes), (18, 2, 2 * framed));
        assert_eq!(quarantined(dir.path()), 2);
    }
    drop(storage);
}

/// A log of two segments, the first with six records and its first bytes overwritten; twice what it is opened to.
async fn opened_without(bytes: usize, by: u8) -> [(Vec<u64>, Stats, usize); 2] {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    for number in 0..10 {
        log.append(payload(number, 10_000)).await.unwrap();
    }
    log.close().await;
    drop(log);
    let mut files = files(dir.path());
    let first = files.iter_mut().find(|(path, _)| path.ends_with("000001.seg")).unwrap();
    first.1.0[..bytes].fill(by);
    restore(dir.path(), &files);
    let (found, stats) = opened(&storage).await;
    let first = (found, stats, quarantined(dir.path()));
    let (found, stats) = opened(&storage).await;
    [first, (found, stats, quarantined(dir.path()))]
}

#[tokio::test]
async fn a_segment_whose_first_page_is_damaged_or_lost_keeps_every_record() {
    for by in [7, 0] {
        for (n, (found, stats, quarantined)) in
            opened_without(PAGE as usize, by).await.into_iter().enumerate()
        {
            assert_eq!(found[..10], (0..10).collect::<Vec<_>>(), "{stats:?}");
            assert_eq!(found.len(), 10 + n, "what was taken since: {found:?}");
            assert_eq!((stats.damaged_records, stats.torn_tails, quarantined), (0, 0, 0));
        }
    }
}

#[tokio::test]
async fn a_segment_without_its_first_page_and_record_keeps_the_others() {
    for by in [7, 0] {
        for (n, (found, stats, quarantined)) in
            opened_without(PAGE as usize + FRAME, by).await.into_iter().enumerate()
        {
            assert_eq!(found[..9], (1..10).collect::<Vec<_>>(), "{stats:?}");
            assert_eq!((stats.damaged_records, quarantined), (u64::from(n == 0), 1), "once: {stats:?}");
        }
    }
}

#[tokio::test]
async fn a_segment_in_which_nothing_is_intact_is_set_aside_as_a_whole() {
    let [(found, stats, quarantined), _] = opened_without(6 * 10_032 + PAGE as usize, 7).await;
    assert_eq!(found, [6, 7, 8, 9]);
    assert!(stats.damaged_records > 0 && stats.damaged_bytes >= 64 << 10 && quarantined == 1, "{stats:?}");
}

#[tokio::test]
async fn bytes_that_a_sender_made_look_like_a_frame_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let (_storage, log) = log(dir.path()).await;
    let forged = crate::format::FrameHeader { seq: 2, len: 8, at: 0, crc: crc32c::crc32c(&[0; 8]) };
    let mut body = vec![0; 24];
    body.extend(forged.write(0));
    body.extend([0; 8]);
    log.append(vec![body.into()]).await.unwrap();
    log.append(payload(2, 8)).await.unwrap();
    let path = dir.path().join("logs/queue/000001.seg");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 24], PAGE).unwrap();
    assert_eq!(numbers(&mut log.reader()).await, [2]);
}

#[tokio::test]
async fn a_newer_format_is_refused_with_both_versions_named() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    log.append(payload(1, 10)).await.unwrap();
    log.close().await;
    drop(log);
    storage.cell("c").write("x").await.unwrap();
    let whole = files(dir.path());
    let newer = |bytes: &mut [u8], at: usize, covered: usize| {
        bytes[at + 8..at + 12].copy_from_slice(&2_u32.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[at..at + 12]);
        bytes[at + 12..at + 16].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[at..at + covered]);
        bytes[at + covered..at + covered + 4].copy_from_slice(&crc.to_le_bytes());
    };
    for (path, (bytes, _)) in &whole {
        let mut files = whole.clone();
        let mut bytes = bytes.clone();
        let covered = if path.ends_with("settled") { 12 } else { 28 };
        newer(&mut bytes, 0, covered);
        files.get_mut(path).unwrap().0 = bytes;
        restore(dir.path(), &files);
        let error = storage.log("queue", None).await.unwrap_err();
        assert_eq!(error, StorageError::Format { path: path.clone(), found: 2, supported: 1 });
        let text = error.to_string();
        assert!(text.contains("has format 2, this version understands formats up to 1"), "{text}");
    }
    let path = dir.path().join("cells/c");
    let mut cell = std::fs::read(&path).unwrap();
    newer(&mut cell, 0, 12);
    std::fs::write(&path, cell).unwrap();
    assert!(matches!(storage.cell("c").read().await, Err(StorageError::Format { found: 2, .. })));
    assert!(SegmentHeader::read(&[0; 4096]) == Ok(None));
}
