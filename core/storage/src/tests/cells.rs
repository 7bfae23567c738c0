use super::*;
use bytes::Bytes;

#[tokio::test]
async fn a_cell_is_what_was_last_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let (cell, other) = (storage.cell("alerting/a b"), storage.cell("alerting/a/b"));
    assert_eq!(cell.read().await.unwrap(), None);
    for content in ["one", "", "two"] {
        cell.write(content).await.unwrap();
        assert_eq!(cell.read().await.unwrap(), Some(Bytes::from(content)));
    }
    other.write("other").await.unwrap();
    drop((storage, cell, other));
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    assert_eq!(storage.cell("alerting/a b").read().await.unwrap(), Some(Bytes::from("two")));
    assert_eq!(storage.cell("alerting/a/b").read().await.unwrap(), Some(Bytes::from("other")));
}

#[tokio::test]
async fn a_cell_with_any_byte_flipped_or_cut_is_set_aside_and_absent() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(settings(dir.path())).await.unwrap();
    let cell = storage.cell("c");
    cell.write("state of something").await.unwrap();
    let path = dir.path().join("cells/c");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        for bytes in [&flipped[..], &whole[..at]] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(cell.read().await.unwrap(), None, "byte {at}");
            assert!(!path.exists());
        }
    }
    let aside = std::fs::read_dir(dir.path().join("cells/quarantine")).unwrap().count();
    assert_eq!(aside, 2 * whole.len());
    cell.write("new").await.unwrap();
    assert_eq!(cell.read().await.unwrap(), Some(Bytes::from("new")));
}

#[tokio::test]
async fn a_cell_that_cannot_be_written_keeps_its_content() {
    use crate::disk::Call;
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::open(Settings { fsync: true, ..settings(dir.path()) }).await.unwrap();
    let cell = storage.cell("c");
    cell.write("old").await.unwrap();
    for call in [Call::Write, Call::Sync] {
        storage.faults().set(Some((call, rustix::io::Errno::NOSPC)));
        let error = cell.write("new").await.unwrap_err();
        assert!(matches!(error, crate::StorageError::DiskFull { .. }), "{error}");
        storage.faults().set(None);
        assert_eq!(cell.read().await.unwrap(), Some(Bytes::from("old")));
    }
}
