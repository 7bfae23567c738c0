use std::time::Duration;

use super::*;
use crate::StorageError;

#[tokio::test]
async fn a_second_storage_on_a_directory_is_refused_by_name_and_taken_when_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let quick = Settings { timeout: Duration::from_millis(50), ..settings(dir.path()) };
    let (storage, log) = log(dir.path()).await;
    let error = Storage::open(quick.clone()).await.unwrap_err();
    assert_eq!(
        error,
        StorageError::Locked {
            path: dir.path().into(),
            pid: Some(std::process::id()),
            waited: quick.timeout
        }
    );
    assert!(error.to_string().contains("a directory of its own"), "{error}");
    drop(storage);
    Storage::open(quick.clone()).await.unwrap_err(); // the log is open
    log.close().await;
    drop(log);
    let patient = Settings { timeout: Duration::from_secs(10), ..quick };
    Storage::open(patient).await.unwrap();
}

#[tokio::test]
async fn a_log_is_open_once_and_its_successor_waits_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let storage =
        Storage::open(Settings { timeout: Duration::from_millis(50), ..settings(dir.path()) }).await.unwrap();
    let log = storage.log("queue", None).await.unwrap();
    let error = storage.log("queue", None).await.unwrap_err();
    assert_eq!(error, StorageError::InUse { name: "queue".to_owned() });
    storage.log("other", None).await.unwrap();
    drop(log);
    let patient = storage.with(Settings { timeout: Duration::from_secs(10), ..storage.settings().clone() });
    patient.log("queue", None).await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_refused_or_made() {
    let dir = tempfile::tempdir().unwrap();
    let missing = settings(&dir.path().join("a/b"));
    let error = Storage::open(missing.clone()).await.unwrap_err();
    assert!(error.to_string().starts_with("directory must exist: "), "{error}");
    Storage::open(Settings { create_directory: true, ..missing }).await.unwrap();

    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = Storage::open(settings(&dir.path().join("file"))).await.unwrap_err();
    assert!(error.to_string().contains("is not a directory"), "{error}");
}

/// Names of queues as users choose them.
#[test]
fn different_names_have_different_files_and_none_leaves_the_directory() {
    use crate::storage::file_name;
    let long = "x".repeat(300);
    let longer = format!("{long}y");
    let names = ["a/b", "a%2fb", "a b", "..", ".", "../../etc", "a", "ä", &long, &longer, ""];
    let files: std::collections::HashSet<String> = names.iter().map(|name| file_name(name)).collect();
    assert_eq!(files.len(), names.len());
    for file in files {
        assert!(file.len() <= 255 && !file.starts_with('.') && !file.contains('/'), "{file}");
    }
}
