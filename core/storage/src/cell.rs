//! Small named state, replaced as a whole.

use std::any::Any;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::disk::Disk;
use crate::error::StorageError;
use crate::format::{VERSION, mark, u32_at, u64_at, version};
use crate::quarantine;
use crate::storage::{blocking, create_directory, file_name};

const MAGIC: [u8; 8] = *b"SGCELL\0\0";
/// Mark, length, checksum of length and content.
const HEAD: usize = 28;

/// Small state that outlives the process: what a read gives is what one write gave, whole. Cheap to clone.
#[derive(Clone)]
pub struct Cell(Arc<Inner>);

struct Inner {
    name: String,
    directory: PathBuf,
    path: PathBuf,
    disk: Disk,
    /// One at a time.
    busy: Mutex<()>,
    _lock: Box<dyn Any + Send + Sync>,
}

impl Cell {
    pub(crate) fn new(name: &str, directory: PathBuf, disk: Disk, lock: Box<dyn Any + Send + Sync>) -> Self {
        let path = directory.join(file_name(name));
        Cell(Arc::new(Inner {
            name: name.to_owned(),
            directory,
            path,
            disk,
            busy: Mutex::new(()),
            _lock: lock,
        }))
    }

    /// What was last written. A damaged cell is set aside, said in the log, and absent.
    ///
    /// # Errors
    /// The disk cannot be read, or the cell has a newer format.
    pub async fn read(&self) -> Result<Option<Bytes>, StorageError> {
        let inner = self.0.clone();
        blocking(&self.0.path, move || inner.read()).await
    }

    /// Replaces it, durably. After an error, a kill or a power cut it is what it was before, or this.
    ///
    /// # Errors
    /// The disk does not take it.
    pub async fn write(&self, content: impl Into<Bytes>) -> Result<(), StorageError> {
        let (inner, content) = (self.0.clone(), content.into());
        blocking(&self.0.path, move || inner.write(&content)).await
    }
}

impl Inner {
    fn read(&self) -> Result<Option<Bytes>, StorageError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::from_io("read", &self.path, &error)),
        };
        match version(MAGIC, &bytes) {
            Some(VERSION) | None => {}
            Some(found) => {
                return Err(StorageError::Format { path: self.path.clone(), found, supported: VERSION });
            }
        }
        if let Some(content) = content(&bytes) {
            return Ok(Some(content));
        }
        tracing::error!(cell = self.name, "a damaged cell was set aside: its state begins anew");
        quarantine::take(&self.directory, &self.path)?;
        Ok(None)
    }

    fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        let _busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.directory.is_dir() {
            create_directory(&self.directory)?;
            self.directory.parent().map_or(Ok(()), |parent| self.disk.sync_directory(parent))?;
        }
        // No cell's own file begins so.
        let fresh = self.directory.join(format!("~{}", file_name(&self.name)));
        let written = self.replace(&fresh, content);
        if written.is_err() {
            let _ = std::fs::remove_file(&fresh); // it would be written over
        }
        written
    }

    fn replace(&self, fresh: &Path, content: &[u8]) -> Result<(), StorageError> {
        let _ = std::fs::remove_file(fresh); // left by a kill
        let file = self.disk.open(fresh, true)?;
        let mut head = [0; HEAD];
        head[..16].copy_from_slice(&mark(MAGIC));
        head[16..24].copy_from_slice(&(content.len() as u64).to_le_bytes());
        let crc = checksum(&head[16..24], content);
        head[24..].copy_from_slice(&crc.to_le_bytes());
        self.disk.write(fresh, &file, &mut [IoSlice::new(&head), IoSlice::new(content)], 0)?;
        self.disk.sync(fresh, &file)?;
        std::fs::rename(fresh, &self.path)
            .map_err(|error| StorageError::from_io("replace it", &self.path, &error))?;
        self.disk.sync_directory(&self.directory)
    }
}

fn content(bytes: &Bytes) -> Option<Bytes> {
    version(MAGIC, bytes)?;
    let (len, crc) = (bytes.get(16..24)?, u32_at(bytes, 24)?);
    let content = bytes.slice(HEAD.min(bytes.len())..);
    (u64_at(len, 0)? == content.len() as u64 && checksum(len, &content) == crc).then_some(content)
}

fn checksum(len: &[u8], content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(len), content)
}
