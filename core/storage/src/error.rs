//! What can go wrong with a disk, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why something was not stored, or a storage not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// There is no such directory.
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Another storage holds the directory.
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process that wrote its id into the lock file, when it did.
        pid: Option<u32>,
        /// How long this one waited.
        waited: Duration,
    },
    /// The file system is mounted read-only.
    ReadOnly {
        /// The file or directory.
        path: PathBuf,
    },
    /// The process may not.
    Denied {
        /// The file or directory.
        path: PathBuf,
    },
    /// No space, or no quota of the file system, is left. What is stored stays readable; room for more comes back with it.
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The log's own quota is used up: settle records, or wait.
    Full {
        /// The log.
        name: String,
        /// Bytes.
        quota: u64,
    },
    /// The record does not fit into the log even when that is empty.
    TooLarge {
        /// Bytes of the record.
        size: u64,
        /// Bytes that a record of this log may have.
        limit: u64,
    },
    /// Written by a version of this program that knows another format.
    Format {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The newest that is understood here.
        supported: u32,
    },
    /// The log is open already in this process.
    InUse {
        /// The log.
        name: String,
    },
    /// The log was closed.
    Closed {
        /// The log.
        name: String,
    },
    /// Anything else.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, and the system's words.
        what: String,
    },
}

impl StorageError {
    /// Whether only another configuration, or another hand, helps: waiting does not.
    pub fn is_permanent(&self) -> bool {
        matches!(self, StorageError::TooLarge { .. } | StorageError::Format { .. })
    }

    /// Sorts an error of the system. `doing` completes "cannot ...".
    pub(crate) fn from_io(doing: &str, path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::DiskFull { path },
            io::ErrorKind::ReadOnlyFilesystem => StorageError::ReadOnly { path },
            io::ErrorKind::PermissionDenied => StorageError::Denied { path },
            _ => StorageError::Io { path, what: format!("cannot {doing}: {error}") },
        }
    }
}

impl std::fmt::Display for StorageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StorageError::Missing { path } => write!(
                f,
                "directory must exist: {}: create it, or set create_directory: true",
                path.display()
            ),
            StorageError::Locked { path, pid, waited } => {
                let holder = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
                write!(
                    f,
                    "{} is in use by {holder} (waited {waited:?}): stop that one, or give each collector a directory \
                     of its own",
                    path.display()
                )
            }
            StorageError::ReadOnly { path } => {
                write!(
                    f,
                    "{} is on a read-only file system: remount it, or use another directory",
                    path.display()
                )
            }
            StorageError::Denied { path } => {
                write!(f, "no permission for {}: give it to the collector's user", path.display())
            }
            StorageError::DiskFull { path } => {
                write!(f, "no space left for {}: make room; nothing stored is lost", path.display())
            }
            StorageError::Full { name, quota } => {
                write!(f, "{name} is full: it holds its quota of {quota} bytes")
            }
            StorageError::TooLarge { size, limit } => {
                write!(
                    f,
                    "a record of {size} bytes is above the limit of {limit}: raise the quota, or send less at once"
                )
            }
            StorageError::Format { path, found, supported } => write!(
                f,
                "{} has format {found}, this version understands formats up to {supported}: run the version that \
                 wrote it, or use another directory",
                path.display()
            ),
            StorageError::InUse { name } => {
                write!(f, "{name} is open already: two queues cannot share a log, give one another id")
            }
            StorageError::Closed { name } => write!(f, "{name} is closed: the collector is stopping"),
            StorageError::Io { path, what } => write!(f, "{}: {what}: check the disk", path.display()),
        }
    }
}

impl std::error::Error for StorageError {}
