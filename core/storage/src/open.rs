//! Finds what a log's directory holds, and makes it fit to go on. Nothing that is found keeps it from that, but a newer
//! format and a disk that takes no writes.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk};
use crate::error::StorageError;
use crate::format::{FRAME, PAGE, Seal, SegmentHeader, VERSION};
use crate::journal::{Journal, Settled};
use crate::log::{Log, Shared, now};
use crate::prepare::Preparer;
use crate::quarantine;
use crate::recover;
use crate::segment::{Segment, Slot};
use crate::state::State;
use crate::storage::{Claim, create_directory};
use crate::walk::{Step, Walk};
use crate::writer::{Active, Writer, write_seal};

/// What a log is opened with.
pub(crate) struct Opening {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) disk: Disk,
    pub(crate) quota: u64,
    pub(crate) segment_bytes: u64,
}

/// What is found on the way.
#[derive(Default)]
struct Found {
    state: State,
    /// When records came.
    since: BTreeMap<u64, u32>,
    /// The last segment, if it can be written on.
    open: Option<Active>,
    last_file: u32,
}

/// Opens a log and starts its writer. `claim` is given back when the writer ends.
pub(crate) fn open(opening: Opening, claim: Claim) -> Result<Log, StorageError> {
    let Opening { name, directory, disk, quota, segment_bytes } = opening;
    create_directory(&directory)?;
    // Its name, and that of `logs`, are durable before anything in it is.
    for parent in directory.ancestors().take(3) {
        disk.sync_directory(parent)?;
    }
    let (settled, damaged) = Journal::load(&directory)?;
    if damaged > 0 {
        tracing::warn!(
            log = name,
            damaged,
            "entries of the journal are damaged: some records may come again"
        );
    }
    let mut found = Found::default();
    for (number, path) in files(&directory)? {
        found.last_file = found.last_file.max(number);
        found.add(&name, &directory, &disk, &path)?;
    }
    let next = found.settle(&settled);
    let Found { mut state, mut open, last_file, since } = found;
    since.into_iter().for_each(|(seq, at)| state.ages.push(seq, at));
    state.unsaved.clear();
    let shared = Arc::new(Shared::new(&name, directory, disk, quota, segment_bytes, State::default()));
    // Numbers are never used twice, so a segment goes on only if nothing is missing behind it.
    for (first, end) in unfinished(&state, open.as_ref(), next) {
        if open.as_ref().is_some_and(|active| active.header.first == first) {
            open = None;
        }
        if let Some(segment) = state.segments.get(&first) {
            let seal = Seal { next: segment.next, end, since: segment.since };
            write_seal(&shared, &segment.slot, segment.header, seal);
        }
        state.seal(first);
    }
    state.next = next;
    let all = state.settled();
    let journal = match Journal::create(&shared.disk, &shared.directory, &all) {
        // Where there is no room for a new one the old goes on: what is stored has to get out to make some.
        Err(full @ StorageError::DiskFull { .. }) => {
            Journal::reuse(&shared.disk, &shared.directory).map_err(|_| full)?
        }
        other => other?,
    };
    let active_is_whole = |active: &Active| {
        let mut empty = [IoSlice::new(&[0; FRAME])];
        shared.disk.write(&active.slot.path, &active.slot.file, &mut empty, active.end)
    };
    open.as_ref().map(active_is_whole).transpose()?;
    *shared.lock() = state;
    shared.head.send_replace(next);
    let next_file = last_file + 1;
    let preparer = Preparer::default();
    let writer = Writer { shared: shared.clone(), journal, active: open, next, next_file, preparer };
    let spawned = std::thread::Builder::new().name("storage".to_owned()).spawn(move || {
        writer.run();
        drop(claim);
    });
    match spawned {
        Ok(_) => Ok(Log { shared }),
        Err(error) => Err(StorageError::from_io("start its writer", &shared.directory, &error)),
    }
}

/// The header that a segment's records tell, written down again.
fn recovered(name: &str, disk: &Disk, slot: &Slot) -> Result<Option<SegmentHeader>, StorageError> {
    let Some(header) = recover::header(slot)? else { return Ok(None) };
    let file = slot.path.display();
    tracing::warn!(log = name, %file, "a segment's damaged first page was made anew from its records");
    if let Err(error) = disk.write(&slot.path, &slot.file, &mut [IoSlice::new(&header.page())], 0) {
        tracing::error!(log = name, %file, %error, "it could not be written: the next start makes it anew again");
    }
    Ok(Some(header))
}

/// Segments that nothing more is written to, and where they end.
fn unfinished(state: &State, open: Option<&Active>, next: u64) -> Vec<(u64, u64)> {
    let goes_on = |segment: &Segment| {
        open.is_some_and(|active| active.header.first == segment.header.first && segment.next == next)
    };
    let all = state.segments.values().filter(|segment| !segment.sealed && !goes_on(segment));
    all.map(|segment| (segment.header.first, segment.end)).collect()
}

