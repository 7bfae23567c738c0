//! Protobuf's wire format: reading one field at a time, writing tags and numbers.

use bytes::BufMut;

use crate::malformed::{Fault, What};

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const LEN: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
pub(crate) const FIXED32: u8 = 5;

/// How deep groups and values may nest: what other protobuf readers accept.
pub(crate) const MAX_DEPTH: usize = 100;

/// One field of a message, by offsets into the whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub number: u32,
    pub wire: u8,
    /// The first byte of the tag.
    pub start: usize,
    /// The first byte after tag and length.
    pub body: usize,
    /// The first byte after the field.
    pub end: usize,
    /// The number in it, when it is a varint or fixed.
    pub value: u64,
}

impl Field {
    pub(crate) fn mismatch(&self) -> Fault {
        Fault::new(self.start, What::Mismatch { field: self.number, wire: self.wire })
    }

    /// The fault of not having the wire type `wire`.
    #[inline]
    pub(crate) fn expect(&self, wire: u8) -> Result<(), Fault> {
        if self.wire == wire { Ok(()) } else { Err(self.mismatch()) }
    }

    #[inline]
    pub(crate) fn span(&self) -> Span {
        Span { at: self.body as u32, end: self.end as u32 }
    }
}

/// A range of a request that is read front to back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub at: u32,
    pub end: u32,
}

impl Span {
    #[inline(always)]
    pub(crate) fn next(&mut self, buf: &[u8]) -> Result<Option<Field>, Fault> {
        let mut pos = self.at as usize;
        let field = next_field(buf, &mut pos, self.end as usize)?;
        self.at = pos as u32;
        Ok(field)
    }

    /// Grows to hold a field that lies behind.
    #[inline]
    pub(crate) fn cover(&mut self, field: &Field) {
        if self.end == 0 {
            self.at = field.start as u32;
        }
        self.end = field.end as u32;
    }

    /// Everything before the span's end.
    pub(crate) fn upto<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        buf.get(..self.end as usize).unwrap_or(buf)
    }

    pub(crate) fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        buf.get(self.at as usize..self.end as usize).unwrap_or(&[])
    }
}

/// Reads the field at `pos` of the message that ends at `end`, and steps over it. Groups are stepped over whole.
#[inline(always)]
pub(crate) fn next_field(buf: &[u8], pos: &mut usize, end: usize) -> Result<Option<Field>, Fault> {
    let start = *pos;
    let buf = buf.get(..end).unwrap_or(buf);
    if start >= buf.len() {
        return Ok(None);
    }
    // A fault lies inside the message it is about, also when what is wrong is that the bytes have ended.
    read_field(buf, pos).map(Some).map_err(|fault| fault.not_beyond(buf.len() - 1))
}

#[inline(always)]
fn read_field(buf: &[u8], pos: &mut usize) -> Result<Field, Fault> {
    let start = *pos;
    let (number, wire) = tag(buf, pos)?;
    let mut field = Field { number, wire, start, body: *pos, end: *pos, value: 0 };
    match wire {
        LEN => {
            let at = *pos;
            let len = varint(buf, pos)?;
            field.body = *pos;
            if len > (buf.len() - *pos) as u64 {
                return Err(Fault::new(at, What::Overrun(len)));
            }
            *pos += len as usize;
        }
        VARINT => field.value = varint(buf, pos)?,
        FIXED64 => field.value = u64::from_le_bytes(fixed(buf, pos)?),
        FIXED32 => field.value = u64::from(u32::from_le_bytes(fixed(buf, pos)?)),
        GROUP_START => skip_group(buf, pos, number)?,
        GROUP_END => return Err(Fault::new(start, What::Group)),
        other => return Err(Fault::new(start, What::WireType(other))),
    }
    field.end = *pos;
    Ok(field)
}

#[inline(always)]
fn tag(buf: &[u8], pos: &mut usize) -> Result<(u32, u8), Fault> {
    let start = *pos;
    let key = varint(buf, pos)?;
    if key < 8 || key > u64::from(u32::MAX) {
        return Err(Fault::new(start, What::FieldNumber));
    }
    Ok(((key >> 3) as u32, (key & 7) as u8))
}

