//! A segment whose first page is damaged still tells what it is: by its first records.

use crate::disk;
use crate::error::StorageError;
use crate::format::{FRAME, FrameHeader, PAGE, SegmentHeader, u32_at};
use crate::segment::Slot;
use crate::walk::CHUNK;

/// No record has a number as large: what looks like one is no frame.
const NUMBERS: u64 = 1 << 48;

/// The header under which the first intact record near the beginning was written: no other seed makes its checksum, and
/// that of its payload is the proof. Where something stood before that record, it was one record at the least.
pub(crate) fn header(slot: &Slot) -> Result<Option<SegmentHeader>, StorageError> {
    let mut beginning = vec![0; slot.capacity.saturating_sub(PAGE).min(CHUNK) as usize];
    let read = disk::read(&slot.path, &slot.file, &mut beginning, PAGE)?;
    beginning.truncate(read);
    for at in (0..beginning.len()).step_by(8) {
        let Some(frame) = beginning.get(at..at + FRAME) else { break };
        let salt = u32_at(frame, 0).map_or(0, |crc| seed(crc, &frame[4..]));
        let Some(record) = FrameHeader::read(frame, salt).filter(|record| record.seq < NUMBERS) else {
            continue;
        };
        if is_intact(slot, PAGE + at as u64, record, salt)? {
            let first = if at == 0 { record.seq } else { (record.seq - 1).max(1) };
            return Ok(Some(SegmentHeader { first, salt }));
        }
    }
    Ok(None)
}

fn is_intact(slot: &Slot, at: u64, record: FrameHeader, salt: u32) -> Result<bool, StorageError> {
    if at + record.framed() > slot.capacity {
        return Ok(false);
    }
    let mut payload = vec![0; record.len as usize];
    let read = disk::read(&slot.path, &slot.file, &mut payload, at + FRAME as u64)?;
    Ok(read == payload.len() && crc32c::crc32c_append(salt, &payload) == record.crc)
}

/// Whether no record was ever written to it, as far as its beginning tells.
pub(crate) fn is_unused(slot: &Slot) -> Result<bool, StorageError> {
    let mut beginning = vec![0; slot.capacity.min(CHUNK) as usize];
    disk::read(&slot.path, &slot.file, &mut beginning, 0)?;
    Ok(beginning.iter().all(|byte| *byte == 0))
}

/// The seed with which `bytes` have this CRC32C: the calculation, backwards.
fn seed(crc: u32, bytes: &[u8]) -> u32 {
    let mut state = !crc;
    for byte in bytes.iter().rev() {
        let mut shifted = state;
        for _ in 0..8 {
            // The polynomial's highest bit is set: it tells whether it was added in this step.
            shifted = if shifted >> 31 == 1 { (shifted ^ POLYNOMIAL) << 1 | 1 } else { shifted << 1 };
        }
        state = shifted ^ u32::from(*byte);
    }
    !state
}

/// Castagnoli's, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_of_a_checksum_is_found_from_its_bytes() {
        for (seed_was, bytes) in [(1, &b"a"[..]), (0xdead_beef, b"streams"), (u32::MAX, &[0; 20])] {
            assert_eq!(seed(crc32c::crc32c_append(seed_was, bytes), bytes), seed_was);
        }
    }
}
