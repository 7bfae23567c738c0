//! From text to bytes.

use super::error::{Fault, JsonError};
use super::fields::{self, Field, Kind, Message, Rule};
use super::token::{Cursor, Raw, too_deep};
use super::{escape, number, text};
use crate::signal::Signal;
use crate::wire::{self, MAX_DEPTH};

/// The protobuf bytes of an `Export*ServiceRequest` that came as OTLP/JSON, in one pass.
///
/// # Errors
/// The first fault, with its path, line and column.
pub fn read(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Fault::new(error.valid_up_to(), "the text is not UTF-8").locate(text));
    }
    let out = Vec::with_capacity(text.len() / 2);
    let mut reader = Reader { cursor: Cursor::new(text), out };
    reader.request(fields::request(signal)).map_err(|fault| fault.locate(text))?;
    let mut bytes = reader.out;
    bytes.shrink_to_fit(); // they may wait in a queue
    Ok(bytes)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    out: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn request(&mut self, request: &'static Message) -> Result<(), Fault> {
        if !self.cursor.null()? {
            self.message(request, 0)?;
        }
        match self.cursor.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::new(self.cursor.pos, "the text goes on behind its end")),
        }
    }

    fn message(&mut self, message: &'static Message, depth: usize) -> Result<(), Fault> {
        let mut more = self.cursor.open(b'{', b'}', "an object")?;
        let mut hint = 0;
        while more {
            let key = self.cursor.key()?;
            let found = match key.escaped {
                false => message.find(key.inside, hint),
                true => message.find(&key.text(), hint),
            };
            match found.and_then(|index| Some((index, message.fields.get(index)?))) {
                Some((index, field)) => {
                    hint = index + 1;
                    self.field(field, depth).map_err(|fault| fault.under(field.name))?;
                }
                None => self.cursor.skip(depth)?,
            }
            more = self.cursor.more(b'}')?;
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, depth: usize) -> Result<(), Fault> {
        if self.cursor.null()? {
            return Ok(());
        }
        if field.rule == Rule::Repeated {
            return self.list(field, depth);
        }
        match field.kind {
            Kind::Message(message) => self.nested(field.number, message, depth),
            Kind::String => self.string(field),
            Kind::Bytes | Kind::Id(_) => self.bytes(field),
            kind => {
                let value = self.scalar(kind)?;
                if value != 0 || field.rule != Rule::Plain {
                    wire::put_tag(&mut self.out, field.number, kind.wire());
                    self.put(kind, value);
                }
                Ok(())
            }
        }
    }

    fn nested(&mut self, number: u32, message: &'static Message, depth: usize) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return Err(too_deep(self.cursor.pos));
        }
        let start = wire::open(&mut self.out, number);
        self.message(message, depth + 1)?;
        wire::close(&mut self.out, start);
        Ok(())
    }

    fn list(&mut self, field: &'static Field, depth: usize) -> Result<(), Fault> {
        if !self.cursor.open(b'[', b']', "an array")? {
            return Ok(());
        }
        let packed = (field.kind.wire() != wire::LEN).then(|| wire::open(&mut self.out, field.number));
        let mut index = 0;
        loop {
            self.element(field, depth).map_err(|fault| fault.at(index))?;
            index += 1;
            if !self.cursor.more(b']')? {
                break;
            }
        }
        if let Some(start) = packed {
            wire::close(&mut self.out, start);
        }
        Ok(())
    }

    fn element(&mut self, field: &'static Field, depth: usize) -> Result<(), Fault> {
        match field.kind {
            Kind::Message(_) if self.cursor.null()? => wire::put_len(&mut self.out, field.number, &[]),
            Kind::Message(message) => self.nested(field.number, message, depth)?,
            Kind::String => self.string(field)?,
            Kind::Bytes | Kind::Id(_) => self.bytes(field)?,
            kind => {
                let value = self.scalar(kind)?;
                self.put(kind, value);
            }
        }
        Ok(())
    }

    fn string(&mut self, field: &Field) -> Result<(), Fault> {
        let raw = self.raw("a string")?;
        if raw.inside.is_empty() && field.rule == Rule::Plain {
            return Ok(());
        }
        if !raw.escaped {
            wire::put_len(&mut self.out, field.number, raw.inside);
            return Ok(());
        }
        let start = wire::open(&mut self.out, field.number);
        escape::unescape(raw.inside, &mut self.out);
        wire::close(&mut self.out, start);
        Ok(())
    }

    fn bytes(&mut self, field: &Field) -> Result<(), Fault> {
        let hex = matches!(field.kind, Kind::Id(_));
        let raw = self.raw(if hex { "a string of hex digits" } else { "a string of base64" })?;
        if raw.inside.is_empty() && field.rule == Rule::Plain {
            return Ok(());
        }
        let at = self.cursor.pos - raw.inside.len() - 2;
        let text = raw.text();
        let start = wire::open(&mut self.out, field.number);
        match field.kind {
            Kind::Id(len) => text::from_hex(&text, &mut self.out)
                .filter(|()| text.len() == len * 2)
                .ok_or_else(|| Fault::new(at, format!("{} hex digits are expected", len * 2)))?,
            _ => text::from_base64(&text, &mut self.out).ok_or_else(|| Fault::new(at, "not base64"))?,
        }
        wire::close(&mut self.out, start);
        Ok(())
    }

    fn raw(&mut self, what: &str) -> Result<Raw<'a>, Fault> {
        match self.cursor.peek() {
            Some(b'"') => self.cursor.string(),
            _ => Err(self.cursor.expected(what)),
        }
    }

    /// A value that is no text, as protobuf's wire format counts it.
    fn scalar(&mut self, kind: Kind) -> Result<u64, Fault> {
        if let Kind::Bool = kind {
            return match self.cursor.peek() {
                Some(b't') => self.cursor.literal("true").map(|()| 1),
                Some(b'f') => self.cursor.literal("false").map(|()| 0),
                _ => Err(self.cursor.expected("true or false")),
            };
        }
        let first = self.cursor.peek();
        let at = self.cursor.pos;
        let quoted = first == Some(b'"');
        let text = match first {
            Some(b'"') => self.cursor.string()?.text(),
            Some(b'-' | b'0'..=b'9') => self.cursor.number()?.into(),
            _ => return Err(self.cursor.expected("a number")),
        };
        value(kind, &text, quoted).map_err(|what| Fault::new(at, what))
    }

    fn put(&mut self, kind: Kind, value: u64) {
        match kind.wire() {
            wire::VARINT => wire::put_varint(&mut self.out, value),
            wire::FIXED32 => self.out.extend_from_slice(&(value as u32).to_le_bytes()),
            _ => self.out.extend_from_slice(&value.to_le_bytes()),
        }
    }
}