/// Reads one number of a packed field.
pub(crate) fn number(buf: &[u8], pos: &mut usize, wire: u8) -> Result<u64, Fault> {
    match wire {
        VARINT => varint(buf, pos),
        FIXED32 => Ok(u64::from(u32::from_le_bytes(fixed(buf, pos)?))),
        _ => Ok(u64::from_le_bytes(fixed(buf, pos)?)),
    }
}

/// Reads the varint at `pos`.
#[inline(always)]
pub(crate) fn varint(buf: &[u8], pos: &mut usize) -> Result<u64, Fault> {
    // One byte or two: nearly every tag and length.
    match buf.get(*pos..) {
        Some([low, ..]) if *low < 0x80 => {
            *pos += 1;
            Ok(u64::from(*low))
        }
        Some([low, high, ..]) if *high < 0x80 => {
            *pos += 2;
            Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
        }
        _ => long_varint(buf, pos),
    }
}

fn long_varint(buf: &[u8], pos: &mut usize) -> Result<u64, Fault> {
    let start = *pos;
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let Some(&byte) = buf.get(*pos) else {
            return Err(Fault::new(start, What::Cut));
        };
        *pos += 1;
        // The tenth byte has room for one bit only.
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Fault::new(start, What::LongVarint))
}

#[inline]
fn fixed<const N: usize>(buf: &[u8], pos: &mut usize) -> Result<[u8; N], Fault> {
    let bytes = buf.get(*pos..).and_then(|rest| rest.first_chunk::<N>());
    let bytes = bytes.ok_or_else(|| Fault::new(*pos, What::Cut))?;
    *pos += N;
    Ok(*bytes)
}

/// Steps over a group's inside and its end. A loop with a bounded stack: depth comes from outside.
#[cold]
fn skip_group(buf: &[u8], pos: &mut usize, number: u32) -> Result<(), Fault> {
    let mut open = vec![number];
    while let Some(&innermost) = open.last() {
        let start = *pos;
        if start >= buf.len() {
            return Err(Fault::new(start, What::Group));
        }
        let (number, wire) = tag(buf, pos)?;
        match wire {
            GROUP_START if open.len() >= MAX_DEPTH => return Err(Fault::new(start, What::Depth)),
            GROUP_START => open.push(number),
            GROUP_END if number == innermost => drop(open.pop()),
            GROUP_END => return Err(Fault::new(start, What::Group)),
            _ => {
                *pos = start;
                next_field(buf, pos, buf.len())?;
            }
        }
    }
    Ok(())
}

/// How many bytes `value` takes as a varint.
pub(crate) fn varint_len(value: u64) -> usize {
    ((63 - (value | 1).leading_zeros() as usize) * 9 + 73) / 64
}

pub(crate) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

pub(crate) fn put_tag(out: &mut impl BufMut, number: u32, wire: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire));
}

pub(crate) fn put_len(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, LEN);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, VARINT);
    put_varint(out, value);
}

pub(crate) fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_tag(out, number, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Starts a nested message; [`close`] with what this returns ends it.
pub(crate) fn open(out: &mut Vec<u8>, number: u32) -> usize {
    put_tag(out, number, LEN);
    out.push(0);
    out.len()
}

/// Ends the nested message whose inside began at `start`: writes its length before it, moving the inside up when
/// one byte is not enough.
pub(crate) fn close(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if let (Ok(short), Some(place)) = (u8::try_from(len), out.get_mut(start - 1))
        && short < 0x80
    {
        *place = short;
        return;
    }
    let extra = varint_len(len as u64) - 1;
    out.resize(start + len + extra, 0);
    out.copy_within(start..start + len, start + extra);
    let mut rest = len;
    for place in &mut out[start - 1..start + extra] {
        *place = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[start + extra - 1] &= 0x7f;
}

pub(crate) fn zigzag(value: i32) -> u64 {
    u64::from((value << 1 ^ value >> 31) as u32)
}

pub(crate) fn unzigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
