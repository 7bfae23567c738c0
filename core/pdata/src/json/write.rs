//! From bytes to text.

use std::io::Write as _;

use super::fields::{self, Field, Kind, MAX_NUMBER, Message, Rule};
use super::{escape, text};
use crate::check::items;
use crate::malformed::{Fault, Malformed, What};
use crate::signal::{Level, Signal};
use crate::wire::{self, MAX_DEPTH};

/// A request as OTLP/JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The text, UTF-8.
    pub json: Vec<u8>,
    /// Items that are not in it, because their bytes could not be read.
    pub broken: usize,
}

/// The OTLP/JSON of an `Export*ServiceRequest`. Unknown fields and defaults are left out; so are records, points,
/// scopes and resources that are broken inside: JSON cannot carry what cannot be read.
///
/// # Errors
/// When the request's own fields are malformed.
pub fn write(signal: Signal, request: &[u8]) -> Result<Written, Malformed> {
    if request.len() > crate::MAX_REQUEST_BYTES {
        return Err(Fault::new(crate::MAX_REQUEST_BYTES, What::TooLarge).within("the request"));
    }
    let mut writer = Writer { out: Vec::with_capacity(request.len() * 2), broken: 0 };
    let whole = Place { buf: request, at: 0, end: request.len() };
    let written = writer.message(whole, fields::request(signal), Some(signal.request()), 0);
    written.map_err(|fault| fault.within("the request"))?;
    Ok(Written { json: writer.out, broken: writer.broken })
}

/// A message's bytes.
#[derive(Clone, Copy)]
struct Place<'a> {
    buf: &'a [u8],
    at: usize,
    end: usize,
}

/// Where the occurrences of a field are: the first's start, the last's start and end.
#[derive(Clone, Copy, Default)]
struct Slot {
    first: u32,
    last: u32,
    end: u32,
    count: u32,
}

struct Writer {
    out: Vec<u8>,
    broken: usize,
}

