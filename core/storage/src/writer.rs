//! The thread that writes a log: what waits is written together, synced once, and then answered.
//!
//! The order of writes: frames (and the page of a segment that is used anew) with an empty frame behind them, one sync,
//! then the answers. The seal and the journal of settlements need no sync of their own: without its seal a segment is
//! walked at the next start, without its entry a record comes again.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::StorageError;
use crate::format::{FRAME, FrameHeader, PAGE, SEAL, Seal, SegmentHeader, framed};
use crate::journal::Journal;
use crate::log::{RecordId, Shared, begin, need, now};
use crate::prepare::{self, Preparer};
use crate::segment::{Segment, Slot};
use crate::state::Append;

/// The longest that a settlement waits for its sync.
const SYNC_SETTLED: Duration = Duration::from_secs(1);
/// Bytes of one commit: more waits for the next, so that nobody waits for everybody.
const MOST_BYTES: u64 = 64 << 20;

/// Where the next record goes.
pub(crate) struct Active {
    pub(crate) slot: Slot,
    pub(crate) header: SegmentHeader,
    pub(crate) end: u64,
    pub(crate) since: u32,
}

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Journal,
    pub(crate) active: Option<Active>,
    /// The number of the next record.
    pub(crate) next: u64,
    /// The number of the next file.
    pub(crate) next_file: u32,
    pub(crate) preparer: Preparer,
}

impl Writer {
    /// Runs until the log is closed.
    pub(crate) fn run(mut self) {
        let mut synced = Instant::now();
        loop {
            self.remove_surplus();
            let (appends, closing) = self.wait(synced);
            self.save_settled();
            if !appends.is_empty() {
                self.commit(appends);
            } else if closing {
                break;
            }
            if self.journal.is_dirty() && synced.elapsed() >= SYNC_SETTLED {
                self.sync_settled();
                synced = Instant::now();
            }
        }
        self.sync_settled();
    }

