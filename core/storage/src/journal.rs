//! The file `settled`: which records are settled.
//!
//! After its mark come entries of 32 bytes: first record, one more than the last, bytes of their frames, zero, checksum.
//! An entry that is damaged is not believed: its records come again, none is lost. The file is written anew at each start
//! and when it has grown.

use std::fs::File;
use std::io::IoSlice;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::StorageError;
use crate::format::{VERSION, mark, u32_at, u64_at, version};

const MAGIC: [u8; 8] = *b"SGSETTLD";
const NAME: &str = "settled";
const ENTRY: usize = 32;
/// Bytes taken on the disk when it is written anew; beyond twice what it held then, it is time for that.
const ROOM: u64 = 256 << 10;

/// Records that are settled, and the bytes of their frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) records: Range<u64>,
    pub(crate) bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    at: u64,
    full: u64,
    dirty: bool,
}

impl Journal {
    /// What the file tells, and how many of its entries are damaged.
    pub(crate) fn load(log: &Path) -> Result<(Vec<Settled>, u64), StorageError> {
        let path = log.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(StorageError::from_io("read", &path, &error)),
        };
        if let Some(found) = version(MAGIC, &bytes).filter(|found| *found != VERSION) {
            return Err(StorageError::Format { path, found, supported: VERSION });
        }
        let entries = bytes.chunks_exact(ENTRY).skip(1).filter(|entry| entry.iter().any(|byte| *byte != 0));
        let (mut settled, mut damaged) = (Vec::new(), 0);
        for entry in entries {
            match read(entry) {
                Some(found) => settled.push(found),
                None => damaged += 1,
            }
        }
        Ok((settled, damaged))
    }

    /// Replaces the file by one that tells this.
    pub(crate) fn create(disk: &Disk, log: &Path, settled: &[Settled]) -> Result<Self, StorageError> {
        let (path, fresh) = (log.join(NAME), log.join("settled.new"));
        if let Err(error) = std::fs::remove_file(&fresh)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(StorageError::from_io("replace it", &fresh, &error));
        }
        let file = disk.open(&fresh, true)?;
        let full = ROOM.max(2 * (settled.len() as u64 + 1) * ENTRY as u64);
        let mut journal = Journal { path: fresh, file, at: ENTRY as u64, full, dirty: false };
        disk.allocate(&journal.path, &journal.file, full)?;
        let mut head = [0; ENTRY];
        head[..16].copy_from_slice(&mark(MAGIC));
        disk.write(&journal.path, &journal.file, &mut [IoSlice::new(&head)], 0)?;
        journal.append(disk, settled)?;
        journal.sync(disk)?;
        std::fs::rename(&journal.path, &path).map_err(|e| StorageError::from_io("replace it", &path, &e))?;
        journal.path = path;
        disk.sync_directory(log)?;
        Ok(journal)
    }

    /// Goes on with the file that is there.
    pub(crate) fn reuse(disk: &Disk, log: &Path) -> Result<Self, StorageError> {
        let path = log.join(NAME);
        let bytes = std::fs::read(&path).map_err(|error| StorageError::from_io("read", &path, &error))?;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let (at, full) = (used.next_multiple_of(ENTRY).max(ENTRY) as u64, bytes.len() as u64);
        Ok(Journal { file: disk.open(&path, false)?, path, at, full, dirty: false })
    }

    /// Adds to it. A kill after this changes nothing any more, a power cut may until the next sync.
    pub(crate) fn append(&mut self, disk: &Disk, settled: &[Settled]) -> Result<(), StorageError> {
        let bytes: Vec<u8> = settled.iter().flat_map(write).collect();
        disk.write(&self.path, &self.file, &mut [IoSlice::new(&bytes)], self.at)?;
        self.at += bytes.len() as u64;
        self.dirty |= !bytes.is_empty();
        Ok(())
    }

    pub(crate) fn sync(&mut self, disk: &Disk) -> Result<(), StorageError> {
        if std::mem::take(&mut self.dirty) {
            disk.sync(&self.path, &self.file)?;
        }
        Ok(())
    }

    /// Whether something waits for a sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether it should be written anew.
    pub(crate) fn is_full(&self) -> bool {
        self.at + ENTRY as u64 > self.full
    }
}

fn write(settled: &Settled) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..8].copy_from_slice(&settled.records.start.to_le_bytes());
    entry[8..16].copy_from_slice(&settled.records.end.to_le_bytes());
    entry[16..24].copy_from_slice(&settled.bytes.to_le_bytes());
    let crc = crc32c::crc32c(&entry[..28]);
    entry[28..].copy_from_slice(&crc.to_le_bytes());
    entry
}

fn read(entry: &[u8]) -> Option<Settled> {
    let records = u64_at(entry, 0)?..u64_at(entry, 8)?;
    let intact = u32_at(entry, 28)? == crc32c::crc32c(entry.get(..28)?);
    intact.then_some(Settled { records, bytes: u64_at(entry, 16)? })
}