impl Writer {
    fn message(
        &mut self,
        place: Place<'_>,
        message: &'static Message,
        level: Option<&'static Level>,
        depth: usize,
    ) -> Result<(), Fault> {
        let slots = survey(place, message)?;
        self.out.push(b'{');
        let mut first = true;
        for field in message.fields {
            let Some(slot) = slots.get(field.number as usize).filter(|slot| slot.count > 0) else { continue };
            let mark = self.out.len();
            if !first {
                self.out.push(b',');
            }
            self.out.push(b'"');
            self.out.extend_from_slice(field.name.as_bytes());
            self.out.extend_from_slice(b"\":");
            let level = level.filter(|level| level.children & 1 << field.number != 0);
            let written = match field.rule {
                Rule::Repeated => self.list(place, *slot, field, level, depth)?,
                _ => self.single(place, *slot, field, level, depth)?,
            };
            if written {
                first = false;
            } else {
                self.out.truncate(mark);
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Writes a singular field; `false` when it has its default and that says nothing.
    fn single(
        &mut self,
        place: Place<'_>,
        slot: Slot,
        field: &Field,
        level: Option<&'static Level>,
        depth: usize,
    ) -> Result<bool, Fault> {
        if let Kind::Message(message) = field.kind {
            let below = level.and_then(|level| level.below(field.number));
            self.merged(place, slot, field, message, below, depth)?;
            return Ok(true);
        }
        let mut pos = slot.last as usize;
        let Some(found) = wire::next_field(place.buf, &mut pos, slot.end as usize)? else { return Ok(false) };
        found.expect(field.kind.wire())?;
        let bytes = found.span().of(place.buf);
        let default = if found.wire == wire::LEN { bytes.is_empty() } else { found.value == 0 };
        if default && field.rule == Rule::Plain {
            return Ok(false);
        }
        if found.wire == wire::LEN {
            self.text(field.kind, bytes, found.body)?;
        } else {
            self.scalar(field.kind, found.value);
        }
        Ok(true)
    }

    /// Writes a singular message. Protobuf merges the parts of one that comes in several: the merger of messages is
    /// what their bytes in a row say.
    fn merged(
        &mut self,
        place: Place<'_>,
        slot: Slot,
        field: &Field,
        message: &'static Message,
        level: Option<&'static Level>,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut pos = slot.first as usize;
        let mut bodies = Vec::new();
        while let Some(found) = wire::next_field(place.buf, &mut pos, slot.end as usize)? {
            if found.number != field.number {
                continue;
            }
            found.expect(wire::LEN)?;
            if slot.count == 1 {
                let place = Place { at: found.body, end: found.end, ..place };
                return self.deeper(place, message, level, depth);
            }
            bodies.extend_from_slice(found.span().of(place.buf));
        }
        self.deeper(Place { buf: &bodies, at: 0, end: bodies.len() }, message, level, depth)
    }

    fn deeper(
        &mut self,
        place: Place<'_>,
        message: &'static Message,
        level: Option<&'static Level>,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(Fault::new(place.at, What::Depth));
        }
        self.message(place, message, level, depth + 1)
    }

    /// Writes a repeated field; `false` when there is nothing in it.
    fn list(
        &mut self,
        place: Place<'_>,
        slot: Slot,
        field: &Field,
        level: Option<&'static Level>,
        depth: usize,
    ) -> Result<bool, Fault> {
        let before = self.out.len();
        let mut pos = slot.first as usize;
        while let Some(found) = wire::next_field(place.buf, &mut pos, slot.end as usize)? {
            if found.number != field.number {
                continue;
            }
            if let Kind::Message(message) = field.kind {
                found.expect(wire::LEN)?;
                let (mark, broken) = (self.out.len(), self.broken);
                self.out.push(b',');
                let inside = Place { at: found.body, end: found.end, ..place };
                let below = level.and_then(|level| level.below(field.number));
                match (self.deeper(inside, message, below, depth), level) {
                    (Ok(()), _) => {}
                    (Err(fault), None) => return Err(fault),
                    // What is broken costs itself, not its neighbours.
                    (Err(_), Some(_)) => {
                        self.out.truncate(mark);
                        let lost =
                            below.map_or(Ok(1), |below| items(below, place.buf, found.body, found.end));
                        self.broken = broken + lost.unwrap_or(0);
                    }
                }
            } else if field.kind.wire() == wire::LEN {
                found.expect(wire::LEN)?;
                self.out.push(b',');
                self.text(field.kind, found.span().of(place.buf), found.body)?;
            } else if found.wire == wire::LEN {
                let (mut at, packed) = (found.body, found.span().upto(place.buf));
                while at < found.end {
                    let value = wire::number(packed, &mut at, field.kind.wire())?;
                    self.out.push(b',');
                    self.scalar(field.kind, value);
                }
            } else {
                found.expect(field.kind.wire())?;
                self.out.push(b',');
                self.scalar(field.kind, found.value);
            }
        }
        // Every element has a comma before it; the first one's is the bracket.
        let Some(comma) = self.out.get_mut(before) else { return Ok(false) };
        *comma = b'[';
        self.out.push(b']');
        Ok(true)
    }

    fn text(&mut self, kind: Kind, bytes: &[u8], at: usize) -> Result<(), Fault> {
        if let Kind::String = kind {
            let text = std::str::from_utf8(bytes)
                .map_err(|error| Fault::new(at + error.valid_up_to(), What::Utf8))?;
            escape::quote(text, &mut self.out);
            return Ok(());
        }
        self.out.push(b'"');
        match kind {
            Kind::Id(_) => text::hex(bytes, &mut self.out),
            _ => text::base64(bytes, &mut self.out),
        }
        self.out.push(b'"');
        Ok(())
    }

    fn scalar(&mut self, kind: Kind, value: u64) {
        let out = &mut self.out;
        // Writing to a Vec cannot fail.
        let _ = match kind {
            Kind::Bool => write!(out, "{}", value != 0),
            Kind::Int32 | Kind::Enum(_) => write!(out, "{}", value as i32),
            Kind::Sint32 => write!(out, "{}", wire::unzigzag(value)),
            Kind::Uint32 | Kind::Fixed32 => write!(out, "{}", value as u32),
            Kind::Int64 | Kind::Sfixed64 => write!(out, "\"{}\"", value as i64),
            Kind::Double => match f64::from_bits(value) {
                value if value.is_nan() => write!(out, "\"NaN\""),
                f64::INFINITY => write!(out, "\"Infinity\""),
                f64::NEG_INFINITY => write!(out, "\"-Infinity\""),
                value => write!(out, "{value:?}"),
            },
            _ => write!(out, "\"{value}\""),
        };
    }
}

/// Finds the fields of a message. Of a oneof only the member that came last counts.
fn survey(place: Place<'_>, message: &Message) -> Result<[Slot; MAX_NUMBER + 1], Fault> {
    let mut slots = [Slot::default(); MAX_NUMBER + 1];
    let members = message.fields.iter().filter(|field| field.rule == Rule::OneOf);
    let members = members.fold(0u32, |mask, field| mask | 1 << field.number);
    let mut member = 0;
    let mut pos = place.at;
    while let Some(found) = wire::next_field(place.buf, &mut pos, place.end)? {
        let Some(slot) = slots.get_mut(found.number as usize) else { continue };
        if slot.count == 0 {
            slot.first = found.start as u32;
        }
        slot.last = found.start as u32;
        slot.end = found.end as u32;
        slot.count += 1;
        if members & 1 << found.number != 0 {
            if member != 0 && member != found.number {
                slots[member as usize].count = 0;
            }
            member = found.number;
        }
    }
    Ok(slots)
}
