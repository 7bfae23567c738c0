//! What a log knows of itself, behind one lock that is held for moments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::ages::Ages;
use crate::error::StorageError;
use crate::journal::Settled;
use crate::log::RecordId;
use crate::segment::{Segment, Slot};

/// A record that waits for the writer.
pub(crate) struct Append {
    pub(crate) payload: Vec<Bytes>,
    pub(crate) len: u64,
    pub(crate) done: oneshot::Sender<Result<RecordId, StorageError>>,
}

/// Numbers since the log was opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) appended: u64,
    pub(crate) commits: u64,
    pub(crate) committing: Duration,
    pub(crate) last_commit: Duration,
    pub(crate) slowest_commit: Duration,
    pub(crate) damaged_records: u64,
    pub(crate) damaged_bytes: u64,
    pub(crate) torn_tails: u64,
}

#[derive(Default)]
pub(crate) struct State {
    /// The number of the next record.
    pub(crate) next: u64,
    /// By their first record.
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// Files to be used again.
    pub(crate) spares: Vec<Slot>,
    /// Bytes of all files.
    pub(crate) allocated: u64,
    pub(crate) pending: Vec<Append>,
    /// Settled, not yet in the journal.
    pub(crate) unsaved: Vec<Settled>,
    pub(crate) closing: bool,
    /// A segment is being made ahead.
    pub(crate) preparing: bool,
    /// Somebody waits for it.
    pub(crate) hurry: bool,
    pub(crate) ages: Ages,
    pub(crate) counts: Counts,
    /// Why the last append failed, until one succeeds.
    pub(crate) failure: Option<StorageError>,
    pub(crate) committing_since: Option<Instant>,
}

/// Files that wait to be used again; further ones are deleted.
const SPARES: usize = 4;

impl State {
    /// Whether somebody waits for the segment that is being made ahead.
    pub(crate) fn is_awaited(&self) -> bool {
        self.hurry || self.closing
    }

    /// Settles a record; whether it was there.
    pub(crate) fn settle(&mut self, seq: u64, bytes: u64) -> bool {
        let Some((first, segment)) = self.segments.range_mut(..=seq).next_back() else { return false };
        if !segment.settle(seq, bytes) {
            return false;
        }
        let first = *first;
        match self.unsaved.last_mut().filter(|last| last.records.end == seq && last.records.start >= first) {
            Some(last) => {
                last.records.end += 1;
                last.bytes += bytes;
            }
            None => self.unsaved.push(Settled { records: seq..seq + 1, bytes }),
        }
        self.release(first);
        true
    }

    /// Nothing more is written to the segment.
    pub(crate) fn seal(&mut self, first: u64) {
        if let Some(segment) = self.segments.get_mut(&first) {
            segment.sealed = true;
        }
        self.release(first);
    }

    /// A sealed segment without records is a spare.
    fn release(&mut self, first: u64) {
        if !self.segments.get(&first).is_some_and(|segment| segment.sealed && segment.left == 0) {
            return;
        }
        let Some(segment) = self.segments.remove(&first) else { return };
        self.spares.push(segment.slot);
        if matches!(self.failure, Some(StorageError::Full { .. })) {
            self.failure = None;
        }
    }

    /// The spares that are too many.
    pub(crate) fn surplus(&mut self) -> Vec<Slot> {
        // Those that a large record had made first: they are of use to nobody else.
        self.spares.sort_by_key(|slot| slot.capacity);
        let surplus = self.spares.split_off(self.spares.len().min(SPARES));
        self.allocated -= surplus.iter().map(|slot| slot.capacity).sum::<u64>();
        surplus
    }

    /// The oldest record that is not settled.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.segments.values().find_map(Segment::oldest)
    }

    /// What the journal has to tell, in as few words as it can: whatever is not in a segment is settled. The files that
    /// wait to be used again have such records.
    pub(crate) fn settled(&self) -> Vec<Settled> {
        let (mut all, mut at) = (Vec::new(), 0);
        for segment in self.segments.values() {
            all.push(Settled { records: at..segment.header.first, bytes: 0 });
            // How the bytes are shared among the runs does not matter: they are only added up, by segment.
            let mut bytes = segment.settled_bytes();
            for records in segment.settled_runs() {
                all.push(Settled { records, bytes: std::mem::take(&mut bytes) });
            }
            at = segment.next;
        }
        all.retain(|settled| !settled.records.is_empty());
        // Even where it is empty: it tells the number of the next record.
        all.push(Settled { records: at..self.next, bytes: 0 });
        all
    }
}
