//! Looks at a directory without its lock, changing nothing: what stands in its logs at this moment.
//!
//! Another process may write meanwhile. The journal is read first, then the segments: a record that is settled in between
//! is still shown, one that is appended may be. A segment that is used anew while it is read is left out, since all that was
//! in it is settled.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::FlockOperation;

use crate::disk;
use crate::error::StorageError;
use crate::format::{PAGE, Seal, SegmentHeader, VERSION};
use crate::journal::Journal;
use crate::open::files;
use crate::recover;
use crate::segment::Slot;
use crate::storage::{file_name, pid};
use crate::walk::{Step, Walk};

/// Who holds a directory's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process, as far as it has said so.
    pub pid: Option<u32>,
}

/// The process that uses a directory now; `None` when nobody does.
///
/// # Errors
/// The directory or its lock cannot be opened.
pub fn holder(directory: &Path) -> Result<Option<Holder>, StorageError> {
    if !directory.is_dir() {
        return Err(StorageError::Missing { path: directory.to_owned() });
    }
    let path = directory.join("lock");
    let mut lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::from_io("open", &path, &error)),
    };
    // Let go at once: whoever starts just now asks again within its patience.
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Some(Holder { pid: pid(&mut lock) })),
        Err(errno) => Err(StorageError::from_io("lock it", &path, &errno.into())),
    }
}

/// The names of all logs of a directory, sorted. One whose name was too long for a file is not among them.
///
/// # Errors
/// The directory cannot be listed.
pub fn logs(directory: &Path) -> Result<Vec<String>, StorageError> {
    if !directory.is_dir() {
        return Err(StorageError::Missing { path: directory.to_owned() });
    }
    let path = directory.join("logs");
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StorageError::from_io("list it", &path, &error)),
    };
    let files = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = files.filter_map(|file| name_of(&file)).collect();
    names.sort();
    Ok(names)
}

/// What [`file_name`] made of a name.
fn name_of(file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut left = file.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let digits = [left.next()?, left.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (file_name(&name) == file).then_some(name)
}

/// A record with its place.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Its number.
    pub number: u64,
    /// Its pieces in a row.
    pub payload: Bytes,
    /// Bytes that it takes on the disk.
    pub bytes: u64,
    /// When it was appended, seconds since the Unix epoch.
    pub at: u32,
    /// The file.
    pub file: Arc<Path>,
    /// Where in it the record begins, bytes.
    pub offset: u64,
}

/// A log as it stands at one moment: gives its records that are not settled, in order. It reads files, so not on a
/// runtime's worker.
pub struct Snapshot {
    log: PathBuf,
    /// In order, apart.
    settled: Vec<Range<u64>>,
    segments: VecDeque<(SegmentHeader, Option<Seal>, Slot)>,
    walk: Option<(SegmentHeader, Slot, Walk)>,
    damaged: u64,
}

impl Snapshot {
    /// Looks at one log of a directory.
    ///
    /// # Errors
    /// There is no such log, it has a newer format, or it cannot be read.
    pub fn open(directory: &Path, name: &str) -> Result<Snapshot, StorageError> {
        let log = directory.join("logs").join(file_name(name));
        if !log.is_dir() {
            return Err(StorageError::Missing { path: log });
        }
        let (told, _) = Journal::load(&log)?;
        let mut ranges: Vec<Range<u64>> = told.into_iter().map(|settled| settled.records).collect();
        ranges.sort_by_key(|range| range.start);
        let mut settled: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match settled.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => settled.push(range),
            }
        }
        let mut segments = Vec::new();
        for (_, path) in files(&log)? {
            match segment(&path) {
                Ok(Some(found)) => segments.push(found),
                Ok(None) => {}
                // Removed since it was listed.
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        segments.sort_by_key(|(header, ..)| header.first);
        Ok(Snapshot { log, settled, segments: segments.into(), walk: None, damaged: 0 })
    }

    /// Records met so far that are damaged.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// What was set aside before: files, and their bytes.
    pub fn quarantined(&self) -> (u64, u64) {
        let files = std::fs::read_dir(self.log.join("quarantine")).into_iter().flatten().flatten();
        let sizes = files.filter_map(|file| file.metadata().ok()).map(|about| about.len());
        sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
    }

    fn is_settled(&self, number: u64) -> bool {
        let at = self.settled.partition_point(|range| range.end <= number);
        self.settled.get(at).is_some_and(|range| range.contains(&number))
    }

    fn look(&mut self) -> Result<Option<Sighting>, StorageError> {
        loop {
            let Some((header, slot, walk)) = &mut self.walk else {
                let Some((header, seal, slot)) = self.segments.pop_front() else { return Ok(None) };
                let known = seal.map(|seal| (seal.end, seal.next));
                if seal.is_some_and(|seal| (header.first..seal.next).all(|n| self.is_settled(n))) {
                    continue;
                }
                let walk = Walk::new(slot.clone(), header.salt, header.first, known);
                self.walk = Some((header, slot, walk));
                continue;
            };
            let (offset, header, slot) = (walk.at(), *header, slot.clone());
            match walk.step()? {
                Step::Record { header: frame, .. } if self.is_settled(frame.seq) => {}
                Step::Record { header: frame, payload } => {
                    let (number, bytes, at) = (frame.seq, frame.framed(), frame.at);
                    return Ok(Some(Sighting { number, payload, bytes, at, file: slot.path, offset }));
                }
                Step::Damaged { lost, .. } if is_still(&slot, header) => {
                    self.damaged += lost.filter(|number| !self.is_settled(*number)).count() as u64;
                }
                Step::Damaged { .. } | Step::Torn { .. } | Step::End => self.walk = None,
            }
        }
    }
}

impl Iterator for Snapshot {
    type Item = Result<Sighting, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.look().transpose()
    }
}

/// A segment with records; `None` for a file that has none, or none that can be found.
fn segment(path: &Path) -> Result<Option<(SegmentHeader, Option<Seal>, Slot)>, StorageError> {
    let failed = |error: std::io::Error| StorageError::from_io("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    let capacity = file.metadata().map_err(failed)?.len();
    let slot = Slot { path: path.into(), file: file.into(), capacity };
    let page = page(&slot)?;
    let header = SegmentHeader::read(&page).map_err(|found| {
        let path = path.to_owned();
        StorageError::Format { path, found, supported: VERSION }
    })?;
    // As the next start would.
    let header = header.map_or_else(|| recover::header(&slot), |header| Ok(Some(header)))?;
    Ok(header.map(|header| {
        let whole = |seal: &Seal| seal.next >= header.first && seal.end >= PAGE;
        (header, Seal::read(&page, header.salt).filter(whole), slot)
    }))
}

fn page(slot: &Slot) -> Result<Vec<u8>, StorageError> {
    let mut page = vec![0; PAGE as usize];
    let read = disk::read(&slot.path, &slot.file, &mut page, 0)?;
    page.truncate(read);
    Ok(page)
}

/// Whether the segment has not been used anew.
fn is_still(slot: &Slot, header: SegmentHeader) -> bool {
    page(slot).is_ok_and(|page| SegmentHeader::read(&page) == Ok(Some(header)))
}
