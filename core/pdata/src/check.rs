//! The door: every border down to the records, and the count of items.

use std::fmt::Write;

use crate::MAX_REQUEST_BYTES;
use crate::malformed::{Fault, Malformed, What};
use crate::signal::{Level, Signal};
use crate::wire::{self, Field};

/// Walks a request down to the borders of its items and counts them. What is inside an item is not looked at.
///
/// # Errors
/// The first fault, with its offset and place.
pub fn check(signal: Signal, request: &[u8]) -> Result<usize, Malformed> {
    if request.len() > MAX_REQUEST_BYTES {
        let fault = Fault::new(MAX_REQUEST_BYTES, What::TooLarge);
        return Err(fault.within("the request"));
    }
    items(signal.request(), request, 0, request.len()).map_err(|fault| locate(signal, request, fault))
}

/// How many items a request has, as far as it can be read: for requests that have passed [`check`].
pub fn count(signal: Signal, request: &[u8]) -> usize {
    check(signal, request).unwrap_or(0)
}

/// Counts the items of the message `pos..end` of level `level`.
pub(crate) fn items(level: &'static Level, buf: &[u8], mut pos: usize, end: usize) -> Result<usize, Fault> {
    let mut total = 0;
    let mut kind = 0;
    if let Some(tag) = level.item_tag() {
        total += neighbours(buf, &mut pos, end, tag);
    }
    while let Some(field) = wire::next_field(buf, &mut pos, end)? {
        if !is_child(level, &field)? {
            continue;
        }
        if level.is_oneof() && kind != field.number {
            (kind, total) = (field.number, 0);
        }
        total += match level.below(field.number) {
            None => 1 + level.item_tag().map_or(0, |tag| neighbours(buf, &mut pos, end, tag)),
            Some(below) => items(below, buf, field.body, field.end)?,
        };
    }
    Ok(total)
}

/// Whether the message `pos..end` of level `level` has items: looks no further than it must.
pub(crate) fn has_items(
    level: &'static Level,
    buf: &[u8],
    mut pos: usize,
    end: usize,
) -> Result<bool, Fault> {
    if level.is_oneof() {
        return Ok(items(level, buf, pos, end)? > 0); // the last kind is all that counts
    }
    while let Some(field) = wire::next_field(buf, &mut pos, end)? {
        let found = is_child(level, &field)?
            && match level.below(field.number) {
                None => true,
                Some(below) => has_items(below, buf, field.body, field.end)?,
            };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Steps over items that stand side by side, and counts them: those with the tag `tag` and a length of one or two bytes,
/// as nearly all have it. Ends before anything else, also before what is wrong.
#[inline]
fn neighbours(buf: &[u8], pos: &mut usize, end: usize, tag: u8) -> usize {
    let mut count = 0;
    while let Some([first, low, high]) = buf.get(*pos..end).and_then(<[u8]>::first_chunk) {
        let (head, len) = match (*first == tag, *low < 0x80, *high < 0x80) {
            (true, true, _) => (2, usize::from(*low)),
            (true, false, true) => (3, usize::from(*low & 0x7f) | usize::from(*high) << 7),
            _ => break,
        };
        if *pos + head + len > end {
            break;
        }
        *pos += head + len;
        count += 1;
    }
    count
}

/// Whether a field holds what is one level below. A known field must have its own wire type.
#[inline]
pub(crate) fn is_child(level: &Level, field: &Field) -> Result<bool, Fault> {
    if field.number > 63 {
        return Ok(false);
    }
    let bit = 1u64 << field.number;
    let right = match field.wire {
        wire::LEN => bit & level.varint == 0,
        wire::VARINT => bit & level.len == 0,
        _ => bit & (level.len | level.varint) == 0,
    };
    if right { Ok(bit & level.children != 0) } else { Err(field.mismatch()) }
}

/// Says in words where a fault is. Walks again, so that the walk that finds no fault need not count.
#[cold]
pub(crate) fn locate(signal: Signal, buf: &[u8], fault: Fault) -> Malformed {
    let mut place = String::from("the request");
    let mut level = signal.request();
    let (mut pos, mut end) = (0, buf.len());
    let mut index = 0;
    // Ends at the fault at the latest: the walk before came just as far.
    while let Ok(Some(field)) = wire::next_field(buf, &mut pos, end) {
        if !matches!(is_child(level, &field), Ok(true)) {
            continue;
        }
        if (field.body..field.end).contains(&fault.offset()) {
            match std::ptr::eq(level, signal.request()) {
                true => place.clear(),
                false => place.push('.'),
            }
            place.push_str(level.child_name);
            // Writing to a String cannot fail.
            let _ = if level.is_oneof() { Ok(()) } else { write!(place, "[{index}]") };
            let Some(below) = level.below(field.number) else { break };
            (level, pos, end, index) = (below, field.body, field.end, 0);
            continue;
        }
        index += 1;
    }
    fault.within(place)
}
