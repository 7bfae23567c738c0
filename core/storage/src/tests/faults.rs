use rustix::io::Errno;

use super::*;
use crate::disk::Call;
use crate::{Condition, StorageError};

/// A disk that fails at one kind of call refuses what comes then, keeps what it has, and goes on when it is well.
async fn survives(call: Call, errno: Errno, is_expected: fn(&StorageError) -> bool) {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(Settings { fsync: true, ..settings(dir.path()) }).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    let (mut kept, mut refused) = (Vec::new(), 0);
    for number in 0..60 {
        let fails = (20..40).contains(&number);
        storage.faults().set(fails.then_some((call, errno)));
        match log.append(payload(number, 9_000)).await {
            Ok(_) => kept.push(number),
            Err(error) => {
                assert!(fails && is_expected(&error), "{number}: {error}");
                assert_eq!(log.stats().condition, Condition::Failed(error));
                refused += 1;
            }
        }
    }
    assert!(refused >= 10, "{refused}");
    assert_eq!(log.stats().condition, Condition::Ok);
    assert_eq!(numbers(&mut log.reader()).await, kept);
    drop((storage, log));
    let (_storage, log) = log_when_free(dir.path()).await;
    let found = numbers(&mut log.reader()).await;
    let acknowledged: Vec<u64> = found.iter().copied().filter(|number| kept.contains(number)).collect();
    assert_eq!(acknowledged, kept, "at least what was acknowledged, in order");
}

async fn log_when_free(directory: &Path) -> (Storage, Log) {
    let patient = Settings { timeout: std::time::Duration::from_secs(10), ..settings(directory) };
    let storage = Storage::open(patient).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    (storage, log)
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    survives(Call::Allocate, Errno::NOSPC, |e| matches!(e, StorageError::DiskFull { .. })).await;
    survives(Call::Write, Errno::DQUOT, |e| matches!(e, StorageError::DiskFull { .. })).await;
}

#[tokio::test]
async fn a_disk_that_fails_to_sync_acknowledges_nothing_and_recovers() {
    survives(Call::Sync, Errno::IO, |e| matches!(e, StorageError::Io { .. })).await;
}

#[tokio::test]
async fn a_disk_that_turns_read_only_refuses_and_recovers() {
    survives(Call::Write, Errno::ROFS, |e| matches!(e, StorageError::ReadOnly { .. })).await;
}

#[tokio::test]
async fn a_settlement_that_cannot_be_written_down_brings_its_record_again_and_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = log(dir.path()).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(log.append(payload(number, 100)).await.unwrap());
    }
    storage.faults().set(Some((Call::Write, Errno::NOSPC)));
    log.settle(ids[3]);
    log.close().await;
    storage.faults().set(None);
    drop((storage, log));
    let (_storage, log) = log_when_free(dir.path()).await;
    assert_eq!(numbers(&mut log.reader()).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_opens_on_a_full_disk_so_that_what_it_holds_can_get_out() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, log) = log(dir.path()).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(log.append(payload(number, 100)).await.unwrap());
    }
    log.settle(ids[0]);
    log.close().await;
    drop(log);
    storage.faults().set(Some((Call::Allocate, Errno::NOSPC)));
    for settled in 1..3 {
        let log = storage.log("queue", None).await.unwrap();
        assert_eq!(numbers(&mut log.reader()).await, (settled..10).collect::<Vec<_>>());
        log.settle(ids[settled as usize]);
        log.close().await;
    }
}

/// A real file system without space: only root can mount one, elsewhere the faults above stand for it.
#[tokio::test]
async fn a_file_system_without_space_refuses_at_the_allocation_and_reads_on() {
    let dir = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(dir.path())
        .output();
    if !mount.is_ok_and(|done| done.status.success()) {
        return;
    }
    let unmount = Unmount(dir.path().to_owned());
    {
        let (_storage, log) = log(dir.path()).await;
        let mut held = 0;
        let error = loop {
            match log.append(payload(held, 9_000)).await {
                Ok(_) => held += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StorageError::DiskFull { .. }), "{error}");
        assert!(held > 30, "{held}");
        assert_eq!(numbers(&mut log.reader()).await, (0..held).collect::<Vec<_>>());
        settle_oldest(&log, 10).await;
        log.append(payload(held, 9_000)).await.unwrap();
        log.close().await;
    }
    let again = |ro: &str| {
        let options = format!("remount,{ro}");
        std::process::Command::new("mount").args(["-o", &options]).arg(dir.path()).status().unwrap();
    };
    again("ro");
    let error = Storage::open(settings(dir.path())).await.unwrap_err();
    assert!(matches!(error, StorageError::ReadOnly { .. }), "{error}");
    drop(unmount);
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
