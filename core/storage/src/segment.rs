//! One file of records, as the state knows it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::bits::Bits;
use crate::format::{PAGE, SegmentHeader};

/// A file of a log and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) path: Arc<Path>,
    pub(crate) file: Arc<File>,
    /// Bytes of the file.
    pub(crate) capacity: u64,
}

/// One use of a slot.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) slot: Slot,
    pub(crate) header: SegmentHeader,
    /// One more than the number of the last durable record.
    pub(crate) next: u64,
    /// Where the durable frames end.
    pub(crate) end: u64,
    /// When its first record came, seconds since the Unix epoch.
    pub(crate) since: u32,
    /// Nothing more is written to it.
    pub(crate) sealed: bool,
    /// Records that are not settled.
    pub(crate) left: u64,
    /// Bytes of their frames.
    pub(crate) bytes: u64,
    settled: Bits,
}

impl Segment {
    /// A use without records.
    pub(crate) fn empty(slot: Slot, header: SegmentHeader, since: u32) -> Self {
        let first = header.first;
        let settled = Bits::default();
        Segment { slot, header, next: first, end: PAGE, since, sealed: false, left: 0, bytes: 0, settled }
    }

    /// More durable records.
    pub(crate) fn grow(&mut self, next: u64, end: u64) {
        self.left += next - self.next;
        self.bytes += end - self.end;
        (self.next, self.end) = (next, end);
    }

    /// Settles one of its records; whether it was not before. `bytes` is the size of its frame.
    pub(crate) fn settle(&mut self, seq: u64, bytes: u64) -> bool {
        let held = (self.header.first..self.next).contains(&seq);
        let new = held && self.settled.set(seq - self.header.first);
        if new {
            self.left -= 1;
            // Of what was damaged nobody knows the size.
            self.bytes = if self.left == 0 { 0 } else { self.bytes.saturating_sub(bytes) };
        }
        new
    }

    pub(crate) fn is_settled(&self, seq: u64) -> bool {
        seq < self.header.first || self.settled.has(seq - self.header.first)
    }

    /// The oldest record that is not settled.
    pub(crate) fn oldest(&self) -> Option<u64> {
        (self.left > 0).then(|| self.header.first + self.settled.first_clear())
    }

    /// Runs of settled records.
    pub(crate) fn settled_runs(&self) -> impl Iterator<Item = std::ops::Range<u64>> {
        let first = self.header.first;
        self.settled.runs().into_iter().map(move |run| first + run.start..first + run.end)
    }

    /// Bytes of the frames of settled records.
    pub(crate) fn settled_bytes(&self) -> u64 {
        (self.end - PAGE).saturating_sub(self.bytes)
    }
}
