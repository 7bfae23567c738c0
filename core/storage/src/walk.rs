//! From frame to frame through a segment, past whatever is damaged.

use std::ops::Range;

use bytes::Bytes;

use crate::disk;
use crate::error::StorageError;
use crate::format::{FRAME, FrameHeader, PAGE};
use crate::segment::Slot;

/// Bytes read at once, unless a record is larger.
pub(crate) const CHUNK: u64 = 1 << 20;

/// What is at a place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A record, intact.
    Record {
        header: FrameHeader,
        payload: Bytes,
    },
    /// Bytes that should be records and are not; the records that were in them.
    Damaged {
        at: u64,
        len: u64,
        lost: Range<u64>,
    },
    /// The last write was not finished: no intact frame follows. Only where the end is not known.
    Torn {
        at: u64,
        len: u64,
    },
    End,
}

/// A place in a segment.
pub(crate) struct Walk {
    slot: Slot,
    salt: u32,
    at: u64,
    /// The number that the next record should have.
    pub(crate) expected: u64,
    /// Where the frames end, and the number after the last: known of what was written by this process or is sealed.
    known: Option<(u64, u64)>,
    chunk: Bytes,
    chunk_at: u64,
}

impl Walk {
    /// From the first frame on. Without a known end it goes on as long as there are intact frames.
    pub(crate) fn new(slot: Slot, salt: u32, first: u64, known: Option<(u64, u64)>) -> Self {
        Walk { slot, salt, at: PAGE, expected: first, known, chunk: Bytes::new(), chunk_at: 0 }
    }

    /// More was written.
    pub(crate) fn extend(&mut self, end: u64, next: u64) {
        self.known = Some((end, next));
    }

    /// Where it stands.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn step(&mut self) -> Result<Step, StorageError> {
        if let Some(header) = self.frame(self.at)? {
            if header.seq > self.expected {
                let lost = self.expected..header.seq;
                self.expected = header.seq;
                return Ok(Step::Damaged { at: self.at, len: 0, lost });
            }
            return self.record(header);
        }
        let (at, limit) = (self.at, self.limit());
        if let Some((found, header)) = self.find(at + 8)? {
            let lost = self.expected..header.seq;
            (self.at, self.expected) = (found, header.seq);
            return Ok(Step::Damaged { at, len: found - at, lost });
        }
        let is_torn = self.known.is_none() && self.peek(at, FRAME)?.iter().any(|byte| *byte != 0);
        match self.known {
            Some((_, next)) if at < limit || self.expected < next => {
                let lost = self.expected..next;
                (self.at, self.expected) = (limit, next);
                Ok(Step::Damaged { at, len: limit - at, lost })
            }
            None if is_torn => {
                let len = self.zeros(at)? - at;
                Ok(Step::Torn { at, len })
            }
            _ => Ok(Step::End),
        }
    }

    fn record(&mut self, header: FrameHeader) -> Result<Step, StorageError> {
        let (at, len) = (self.at, header.framed());
        let frame = self.peek(at, FRAME + header.len as usize)?;
        let payload = frame.slice(FRAME..);
        if crc32c::crc32c_append(self.salt, &payload) == header.crc {
            (self.at, self.expected) = (at + len, header.seq + 1);
            return Ok(Step::Record { header, payload });
        }
        if self.known.is_none() && self.find_after(header.seq, at + len)?.is_none() {
            return Ok(Step::Torn { at, len });
        }
        (self.at, self.expected) = (at + len, header.seq + 1);
        Ok(Step::Damaged { at, len, lost: header.seq..header.seq + 1 })
    }

    fn find(&mut self, from: u64) -> Result<Option<(u64, FrameHeader)>, StorageError> {
        self.find_after(self.expected.saturating_sub(1), from)
    }

    /// The next intact header of a record after `seq`.
    fn find_after(&mut self, seq: u64, from: u64) -> Result<Option<(u64, FrameHeader)>, StorageError> {
        let mut at = from;
        while at + FRAME as u64 <= self.limit() {
            if let Some(header) = self.frame(at)?.filter(|header| header.seq > seq) {
                return Ok(Some((at, header)));
            }
            at += 8;
        }
        Ok(None)
    }

    /// The header at a place, if a record can begin there.
    fn frame(&mut self, at: u64) -> Result<Option<FrameHeader>, StorageError> {
        let (salt, expected, limit) = (self.salt, self.expected, self.limit());
        let next = self.known.map_or(u64::MAX, |(_, next)| next);
        let bytes = self.peek(at, FRAME)?;
        let header = FrameHeader::read(&bytes, salt);
        Ok(header.filter(|h| (expected..next).contains(&h.seq) && at + h.framed() <= limit))
    }

    /// Where the first empty frame begins.
    fn zeros(&mut self, from: u64) -> Result<u64, StorageError> {
        let mut at = from;
        while at + FRAME as u64 <= self.limit() {
            if self.peek(at, FRAME)?.iter().all(|byte| *byte == 0) {
                return Ok(at);
            }
            at += 8;
        }
        Ok(self.limit())
    }

    fn limit(&self) -> u64 {
        self.known.map_or(self.slot.capacity, |(end, _)| end.min(self.slot.capacity))
    }

    /// Bytes from a place on; fewer at the end. Slices of one chunk as long as that has them.
    fn peek(&mut self, at: u64, len: usize) -> Result<Bytes, StorageError> {
        let len = (len as u64).min(self.limit().saturating_sub(at));
        let inside = at >= self.chunk_at && at + len <= self.chunk_at + self.chunk.len() as u64;
        if !inside {
            let size = len.max(CHUNK).min(self.limit().saturating_sub(at));
            let mut chunk = vec![0; size as usize];
            let read = disk::read(&self.slot.path, &self.slot.file, &mut chunk, at)?;
            chunk.truncate(read);
            (self.chunk, self.chunk_at) = (chunk.into(), at);
        }
        let start = ((at - self.chunk_at) as usize).min(self.chunk.len());
        let end = (start + len as usize).min(self.chunk.len());
        Ok(self.chunk.slice(start..end))
    }
}
