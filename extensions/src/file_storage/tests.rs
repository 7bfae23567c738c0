use std::time::Duration;

use streamgauge_component::Kind;
use streamgauge_storage::StorageError;

use super::*;

fn extension(config: Config) -> (Arc<dyn Extension>, Host) {
    let host = Host::for_test(Kind::Extension, "file_storage");
    let create = Create { host: host.clone(), config: Arc::new(config), signals: Vec::new() };
    ((FACTORY.create)(create).unwrap(), host)
}

fn config(directory: &std::path::Path) -> Config {
    Config { directory: directory.to_owned(), timeout: Duration::from_millis(50), ..Config::default() }
}

#[tokio::test]
async fn others_find_it_by_its_id_and_what_they_stored_outlives_it() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2_u8 {
        let (extension, host) = extension(config(dir.path()));
        let exporter = host.for_component(Kind::Exporter, "otlp_grpc");
        assert!(exporter.storage("file_storage").is_err(), "not started yet");
        extension.start(host.clone()).await.unwrap();
        host.offer(&extension);
        let storage = exporter.storage("file_storage").unwrap();
        let cell = storage.cell("state");
        assert_eq!(cell.read().await.unwrap().map(|content| content[0]), round.checked_sub(1));
        cell.write(vec![round]).await.unwrap();
        extension.shutdown().await;
        assert!(exporter.storage("file_storage").is_err(), "stopped");
    }
}

#[tokio::test]
async fn the_directory_is_locked_from_start_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (first, host) = extension(config(dir.path()));
    first.start(host).await.unwrap();
    // Another process: nothing is shared with it.
    let (second, other) = extension(config(dir.path()));
    let error = second.start(other.clone()).await.unwrap_err();
    let pid = std::process::id();
    assert!(error.to_string().contains(&format!("is in use by process {pid}")), "{error}");
    first.shutdown().await;
    second.start(other).await.unwrap();
}

#[tokio::test]
async fn an_instance_that_replaces_another_shares_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (old, host) = extension(config(dir.path()));
    let (new, _) = extension(Config { quota: 1 << 20, ..config(dir.path()) });
    old.start(host.clone()).await.unwrap();
    let log = old.storage().unwrap().log("queue", None).await.unwrap();
    new.start(host).await.unwrap();
    old.shutdown().await;
    let storage = new.storage().unwrap();
    let in_use = storage.log("queue", None).await.unwrap_err();
    assert!(matches!(in_use, StorageError::InUse { .. }), "{in_use}");
    log.close().await;
    assert_eq!(storage.log("queue", None).await.unwrap().stats().quota, 1 << 20);
}

#[tokio::test]
async fn a_directory_that_is_missing_is_made_only_when_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("a/b");
    let (refuses, host) = extension(config(&missing));
    let error = refuses.start(host).await.unwrap_err();
    assert!(error.to_string().contains("create_directory: true"), "{error}");
    let (makes, host) = extension(Config { create_directory: true, ..config(&missing) });
    makes.start(host).await.unwrap();
    assert!(missing.join("lock").exists());
}

#[tokio::test]
async fn one_that_does_not_store_says_so() {
    let host = Host::for_test(Kind::Extension, "health_check");
    let config = Arc::new(crate::health_check::Config::default());
    let create = Create { host: host.clone(), config, signals: Vec::new() };
    let other = (crate::health_check::FACTORY.create)(create).unwrap();
    host.offer(&other);
    let error = host.storage("health_check").unwrap_err().to_string();
    assert_eq!(
        error,
        "failed to resolve storage \"health_check\": requested extension is not a storage extension"
    );
}
