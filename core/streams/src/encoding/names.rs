//! The names of attributes: those that we add, and fields whose name cannot be one.
//!
//! An attribute's name is UTF-8, a field's is any bytes. A field whose name is not UTF-8, or is one of ours, becomes an
//! attribute under [`ESCAPED`] and its name in hex, and that one a field again.

use std::borrow::Cow;

/// Resource attribute: the stream that entries were read from.
pub const STREAM: &str = "redis.stream.name";
/// Resource attribute: the consumer group that they were read by.
pub const GROUP: &str = "redis.stream.group";
/// Attribute: an entry's id. With the stream it names the event, however often it is delivered.
pub const ENTRY_ID: &str = "redis.stream.entry_id";
/// Attribute: how often the entry was delivered, when it was more than once.
pub const DELIVERIES: &str = "redis.stream.deliveries";
/// Attribute: how many fields stand before the body, when it is not the first.
pub const BODY_POSITION: &str = "redis.stream.body_position";
/// What stands before the hex of a name that no attribute can have.
pub(super) const ESCAPED: &str = "redis.stream.field.hex.";

const COMMON: &[u8] = b"redis.stream.";

/// Whether an attribute says where an entry was, and is no field of it.
pub(super) fn is_ours(name: &str) -> bool {
    name.as_bytes().starts_with(COMMON)
        && [STREAM, GROUP, ENTRY_ID, DELIVERIES, BODY_POSITION].contains(&name)
}

/// The attribute of a field.
#[inline]
pub(super) fn attribute(field: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(field) {
        Ok(name) if !field.starts_with(COMMON) => Cow::Borrowed(name),
        Ok(name) if !is_ours(name) && !name.starts_with(ESCAPED) => Cow::Borrowed(name),
        _ => Cow::Owned(escaped(field)),
    }
}

#[cold]
fn escaped(field: &[u8]) -> String {
    let mut name = ESCAPED.to_owned();
    for byte in field {
        for digit in [byte >> 4, byte & 15] {
            name.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    name
}

/// The field of an attribute.
#[inline]
pub(super) fn field(attribute: &str) -> Cow<'_, [u8]> {
    let hex = attribute.strip_prefix(ESCAPED).and_then(bytes);
    hex.map_or(Cow::Borrowed(attribute.as_bytes()), Cow::Owned)
}

#[cold]
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| (!byte.is_ascii_uppercase()).then(|| char::from(byte).to_digit(16)).flatten();
    let bytes = pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8));
    bytes.collect()
}