/// A number from its text, which may have been a string.
fn value(kind: Kind, text: &[u8], quoted: bool) -> Result<u64, &'static str> {
    if let Kind::Double = kind {
        return number::double(text).map(f64::to_bits).ok_or("not a double");
    }
    if let (Kind::Enum(names), true) = (kind, quoted) {
        let place = names.iter().position(|name| name.as_bytes() == text);
        return place.map(|number| number as u64).ok_or("not a name of this enum");
    }
    let (negative, magnitude) = number::integer(text).ok_or("not an integer of 64 bits")?;
    let signed = || match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => i64::try_from(magnitude).ok(),
    };
    let narrow = || signed().and_then(|value| i32::try_from(value).ok());
    let unsigned = (!negative || magnitude == 0).then_some(magnitude);
    match kind {
        Kind::Int64 | Kind::Sfixed64 => signed().map(|value| value as u64),
        Kind::Int32 | Kind::Enum(_) => narrow().map(|value| i64::from(value) as u64),
        Kind::Sint32 => narrow().map(wire::zigzag),
        Kind::Uint32 | Kind::Fixed32 => unsigned.filter(|value| *value <= u64::from(u32::MAX)),
        _ => unsigned,
    }
    .ok_or(match kind {
        Kind::Int32 | Kind::Enum(_) | Kind::Sint32 => "not within 32 bits",
        Kind::Uint32 | Kind::Fixed32 => "not within 32 bits without a sign",
        Kind::Int64 | Kind::Sfixed64 => "not within 64 bits with a sign",
        _ => "must not be negative",
    })
}
