//! A segment whose first page is damaged still tells what it is: by its first record.

use crate::disk;
use crate::error::StorageError;
use crate::format::{FRAME, FrameHeader, PAGE, SegmentHeader, u32_at};
use crate::segment::Slot;
use crate::walk::CHUNK;

/// The header under which the first record was written: no other seed makes its checksum, and that of its payload is the
/// proof. `None` when there is no such record, or it is damaged as well.
pub(crate) fn header(slot: &Slot) -> Result<Option<SegmentHeader>, StorageError> {
    let mut frame = [0; FRAME];
    let read = disk::read(&slot.path, &slot.file, &mut frame, PAGE)?;
    let salt = u32_at(&frame, 0).map_or(0, |crc| seed(crc, &frame[4..]));
    let first = FrameHeader::read(&frame, salt).filter(|first| PAGE + first.framed() <= slot.capacity);
    let Some(first) = first.filter(|_| read == FRAME) else { return Ok(None) };
    let mut payload = vec![0; first.len as usize];
    let read = disk::read(&slot.path, &slot.file, &mut payload, PAGE + FRAME as u64)?;
    let intact = read == payload.len() && crc32c::crc32c_append(salt, &payload) == first.crc;
    Ok(intact.then_some(SegmentHeader { first: first.seq, salt }))
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
