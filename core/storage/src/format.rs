//! What the bytes on the disk mean. Numbers are little-endian.
//!
//! ```text
//! DIRECTORY/lock                     locked by the process that uses the directory; holds its id
//! DIRECTORY/logs/NAME/000001.seg     a segment: preallocated, used again when all its records are settled
//! DIRECTORY/logs/NAME/settled        which records are settled
//! DIRECTORY/logs/NAME/quarantine/    what was damaged, as it was found
//! DIRECTORY/cells/NAME               a cell
//! ```
//!
//! A segment begins with a page: its header, once more at 2048, and at 1024 the seal, written when the last record is in
//! it. Then come frames: header, payload, zeros up to a multiple of 8. The frame after the last is 24 zeros.
//! Each use of a segment has a salt that seeds its checksums: frames of an earlier use, and bytes that a sender made look
//! like frames, are none. Records have numbers that only grow.

use std::hash::{BuildHasher as _, RandomState};

/// The format of all files. A newer one is refused.
pub(crate) const VERSION: u32 = 1;
/// Where the frames of a segment begin.
pub(crate) const PAGE: u64 = 4096;
/// Where the header and its copy are.
pub(crate) const HEADERS: [usize; 2] = [0, 2048];
/// Where the seal is.
pub(crate) const SEAL: usize = 1024;
/// Bytes of a frame's header.
pub(crate) const FRAME: usize = 24;
/// Payloads are no longer than this, whatever the quota.
pub(crate) const LONGEST: u64 = 1 << 31;

const SEGMENT_MAGIC: [u8; 8] = *b"SGSEGMNT";
const SEAL_MAGIC: [u8; 8] = *b"SGSEALED";

/// The beginning of every file: eight letters, the version, a checksum of both.
pub(crate) fn mark(magic: [u8; 8]) -> [u8; 16] {
    let mut mark = [0; 16];
    mark[..8].copy_from_slice(&magic);
    mark[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&mark[..12]);
    mark[12..].copy_from_slice(&crc.to_le_bytes());
    mark
}

/// The version that such a beginning tells; `None` when it is damaged or something else.
pub(crate) fn version(magic: [u8; 8], bytes: &[u8]) -> Option<u32> {
    let whole = bytes.get(..16)?;
    let intact = whole.starts_with(&magic) && u32_at(whole, 12)? == crc32c::crc32c(&whole[..12]);
    intact.then(|| u32_at(whole, 8)).flatten()
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The number of its first record.
    pub(crate) first: u64,
    /// The checksums' seed.
    pub(crate) salt: u32,
}

impl SegmentHeader {
    const LEN: usize = 32;

    /// For a new use of a segment.
    pub(crate) fn fresh(first: u64) -> Self {
        SegmentHeader { first, salt: RandomState::new().hash_one(first) as u32 | 1 }
    }

    /// The whole first page; whatever seal was in it is gone.
    pub(crate) fn page(self) -> Vec<u8> {
        let mut header = [0; Self::LEN];
        header[..16].copy_from_slice(&mark(SEGMENT_MAGIC));
        header[16..24].copy_from_slice(&self.first.to_le_bytes());
        header[24..28].copy_from_slice(&self.salt.to_le_bytes());
        let crc = crc32c::crc32c(&header[..28]);
        header[28..].copy_from_slice(&crc.to_le_bytes());
        let mut page = vec![0; PAGE as usize];
        for at in HEADERS {
            page[at..at + Self::LEN].copy_from_slice(&header);
        }
        page
    }

    /// From the first page: `Err` with the version of another format, `Ok(None)` when both copies are damaged.
    pub(crate) fn read(page: &[u8]) -> Result<Option<Self>, u32> {
        for header in HEADERS.iter().filter_map(|at| page.get(*at..*at + Self::LEN)) {
            match version(SEGMENT_MAGIC, header) {
                Some(VERSION) => {}
                Some(other) => return Err(other),
                None => continue,
            }
            if u32_at(header, 28) == Some(crc32c::crc32c(&header[..28]))
                && let (Some(first), Some(salt)) = (u64_at(header, 16), u32_at(header, 24))
            {
                return Ok(Some(SegmentHeader { first, salt }));
            }
        }
        Ok(None)
    }
}

/// What a complete segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    /// One more than the number of its last record.
    pub(crate) next: u64,
    /// Where its frames end.
    pub(crate) end: u64,
    /// When the first record came, seconds since the Unix epoch.
    pub(crate) since: u32,
}

impl Seal {
    pub(crate) const LEN: usize = 32;

    pub(crate) fn write(self, salt: u32) -> [u8; Self::LEN] {
        let mut seal = [0; Self::LEN];
        seal[..8].copy_from_slice(&SEAL_MAGIC);
        seal[8..16].copy_from_slice(&self.next.to_le_bytes());
        seal[16..24].copy_from_slice(&self.end.to_le_bytes());
        seal[24..28].copy_from_slice(&self.since.to_le_bytes());
        let crc = crc32c::crc32c_append(salt, &seal[..28]);
        seal[28..].copy_from_slice(&crc.to_le_bytes());
        seal
    }

    pub(crate) fn read(page: &[u8], salt: u32) -> Option<Self> {
        let seal = page.get(SEAL..SEAL + Self::LEN)?;
        let intact =
            seal.starts_with(&SEAL_MAGIC) && u32_at(seal, 28)? == crc32c::crc32c_append(salt, &seal[..28]);
        let read = Seal { next: u64_at(seal, 8)?, end: u64_at(seal, 16)?, since: u32_at(seal, 24)? };
        intact.then_some(read)
    }
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The record's number.
    pub(crate) seq: u64,
    /// Bytes of payload.
    pub(crate) len: u32,
    /// When it came, seconds since the Unix epoch (until 2106).
    pub(crate) at: u32,
    /// Checksum of the payload.
    pub(crate) crc: u32,
}

impl FrameHeader {
    pub(crate) fn write(self, salt: u32) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[4..12].copy_from_slice(&self.seq.to_le_bytes());
        frame[12..16].copy_from_slice(&self.len.to_le_bytes());
        frame[16..20].copy_from_slice(&self.at.to_le_bytes());
        frame[20..24].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32c::crc32c_append(salt, &frame[4..]);
        frame[..4].copy_from_slice(&crc.to_le_bytes());
        frame
    }

    /// `None` when these bytes are no header of this use of the segment. Record numbers begin at 1, so zeros are none.
    pub(crate) fn read(bytes: &[u8], salt: u32) -> Option<Self> {
        let frame = bytes.get(..FRAME)?;
        let seq = u64_at(frame, 4)?;
        if seq == 0 || u32_at(frame, 0)? != crc32c::crc32c_append(salt, &frame[4..]) {
            return None;
        }
        Some(FrameHeader { seq, len: u32_at(frame, 12)?, at: u32_at(frame, 16)?, crc: u32_at(frame, 20)? })
    }

    /// Bytes that the frame takes.
    pub(crate) fn framed(&self) -> u64 {
        framed(u64::from(self.len))
    }
}

/// Bytes that a payload takes with its header, in eights.
pub(crate) fn framed(payload: u64) -> u64 {
    (FRAME as u64 + payload).next_multiple_of(8)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}
