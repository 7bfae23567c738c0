//! One directory, locked by one process.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use crate::cell::Cell;
use crate::disk::Disk;
use crate::error::StorageError;
use crate::format::PAGE;
use crate::log::Log;
use crate::open::{Opening, open};

/// How often a lock is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// The smallest segment, bytes: smaller ones would be mostly their first page.
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// A quota is at least as many segments: room comes back by the segment.
const SEGMENTS: u64 = 8;

/// What a storage is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where everything is.
    pub directory: PathBuf,
    /// Whether to make the directory when it is missing.
    pub create_directory: bool,
    /// How long to wait for the lock of another process, or for a log that is closing; zero is for ever.
    pub timeout: Duration,
    /// Whether durable means durable. Without it a power cut loses what the kernel has not written yet; a kill does not.
    pub fsync: bool,
    /// Bytes of disk that one log may take, unless it is opened with its own figure.
    pub quota: u64,
    /// Bytes of a segment. Smaller where the quota is small.
    pub segment_bytes: u64,
}

impl Settings {
    /// The defaults: 1 s, fsync, 10 GiB a log, segments of 32 MiB.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Settings {
            directory: directory.into(),
            create_directory: false,
            timeout: Duration::from_secs(1),
            fsync: true,
            quota: 10 << 30,
            segment_bytes: 32 << 20,
        }
    }
}

/// A directory of logs and cells. The lock lasts until the last of its logs and cells is gone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage {
    directory: Arc<Directory>,
    settings: Settings,
    disk: Disk,
}

#[derive(Debug)]
struct Directory {
    /// Holds the lock by being open.
    _lock: File,
    /// The logs that are open.
    logs: Mutex<HashSet<String>>,
    closed: Condvar,
}

/// A log is open.
pub(crate) struct Claim {
    directory: Arc<Directory>,
    name: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.directory.logs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        self.directory.closed.notify_all();
    }
}

impl Storage {
    /// Locks the directory.
    ///
    /// # Errors
    /// The directory is missing, cannot be written, or another holds it.
    pub async fn open(settings: Settings) -> Result<Storage, StorageError> {
        blocking(&settings.directory.clone(), move || Storage::lock(settings)).await
    }

    fn lock(settings: Settings) -> Result<Storage, StorageError> {
        let root = &settings.directory;
        if settings.create_directory {
            create_directory(root)?;
            // As far as its parents let themselves be opened.
            for parent in root.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
                let _ = Disk::new(settings.fsync).sync_directory(parent);
            }
        }
        if !root.is_dir() {
            return Err(match std::fs::metadata(root) {
                Ok(_) => StorageError::Io { path: root.clone(), what: "is not a directory".to_owned() },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    StorageError::Missing { path: root.clone() }
                }
                Err(error) => StorageError::from_io("open it", root, &error),
            });
        }
        let path = root.join("lock");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock = opened.map_err(|error| StorageError::from_io("lock it", &path, &error))?;
        let started = Instant::now();
        while let Err(errno) = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if errno != rustix::io::Errno::WOULDBLOCK {
                return Err(StorageError::from_io("lock it", &path, &errno.into()));
            }
            if !settings.timeout.is_zero() && started.elapsed() >= settings.timeout {
                let (path, pid, waited) = (root.clone(), pid(&mut lock), settings.timeout);
                return Err(StorageError::Locked { path, pid, waited });
            }
            std::thread::sleep(ASK_AGAIN);
        }
        // Only for the message of whoever comes next: a full disk does not keep this one from going on.
        let _ = lock.set_len(0).and_then(|()| lock.rewind());
        let _ = writeln!(lock, "{}", std::process::id());
        let directory = Directory { _lock: lock, logs: Mutex::default(), closed: Condvar::new() };
        let disk = Disk::new(settings.fsync);
        Ok(Storage { directory: Arc::new(directory), settings, disk })
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The same directory with another quota and durability.
    #[must_use]
    pub fn with(&self, settings: Settings) -> Storage {
        let mut disk = self.disk.clone();
        disk.fsync = settings.fsync;
        Storage { directory: self.directory.clone(), settings, disk }
    }

    /// Opens a log, with the storage's quota or its own, in bytes.
    ///
    /// # Errors
    /// It is open already, has a newer format, or the disk takes no writes.
    pub async fn log(&self, name: &str, quota: Option<u64>) -> Result<Log, StorageError> {
        let quota = quota.unwrap_or(self.settings.quota).max(SMALLEST_SEGMENT);
        let segment_bytes =
            self.settings.segment_bytes.min(quota / SEGMENTS).max(SMALLEST_SEGMENT).min(quota) / PAGE * PAGE;
        let opening = Opening {
            name: name.to_owned(),
            directory: self.settings.directory.join("logs").join(file_name(name)),
            disk: self.disk.clone(),
            quota,
            segment_bytes,
        };
        let (directory, timeout, name) = (self.directory.clone(), self.settings.timeout, name.to_owned());
        blocking(&self.settings.directory, move || open(opening, claim(directory, name, timeout)?)).await
    }

    /// A cell. It need not exist yet.
    pub fn cell(&self, name: &str) -> Cell {
        let cells = self.settings.directory.join("cells");
        Cell::new(name, cells, self.disk.clone(), Box::new(self.directory.clone()))
    }

    #[cfg(test)]
    pub(crate) fn faults(&self) -> &crate::disk::Faults {
        &self.disk.faults
    }
}

/// Who has written its id into the lock.
pub(crate) fn pid(lock: &mut File) -> Option<u32> {
    let mut pid = String::new();
    let _ = lock.read_to_string(&mut pid); // only for people
    pid.trim().parse().ok()
}

/// Waits for a log of the same name to close.
fn claim(directory: Arc<Directory>, name: String, timeout: Duration) -> Result<Claim, StorageError> {
    let started = Instant::now();
    let mut logs = directory.logs.lock().unwrap_or_else(PoisonError::into_inner);
    while logs.contains(&name) {
        let left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(StorageError::InUse { name });
        }
        let waited = directory.closed.wait_timeout(logs, left);
        logs = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(logs, _)| logs);
    }
    logs.insert(name.clone());
    drop(logs);
    Ok(Claim { directory, name })
}

/// Runs on a thread that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    path: &Path,
    run: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let gone = |_| StorageError::Io { path: path.to_owned(), what: "the runtime is ending".to_owned() };
    tokio::task::spawn_blocking(run).await.map_err(gone)?
}

/// Makes a directory, and those above it, that only this user reads.
pub(crate) fn create_directory(path: &Path) -> Result<(), StorageError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| StorageError::from_io("create it", path, &error))
}

/// A name that every file system takes, and another for each other name.
pub(crate) fn file_name(name: &str) -> String {
    const LONGEST: usize = 200;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let mut safe = String::new();
    for (at, byte) in name.bytes().enumerate() {
        if plain(byte) && !(at == 0 && byte == b'.') {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("%{byte:02x}"));
        }
    }
    if safe.len() > LONGEST {
        safe.truncate(LONGEST);
        safe.push_str(&format!("~{:08x}", crc32c::crc32c(name.as_bytes())));
    }
    safe
}
