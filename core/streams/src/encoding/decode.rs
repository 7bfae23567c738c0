//! Entries become a request.

use std::fmt;

use bytes::Bytes;
use streamgauge_pdata::build::{EncodedValue, LogList, LogRecord};
use streamgauge_pdata::view::Value;
use streamgauge_pdata::{Signal, check, json};

use super::names::{self, BODY_POSITION, DELIVERIES, ENTRY_ID, GROUP, STREAM};
use super::opsconductor;
use super::trace::{Link, Trace};
use super::{Encoding, Format};
use crate::{Entry, StreamId};

/// Where entries were read.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The stream's key.
    pub stream: &'a [u8],
    /// The consumer group, if they were read by one.
    pub group: Option<&'a str>,
    /// When, in nanoseconds since 1970.
    pub read_at: u64,
}

/// An entry that is no such thing as the encoding says. It will not be next time either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// The kind, for counting and for `dlq.error.type`.
    pub kind: &'static str,
    /// What is wrong, and in which field.
    pub message: String,
}

impl Undecodable {
    #[cold]
    pub(super) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Undecodable { kind, message: message.into() }
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Undecodable {}

/// Makes one `Export*ServiceRequest` of entries of one stream.
#[derive(Debug)]
pub struct Decoder<'a> {
    format: &'a Format,
    signal: Signal,
    read_at: u64,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    /// Each entry is a log record.
    Logs { list: LogList, body: EncodedValue },
    /// Each entry is a request; in a row they are one.
    Requests { bytes: Vec<u8>, items: usize },
}

impl<'a> Decoder<'a> {
    /// Of entries that were read in one place. The format must carry the signal.
    pub fn new(format: &'a Format, signal: Signal, origin: Origin<'_>) -> Self {
        let rows = match format.encoding {
            Encoding::OtlpProto | Encoding::OtlpJson => Rows::Requests { bytes: Vec::new(), items: 0 },
            _ => {
                let pairs = [(STREAM, text(origin.stream)), (GROUP, Value::Str(origin.group.unwrap_or("")))];
                let pairs = if origin.group.is_some() { &pairs[..] } else { &pairs[..1] };
                let list = LogList::new(pairs, "redis_stream", env!("CARGO_PKG_VERSION"));
                Rows::Logs { list, body: EncodedValue::default() }
            }
        };
        Decoder { format, signal, read_at: origin.read_at, rows }
    }

    /// Adds an entry, with how often it was delivered (0 when that is not known), and says how many items it has.
    ///
    /// # Errors
    /// When the entry is not what the encoding says; nothing of it is added.
    pub fn add(&mut self, entry: &Entry<'_>, deliveries: u64) -> Result<usize, Undecodable> {
        let format = self.format;
        match &mut self.rows {
            Rows::Requests { bytes, items } => {
                let added = request(format, self.signal, entry, bytes)?;
                *items += added;
                Ok(added)
            }
            Rows::Logs { list, body } if format.encoding == Encoding::Opsconductor => {
                let message = opsconductor::Envelope::read(entry, body)?;
                message.put(&mut Row::open(list, self.read_at, entry, deliveries), body);
                Ok(1)
            }
            Rows::Logs { list, body } => {
                log_record(format, list, body, self.read_at, entry, deliveries)?;
                Ok(1)
            }
        }
    }

    /// Spans, data points or log records so far.
    pub fn items(&self) -> usize {
        match &self.rows {
            Rows::Logs { list, .. } => list.items(),
            Rows::Requests { items, .. } => *items,
        }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            Rows::Logs { list, .. } => list.bytes(),
            Rows::Requests { bytes, .. } => bytes.len(),
        }
    }

    /// The request and its items; empty when there are none.
    pub fn finish(self) -> (Bytes, usize) {
        let items = self.items();
        match self.rows {
            Rows::Logs { list, .. } => (list.finish(), items),
            Rows::Requests { bytes, .. } => (bytes.into(), items),
        }
    }
}

/// Bytes as text where they are text.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Value<'_> {
    std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Str)
}

