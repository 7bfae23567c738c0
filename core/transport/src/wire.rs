//! The few lines of protobuf that answers need. Telemetry itself is walked by `core/pdata`.

/// A field of a message: its number and its value.
pub(crate) struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
}

/// A field's value. Fixed-width fields are skipped by every reader here.
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Value<'a> {
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An `int32` or `int64`: negative numbers are ten-byte varints.
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Varint(value) => Some(*value as i64),
            _ => None,
        }
    }
}

/// Walks the fields of a message. A malformed rest ends the walk: these messages only inform.
pub(crate) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut rest)?),
            1 => take(&mut rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let len = varint(&mut rest)?;
                Value::Bytes(take(&mut rest, usize::try_from(len).ok()?)?)
            }
            5 => take(&mut rest, 4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some(Field { number: key >> 3, value })
    })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes an integer field; zero is the default and is left out.
pub(crate) fn put_int(out: &mut Vec<u8>, number: u64, value: i64) {
    if value != 0 {
        put_varint(out, number << 3);
        put_varint(out, value as u64);
    }
}

/// Writes a string, bytes or message field.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}