    /// Waits for something to do.
    fn wait(&self, synced: Instant) -> (Vec<Append>, bool) {
        let mut state = self.shared.lock();
        while state.pending.is_empty() && state.unsaved.is_empty() && !state.closing {
            let condvar = &self.shared.work;
            state = if self.journal.is_dirty() {
                let left = SYNC_SETTLED.saturating_sub(synced.elapsed());
                if left.is_zero() {
                    break;
                }
                condvar.wait_timeout(state, left).map_or_else(|e| e.into_inner().0, |(state, _)| state)
            } else {
                condvar.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner)
            };
        }
        let mut bytes = 0;
        let fitting = state.pending.iter().take_while(|append| {
            bytes += append.len;
            bytes <= MOST_BYTES
        });
        let most = fitting.count().max(1).min(state.pending.len());
        let rest = state.pending.split_off(most);
        (std::mem::replace(&mut state.pending, rest), state.closing)
    }

    /// As many at a time as one segment takes.
    fn commit(&mut self, appends: Vec<Append>) {
        let mut group: Vec<Append> = Vec::new();
        let mut at = self.active.as_ref().map_or(0, |active| active.end);
        for append in appends {
            if append.done.is_closed() {
                continue; // nobody waits for it any more
            }
            let fits = |active: &Active, at: u64| at + need(append.len) <= active.slot.capacity;
            if !self.active.as_ref().is_some_and(|active| fits(active, at)) {
                self.write(std::mem::take(&mut group));
                if let Err(error) = self.next_segment(need(append.len)) {
                    self.fail(vec![append], &error);
                    at = self.active.as_ref().map_or(0, |active| active.end);
                    continue;
                }
                at = PAGE;
            }
            at += framed(append.len);
            group.push(append);
        }
        self.write(group);
    }

    fn write(&mut self, group: Vec<Append>) {
        if group.is_empty() {
            return;
        }
        let started = begin(&self.shared);
        let at = now();
        let result = self.write_frames(&group, at);
        let mut state = self.shared.lock();
        state.committing_since = None;
        let end = match result {
            Ok(end) => end,
            Err(error) => {
                drop(state);
                self.next += group.len() as u64;
                self.shared.lock().next = self.next;
                self.give_up();
                return self.fail(group, &error);
            }
        };
        let (first, next) = (self.next, self.next + group.len() as u64);
        let taken = started.elapsed();
        state.next = next;
        state.failure = None;
        state.counts.appended += next - first;
        state.counts.commits += 1;
        state.counts.committing += taken;
        state.counts.last_commit = taken;
        state.counts.slowest_commit = state.counts.slowest_commit.max(taken);
        state.ages.push(first, at);
        if let Some(active) = &mut self.active {
            active.end = end;
            if let Some(segment) = state.segments.get_mut(&active.header.first) {
                segment.grow(next, end);
            }
        }
        drop(state);
        self.next = next;
        for (seq, append) in (first..).zip(group) {
            // Whoever appended may have gone.
            let _ = append.done.send(Ok(RecordId { seq, size: framed(append.len) }));
        }
        self.shared.head.send_replace(next);
        self.prepare_next();
    }

    /// Once half of a segment is full the next is made, so that it is there in time.
    fn prepare_next(&mut self) {
        let half = |active: &Active| active.end > active.slot.capacity / 2;
        if self.active.as_ref().is_some_and(half) && self.preparer.is_wanted(&self.shared) {
            let path = self.new_path();
            self.preparer.begin(&self.shared, path);
        }
    }

    fn new_path(&mut self) -> PathBuf {
        let path = self.shared.directory.join(format!("{:06}.seg", self.next_file));
        self.next_file += 1;
        path
    }

    /// Returns where the frames end.
    fn write_frames(&self, group: &[Append], at: u32) -> Result<u64, StorageError> {
        let Some(active) = &self.active else { return Err(self.shared.closed()) };
        let salt = active.header.salt;
        let headers: Vec<[u8; FRAME]> = (self.next..)
            .zip(group)
            .map(|(seq, append)| {
                let crc = append.payload.iter().fold(salt, |crc, piece| crc32c::crc32c_append(crc, piece));
                FrameHeader { seq, len: append.len as u32, at, crc }.write(salt)
            })
            .collect();
        let zeros = [0; FRAME];
        let mut slices = Vec::with_capacity(group.len() * 3 + 1);
        for (header, append) in headers.iter().zip(group) {
            slices.push(IoSlice::new(header));
            slices.extend(append.payload.iter().map(|piece| IoSlice::new(piece)));
            let padding = framed(append.len) - FRAME as u64 - append.len;
            slices.push(IoSlice::new(&zeros[..padding as usize]));
        }
        slices.push(IoSlice::new(&zeros));
        let (disk, slot) = (&self.shared.disk, &active.slot);
        disk.write(&slot.path, &slot.file, &mut slices, active.end)?;
        disk.sync(&slot.path, &slot.file)?;
        Ok(active.end + group.iter().map(|append| framed(append.len)).sum::<u64>())
    }

    /// Makes room for a record of this size.
    fn next_segment(&mut self, need: u64) -> Result<(), StorageError> {
        if self.is_idle() {
            self.seal(); // its file is free
        }
        let slot = self.slot(need)?;
        self.seal();
        let header = SegmentHeader::fresh(self.next);
        let page = header.page();
        let disk = &self.shared.disk;
        if let Err(error) = disk.write(&slot.path, &slot.file, &mut [IoSlice::new(&page)], 0) {
            self.shared.lock().spares.push(slot);
            return Err(error);
        }
        let since = now();
        let segment = Segment::empty(slot.clone(), header, since);
        self.shared.lock().segments.insert(self.next, segment);
        self.active = Some(Active { slot, header, end: PAGE, since });
        Ok(())
    }

    /// Whether nothing in the active segment is needed any more.
    fn is_idle(&self) -> bool {
        self.active.as_ref().is_some_and(|active| {
            self.shared.lock().segments.get(&active.header.first).is_some_and(|segment| segment.left == 0)
        })
    }

    /// A file to write into: a spare one, or a new one within the quota.
    fn slot(&mut self, need: u64) -> Result<Slot, StorageError> {
        let shared = self.shared.clone();
        let capacity = shared.segment_bytes.max((PAGE + need).next_multiple_of(PAGE)).min(shared.quota);
        let mut useless = Vec::new();
        prepare::wait(&shared);
        {
            let mut state = shared.lock();
            if let Some(at) = state.spares.iter().position(|slot| slot.capacity >= PAGE + need) {
                return Ok(state.spares.swap_remove(at));
            }
            while state.allocated + capacity > shared.quota {
                let Some(spare) = state.spares.pop() else {
                    return Err(StorageError::Full { name: shared.name.clone(), quota: shared.quota });
                };
                state.allocated -= spare.capacity;
                useless.push(spare);
            }
        }
        remove(&useless);
        let path = self.new_path();
        let file = shared.disk.open(&path, true)?;
        let ready = shared.disk.allocate(&path, &file, capacity);
        if let Err(error) = ready.and_then(|()| shared.disk.sync_directory(&shared.directory)) {
            let _ = std::fs::remove_file(&path); // an empty file would be found and removed at the next start
            return Err(error);
        }
        shared.lock().allocated += capacity;
        Ok(Slot { path: path.into(), file: file.into(), capacity })
    }

    /// The active segment is complete.
    fn seal(&mut self) {
        let Some(active) = self.active.take() else { return };
        let seal = Seal { next: self.next, end: active.end, since: active.since };
        write_seal(&self.shared, &active.slot, active.header, seal);
        self.shared.lock().seal(active.header.first);
    }

    /// After a failed write or sync nobody knows what of it is on the disk: the segment ends before it.
    fn give_up(&mut self) {
        let Some(active) = self.active.take() else { return };
        let first = active.header.first;
        let durable = self.shared.lock().segments.get(&first).map(|segment| segment.next);
        if let Some(next) = durable {
            let seal = Seal { next, end: active.end, since: active.since };
            write_seal(&self.shared, &active.slot, active.header, seal);
        }
        self.shared.lock().seal(first);
    }

    fn fail(&self, group: Vec<Append>, error: &StorageError) {
        self.shared.lock().failure = Some(error.clone());
        for append in group {
            let _ = append.done.send(Err(error.clone()));
        }
    }

    fn save_settled(&mut self) {
        let (shared, mut state) = (&self.shared, self.shared.lock());
        let unsaved = std::mem::take(&mut state.unsaved);
        if unsaved.is_empty() {
            return;
        }
        let whole = self.journal.is_full().then(|| state.settled());
        drop(state);
        let renewed = whole.map(|all| Journal::create(&shared.disk, &shared.directory, &all));
        let saved = match renewed {
            Some(Ok(journal)) => {
                self.journal = journal; // they are in it
                Ok(())
            }
            // Without a new one the old goes on.
            Some(Err(_)) | None => self.journal.append(&shared.disk, &unsaved),
        };
        if let Err(error) = saved {
            tracing::warn!(log = shared.name, %error, "settled records are not written down: they may come again");
            shared.lock().failure = Some(error);
        }
    }

    fn sync_settled(&mut self) {
        if let Err(error) = self.journal.sync(&self.shared.disk) {
            tracing::warn!(log = self.shared.name, %error, "settled records are not synced: they may come again");
        }
    }

    fn remove_surplus(&self) {
        let surplus = self.shared.lock().surplus();
        remove(&surplus);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.preparer.join();
        self.shared.lock().pending.clear(); // those who wait hear that it is closed
        self.shared.ended.send_replace(true);
        self.shared.head.send_modify(|_| ()); // readers wake, and see that it has ended
    }
}

/// Without it the segment is walked at the next start: an error costs time, nothing else.
pub(crate) fn write_seal(shared: &Shared, slot: &Slot, header: SegmentHeader, seal: Seal) {
    let bytes = seal.write(header.salt);
    let written = shared.disk.write(&slot.path, &slot.file, &mut [IoSlice::new(&bytes)], SEAL as u64);
    if let Err(error) = written {
        tracing::debug!(log = shared.name, %error, "a segment has no seal");
    }
}

/// A file that cannot be removed is found at the next start, with nothing in it that is not settled.
pub(crate) fn remove(slots: &[Slot]) {
    for slot in slots {
        if let Err(error) = std::fs::remove_file(&slot.path) {
            tracing::warn!(file = %slot.path.display(), %error, "a file that is not needed any more stays");
        }
    }
}