/// Adds the request in an entry.
fn request(
    format: &Format,
    signal: Signal,
    entry: &Entry<'_>,
    out: &mut Vec<u8>,
) -> Result<usize, Undecodable> {
    let value = field(format, entry)?;
    let what = |error: &dyn fmt::Display| format!("field {:?}: {error}", format.body_key);
    let read;
    let value = match format.encoding {
        Encoding::OtlpJson => {
            read = json::read(signal, value).map_err(|error| Undecodable::new("otlp_json", what(&error)))?;
            &read
        }
        _ => value,
    };
    let items = check(signal, value).map_err(|error| Undecodable::new("otlp_proto", what(&error)))?;
    out.extend_from_slice(value);
    Ok(items)
}

/// The field that the encoding is about.
fn field<'a>(format: &Format, entry: &Entry<'a>) -> Result<&'a [u8], Undecodable> {
    let missing = || Undecodable::new("no_body", format!("the entry has no field {:?}", format.body_key));
    entry.field(format.body_key.as_bytes()).ok_or_else(missing)
}

/// Adds an entry whose body is one field and whose attributes are the others.
fn log_record(
    format: &Format,
    list: &mut LogList,
    json_body: &mut EncodedValue,
    read_at: u64,
    entry: &Entry<'_>,
    deliveries: u64,
) -> Result<(), Undecodable> {
    let wrong =
        |error: &dyn fmt::Display| Undecodable::new("body", format!("field {:?}: {error}", format.body_key));
    match format.encoding {
        Encoding::Json => json_body.set_json(field(format, entry)?).map_err(|error| wrong(&error))?,
        Encoding::Text => drop(std::str::from_utf8(field(format, entry)?).map_err(|error| wrong(&error))?),
        _ => {}
    }
    let body = entry.fields.iter().position(|(name, _)| *name == format.body_key.as_bytes());
    let mut row = Row::open(list, read_at, entry, deliveries);
    row.time(id_time(entry.id));
    let mut trace = Trace::default();
    for (index, (name, value)) in entry.fields.iter().enumerate() {
        if Some(index) == body {
            match format.encoding {
                Encoding::Json => row.record.body(&*json_body),
                _ => row.record.body(text(value)),
            };
            continue;
        }
        trace.note(name, value);
        row.record.attribute(&names::attribute(name), text(value));
    }
    if let Some(position) = body.filter(|position| *position > 0) {
        row.record.attribute(BODY_POSITION, position as i64);
    }
    row.link(&trace);
    Ok(())
}

/// A log record of an entry.
pub(super) struct Row<'a> {
    pub record: LogRecord<'a>,
}

impl<'a> Row<'a> {
    pub fn open(list: &'a mut LogList, read_at: u64, entry: &Entry<'_>, deliveries: u64) -> Self {
        let mut record = list.record(read_at);
        let mut id = IdText::default();
        record.attribute(ENTRY_ID, id.write(entry.id));
        if deliveries > 1 {
            record.attribute(DELIVERIES, i64::try_from(deliveries).unwrap_or(i64::MAX));
        }
        Row { record }
    }

    /// When it happened, if that is known.
    pub fn time(&mut self, nanos: Option<u64>) {
        if let Some(nanos) = nanos {
            self.record.time(nanos);
        }
    }

    pub fn link(&mut self, trace: &Trace<'_>) {
        match trace.link() {
            Some(Link::Span(trace, span, flags)) => self.record.trace(trace, span, flags),
            Some(Link::Trace(trace)) => self.record.trace_id(trace),
            None => return,
        };
    }
}

/// The time in an id, in nanoseconds since 1970; `None` when the producer counts by something else than the clock: ids
/// outside of the years 2000 to 2100.
pub(super) fn id_time(id: StreamId) -> Option<u64> {
    (946_684_800_000..4_102_444_800_000).contains(&id.ms).then(|| id.ms * 1_000_000)
}

/// Room for the text of an id.
struct IdText([u8; 41]);

impl Default for IdText {
    fn default() -> Self {
        IdText([0; 41])
    }
}

impl IdText {
    fn write(&mut self, id: StreamId) -> &str {
        let mut at = self.0.len();
        for (number, then) in [(id.seq, Some(b'-')), (id.ms, None)] {
            let mut rest = number;
            loop {
                at -= 1;
                self.0[at] = b'0' + (rest % 10) as u8;
                rest /= 10;
                if rest == 0 {
                    break;
                }
            }
            if let Some(byte) = then {
                at -= 1;
                self.0[at] = byte;
            }
        }
        std::str::from_utf8(&self.0[at..]).unwrap_or_default()
    }
}
