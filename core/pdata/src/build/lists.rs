//! Attributes that are encoded once for many points.

use super::points::NumberPoint;
use super::{AttributeList, Metric, ToValue, put_pair};
use crate::view::{NO_RECORDED_VALUE, Number};
use crate::wire;

/// The field of a number point's attributes.
const ATTRIBUTES: u32 = 7;

/// Lists of attributes in their encoded form, one behind the other.
#[derive(Debug, Default)]
pub struct AttributeLists {
    buf: Vec<u8>,
    ends: Vec<u32>,
}

impl AttributeLists {
    /// Encodes a list, and tells its number.
    pub fn add<'a, V: ToValue>(&mut self, pairs: impl IntoIterator<Item = (&'a str, V)>) -> u32 {
        for (key, value) in pairs {
            put_pair(&mut self.buf, ATTRIBUTES, key, &value);
        }
        self.ends.push(self.buf.len() as u32);
        (self.ends.len() - 1) as u32
    }

    /// The list with this number; an empty one where there is none.
    pub fn get(&self, number: u32) -> EncodedList<'_> {
        let number = number as usize;
        let start =
            number.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end as usize);
        let end = self.ends.get(number).map_or(start, |end| *end as usize);
        EncodedList(self.buf.get(start..end).unwrap_or_default())
    }

    /// Forgets all lists and keeps the room.
    pub fn clear(&mut self) {
        self.buf.clear();
        self.ends.clear();
    }
}

/// One of [`AttributeLists`].
#[derive(Clone, Copy, Debug)]
pub struct EncodedList<'a>(&'a [u8]);

impl AttributeList for EncodedList<'_> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        if number == ATTRIBUTES {
            return out.extend_from_slice(self.0);
        }
        let mut at = 0;
        while let Ok(Some(pair)) = wire::next_field(self.0, &mut at, self.0.len()) {
            wire::put_len(out, number, pair.span().of(self.0));
        }
    }
}

impl Metric<'_, NumberPoint<'static>> {
    /// Writes a whole point in one step. Times are in nanoseconds since 1970: when it was taken, and what a cumulative
    /// value counts from. Without a value the series ends here.
    pub fn write(
        &mut self,
        time: u64,
        start: Option<u64>,
        attributes: EncodedList<'_>,
        value: Option<Number>,
    ) {
        const FIXED: usize = 9;
        let flags = if value.is_none() { 2 } else { 0 };
        let numbers = 1 + usize::from(start.is_some()) + usize::from(value.is_some());
        let out = self.item_of(FIXED * numbers + flags + attributes.0.len());
        if let Some(start) = start {
            wire::put_fixed64(out, 2, start);
        }
        wire::put_fixed64(out, 3, time);
        out.extend_from_slice(attributes.0);
        match value {
            Some(Number::Int(value)) => wire::put_fixed64(out, 6, value as u64),
            Some(Number::Double(value)) => wire::put_fixed64(out, 4, value.to_bits()),
            None => wire::put_uint(out, 8, u64::from(NO_RECORDED_VALUE)),
        }
    }
}
