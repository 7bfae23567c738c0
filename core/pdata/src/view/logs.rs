//! Log records.

use super::path::{Reader, bytes_of, fixed64_of, str_of, uint_of};
use super::value::Values;
use super::{Attributes, Message, Value};
use crate::malformed::{Fault, Malformed};
use crate::wire::{self, Span};

/// A log record. Times are nanoseconds since 1970, 0 when unknown.
#[derive(Clone, Copy, Debug)]
pub struct LogRecordView<'a> {
    reader: Reader<'a>,
    /// Where the attributes are.
    attributes: Span,
    /// When it happened.
    pub time: u64,
    /// When it was seen.
    pub observed_time: u64,
    /// 1 to 24, from TRACE to FATAL4; 0 when not given.
    pub severity_number: i32,
    /// The severity as the source calls it.
    pub severity_text: &'a str,
    /// What is said.
    pub body: Value<'a>,
    /// How many attributes were left out before.
    pub dropped_attributes_count: u32,
    /// The W3C trace flags are the lowest 8 bits.
    pub flags: u32,
    /// 16 bytes, or empty.
    pub trace_id: &'a [u8],
    /// 8 bytes, or empty.
    pub span_id: &'a [u8],
    /// The class of event, when the record is one.
    pub event_name: &'a str,
}

impl<'a> LogRecordView<'a> {
    /// The record's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.narrow(self.attributes).path(&[6]), "a log record's attribute")
    }

    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let buf = reader.buf;
        let mut view = LogRecordView {
            reader,
            attributes: Span::default(),
            time: 0,
            observed_time: 0,
            severity_number: 0,
            severity_text: "",
            body: Value::Empty,
            dropped_attributes_count: 0,
            flags: 0,
            trace_id: &[],
            span_id: &[],
            event_name: "",
        };
        let mut rest = reader;
        let mut body = Values::None;
        while let Some(field) = rest.next()? {
            match field.number {
                1 => view.time = fixed64_of(&field)?,
                2 => view.severity_number = uint_of(&field)? as i32,
                3 => view.severity_text = str_of(buf, &field)?,
                5 => body.note(&field)?,
                6 => {
                    field.expect(wire::LEN)?;
                    view.attributes.cover(&field);
                }
                7 => view.dropped_attributes_count = uint_of(&field)? as u32,
                8 => {
                    field.expect(wire::FIXED32)?;
                    view.flags = field.value as u32;
                }
                9 => view.trace_id = bytes_of(buf, &field)?,
                10 => view.span_id = bytes_of(buf, &field)?,
                11 => view.observed_time = fixed64_of(&field)?,
                12 => view.event_name = str_of(buf, &field)?,
                _ => {}
            }
        }
        view.body = body.read(buf, reader.span, 5)?;
        Ok(view)
    }
}

impl<'a> Message<'a> for LogRecordView<'a> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        Self::parse(reader).map_err(|fault| fault.within("a log record"))
    }
}
