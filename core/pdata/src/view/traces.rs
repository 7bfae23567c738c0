//! Spans.

use super::path::{Reader, bytes_of, fixed64_of, str_of, uint_of};
use super::{Attributes, Message, Messages};
use crate::malformed::{Fault, Malformed};
use crate::wire::{self, Span};

/// A span. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    reader: Reader<'a>,
    /// Where the attributes are.
    attributes: Span,
    /// 16 bytes.
    pub trace_id: &'a [u8],
    /// 8 bytes.
    pub span_id: &'a [u8],
    /// The W3C trace state.
    pub trace_state: &'a str,
    /// 8 bytes, or empty for a root.
    pub parent_span_id: &'a [u8],
    /// The W3C trace flags are the lowest 8 bits.
    pub flags: u32,
    /// What the span does.
    pub name: &'a str,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer; 0 when not given.
    pub kind: i32,
    /// When it began.
    pub start_time: u64,
    /// When it ended.
    pub end_time: u64,
    /// How many attributes were left out before.
    pub dropped_attributes_count: u32,
    /// How many events were left out before.
    pub dropped_events_count: u32,
    /// How many links were left out before.
    pub dropped_links_count: u32,
    /// 0 unset, 1 ok, 2 error.
    pub status_code: i32,
    /// What went wrong, in words for a developer.
    pub status_message: &'a str,
}

impl<'a> SpanView<'a> {
    /// The span's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.narrow(self.attributes).path(&[9]), "a span's attribute")
    }

    /// What happened during the span.
    pub fn events(&self) -> Messages<'a, EventView<'a>> {
        Messages::new(self.reader.path(&[11]), "a span's event")
    }

    /// The spans that this one points to.
    pub fn links(&self) -> Messages<'a, LinkView<'a>> {
        Messages::new(self.reader.path(&[13]), "a span's link")
    }

    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let buf = reader.buf;
        let mut view = SpanView {
            reader,
            attributes: Span::default(),
            trace_id: &[],
            span_id: &[],
            trace_state: "",
            parent_span_id: &[],
            flags: 0,
            name: "",
            kind: 0,
            start_time: 0,
            end_time: 0,
            dropped_attributes_count: 0,
            dropped_events_count: 0,
            dropped_links_count: 0,
            status_code: 0,
            status_message: "",
        };
        let mut rest = reader;
        while let Some(field) = rest.next()? {
            match field.number {
                1 => view.trace_id = bytes_of(buf, &field)?,
                2 => view.span_id = bytes_of(buf, &field)?,
                3 => view.trace_state = str_of(buf, &field)?,
                4 => view.parent_span_id = bytes_of(buf, &field)?,
                5 => view.name = str_of(buf, &field)?,
                6 => view.kind = uint_of(&field)? as i32,
                7 => view.start_time = fixed64_of(&field)?,
                8 => view.end_time = fixed64_of(&field)?,
                9 => {
                    field.expect(wire::LEN)?;
                    view.attributes.cover(&field);
                }
                11 | 13 => field.expect(wire::LEN)?,
                10 => view.dropped_attributes_count = uint_of(&field)? as u32,
                12 => view.dropped_events_count = uint_of(&field)? as u32,
                14 => view.dropped_links_count = uint_of(&field)? as u32,
                15 => {
                    let mut status = reader.inside(&field)?;
                    while let Some(field) = status.next()? {
                        match field.number {
                            2 => view.status_message = str_of(buf, &field)?,
                            3 => view.status_code = uint_of(&field)? as i32,
                            _ => {}
                        }
                    }
                }
                16 => {
                    field.expect(wire::FIXED32)?;
                    view.flags = field.value as u32;
                }
                _ => {}
            }
        }
        Ok(view)
    }
}

impl<'a> Message<'a> for SpanView<'a> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        Self::parse(reader).map_err(|fault| fault.within("a span"))
    }
}

/// Something that happened during a span.
#[derive(Clone, Copy, Debug)]
pub struct EventView<'a> {
    reader: Reader<'a>,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// What.
    pub name: &'a str,
}

impl<'a> EventView<'a> {
    /// The event's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.path(&[3]), "an event's attribute")
    }
}

impl<'a> Message<'a> for EventView<'a> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        let mut view = EventView { reader, time: 0, name: "" };
        let mut parse = || {
            let mut rest = reader;
            while let Some(field) = rest.next()? {
                match field.number {
                    1 => view.time = fixed64_of(&field)?,
                    2 => view.name = str_of(reader.buf, &field)?,
                    _ => {}
                }
            }
            Ok(())
        };
        parse().map_err(|fault: Fault| fault.within("a span's event"))?;
        Ok(view)
    }
}

/// A span's pointer to another.
#[derive(Clone, Copy, Debug)]
pub struct LinkView<'a> {
    reader: Reader<'a>,
    /// 16 bytes.
    pub trace_id: &'a [u8],
    /// 8 bytes.
    pub span_id: &'a [u8],
    /// The W3C trace state.
    pub trace_state: &'a str,
}

impl<'a> LinkView<'a> {
    /// The link's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.path(&[4]), "a link's attribute")
    }
}

impl<'a> Message<'a> for LinkView<'a> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        let mut view = LinkView { reader, trace_id: &[], span_id: &[], trace_state: "" };
        let mut parse = || {
            let mut rest = reader;
            while let Some(field) = rest.next()? {
                match field.number {
                    1 => view.trace_id = bytes_of(reader.buf, &field)?,
                    2 => view.span_id = bytes_of(reader.buf, &field)?,
                    3 => view.trace_state = str_of(reader.buf, &field)?,
                    _ => {}
                }
            }
            Ok(())
        };
        parse().map_err(|fault: Fault| fault.within("a span's link"))?;
        Ok(view)
    }
}