/// The segments' files, by number.
pub(crate) fn files(directory: &Path) -> Result<Vec<(u32, PathBuf)>, StorageError> {
    let failed = |error: std::io::Error| StorageError::from_io("list it", directory, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(number), Some("seg")) = (number, path.extension().and_then(|e| e.to_str())) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

impl Found {
    fn add(&mut self, name: &str, log: &Path, disk: &Disk, path: &Path) -> Result<(), StorageError> {
        let file = disk.open(path, false)?;
        let capacity = file.metadata().map_err(|e| StorageError::from_io("read", path, &e))?.len();
        let slot = Slot { path: path.into(), file: Arc::new(file), capacity };
        let mut page = vec![0; PAGE as usize];
        let read = disk::read(path, &slot.file, &mut page, 0)?;
        page.truncate(read);
        let header = SegmentHeader::read(&page).map_err(|found| {
            let path = path.to_owned();
            StorageError::Format { path, found, supported: VERSION }
        })?;
        if header.is_none() && recover::is_unused(&slot)? {
            return std::fs::remove_file(path).map_err(|e| StorageError::from_io("remove", path, &e));
        }
        let header = match header {
            Some(header) => Some(header),
            None => recovered(name, disk, &slot)?,
        };
        let known = header.is_some_and(|header| self.state.segments.contains_key(&header.first));
        let Some(header) = header.filter(|_| !known) else {
            tracing::error!(log = name, file = %path.display(), "a segment has no intact header: it was set aside");
            self.state.counts.damaged_bytes += capacity;
            self.state.counts.damaged_records += 1; // at least
            return quarantine::take(log, path);
        };
        self.state.allocated += capacity;
        let mut segment = Segment::empty(slot, header, now());
        match Seal::read(&page, header.salt).filter(|seal| seal.next >= header.first && seal.end >= PAGE) {
            Some(seal) => {
                segment.grow(seal.next, seal.end);
                (segment.sealed, segment.since) = (true, seal.since);
                self.since.insert(header.first, seal.since);
            }
            None => self.walk(name, log, &mut segment)?,
        }
        self.state.segments.insert(header.first, segment);
        Ok(())
    }

    /// Finds the end of a segment that does not tell it.
    fn walk(&mut self, name: &str, log: &Path, segment: &mut Segment) -> Result<(), StorageError> {
        let (slot, header) = (segment.slot.clone(), segment.header);
        let mut walk = Walk::new(slot.clone(), header.salt, header.first, None);
        let mut since: Option<u32> = None;
        let mut last = None;
        let mut lost = Vec::new();
        let file = slot.path.display();
        loop {
            match walk.step()? {
                Step::Record { header, .. } => {
                    since.get_or_insert(header.at);
                    if last.replace(header.at) != Some(header.at) {
                        self.since.insert(header.seq, header.at);
                    }
                    segment.grow(header.seq + 1, walk.at());
                }
                Step::Damaged { at, len, lost: seqs } => {
                    segment.grow(seqs.end, walk.at());
                    match quarantine::copy(log, &slot, at, len) {
                        Ok(()) => {
                            tracing::error!(log = name, %file, at, len, ?seqs, "damaged records were set aside");
                            self.state.counts.damaged_bytes += len;
                            lost.push(seqs);
                        }
                        // The reader comes by, and tries again.
                        Err(error) => tracing::error!(log = name, %file, %error, "damaged records stay"),
                    }
                }
                Step::Torn { at, len } => {
                    tracing::warn!(log = name, %file, at, len, "an unfinished write was cut off and set aside");
                    if let Err(error) = quarantine::copy(log, &slot, at, len) {
                        tracing::error!(log = name, %file, %error, "it could not be set aside");
                    }
                    self.state.counts.torn_tails += 1;
                    break;
                }
                Step::End => break,
            }
        }
        let lost = lost.into_iter().flatten().filter(|seq| segment.settle(*seq, 0)).count();
        self.state.counts.damaged_records += lost as u64;
        segment.since = since.unwrap_or(segment.since);
        let (end, since) = (segment.end, segment.since);
        let active = Active { slot, header, end, since };
        if self.open.as_ref().is_none_or(|open| open.header.first < header.first) {
            self.open = Some(active);
        }
        Ok(())
    }

    /// Settles what the journal tells, and returns the number of the next record.
    fn settle(&mut self, settled: &[Settled]) -> u64 {
        let state = &mut self.state;
        let told = settled.iter().map(|settled| settled.records.end).max().unwrap_or(0);
        let held = state.segments.values().map(|segment| segment.next).max().unwrap_or(0);
        for Settled { records, bytes } in settled {
            let mut bytes = *bytes;
            let firsts: Vec<u64> = state.segments.range(..records.end).map(|(first, _)| *first).collect();
            for first in firsts {
                let Some(segment) = state.segments.get(&first) else { continue };
                let range = records.start.max(first)..records.end.min(segment.next);
                for seq in range {
                    state.settle(seq, std::mem::take(&mut bytes));
                }
            }
        }
        told.max(held).max(1)
    }
}
