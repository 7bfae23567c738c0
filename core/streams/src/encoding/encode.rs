//! A request becomes the fields of entries.

use std::borrow::Cow;
use std::io::Write as _;

use streamgauge_pdata::view::{Attributes, LogRecordView, LogsView, Value};
use streamgauge_pdata::{Signal, count, json};

use super::decode::id_time;
use super::names::{self, BODY_POSITION, ENTRY_ID};
use super::{Encoding, Fields, Format, opsconductor};
use crate::StreamId;

/// What becomes one entry.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The entry's fields.
    pub fields: &'a Fields,
    /// Spans, data points or log records in it.
    pub items: usize,
    /// The attributes of what is in it.
    pub attributes: Lookup<'a>,
}

/// The attributes of a log record and its resource; of a whole request those of its first resource.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    record: Option<Attributes<'a>>,
    resource: Option<Attributes<'a>>,
}

impl<'a> Lookup<'a> {
    /// The value of an attribute as text, the record's before the resource's. What is broken or not there is none.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let of = |attributes: Option<Attributes<'a>>| attributes?.get(name).ok().flatten()?.to_text().ok();
        of(self.record).or_else(|| of(self.resource))
    }

    pub(super) fn value(&self, name: &str) -> Option<Value<'a>> {
        let of = |attributes: Option<Attributes<'a>>| attributes?.get(name).ok().flatten();
        of(self.record).or_else(|| of(self.resource))
    }

    /// The attributes that the entry had as fields, or that it gets.
    pub(super) fn record(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.record.into_iter().flatten().flatten().filter(|(name, _)| !names::is_ours(name))
    }
}

impl Format {
    /// Makes the entries that a request of `signal` becomes, in the memory of `fields`. Returns how many items are in
    /// none, because their bytes could not be read. The format must carry the signal.
    pub fn encode(
        &self,
        signal: Signal,
        request: &[u8],
        fields: &mut Fields,
        each: &mut dyn FnMut(Message<'_>),
    ) -> usize {
        let total = count(signal, request);
        let mut written = 0;
        let mut each = |message: Message<'_>| {
            written += message.items;
            each(message);
        };
        match self.encoding {
            Encoding::OtlpProto => each(whole(request, total, self.body_key.as_bytes(), request, fields)),
            Encoding::OtlpJson => {
                if let Ok(text) = json::write(signal, request)
                    && text.broken < total.max(1)
                {
                    let items = total - text.broken;
                    each(whole(request, items, self.body_key.as_bytes(), &text.json, fields));
                }
            }
            _ => self.log_records(request, fields, &mut each),
        }
        total.saturating_sub(written)
    }

    fn log_records(&self, request: &[u8], fields: &mut Fields, each: &mut dyn FnMut(Message<'_>)) {
        for resource in LogsView::new(request).resources().flatten() {
            for record in resource.scopes().flatten().flat_map(|scope| scope.records()).flatten() {
                let attributes =
                    Lookup { record: Some(record.attributes()), resource: Some(resource.attributes()) };
                fields.clear();
                let written = match self.encoding {
                    Encoding::Opsconductor => opsconductor::write(&record, &attributes, fields),
                    Encoding::Text => put(fields, self.body_key.as_bytes(), record.body),
                    _ => self.entry(&record, &attributes, fields),
                };
                if written.is_some() {
                    each(Message { fields, items: 1, attributes });
                }
            }
        }
    }

    /// Body and attributes as fields; `None` when a value is broken.
    fn entry(&self, record: &LogRecordView<'_>, at: &Lookup<'_>, fields: &mut Fields) -> Option<()> {
        let mut body_to = 0;
        for (name, value) in at.record() {
            put(fields, &names::field(name), value)?;
        }
        if let Some(Value::Int(position)) = at.value(BODY_POSITION) {
            body_to = usize::try_from(position).unwrap_or(0);
        }
        let body = self.body_key.as_bytes();
        let is_json = self.encoding == Encoding::Json;
        if is_json {
            let mut text = String::new();
            record.body.write_json(&mut text).ok()?;
            fields.push(body, text.as_bytes());
        } else if !matches!(record.body, Value::Empty) {
            put(fields, body, record.body)?;
        }
        if is_json || !matches!(record.body, Value::Empty) {
            fields.last_to(body_to);
        }
        rest(record, at, fields)?;
        if fields.is_empty() {
            fields.push(body, b"");
        }
        Some(())
    }
}

fn whole<'a>(
    request: &'a [u8],
    items: usize,
    name: &[u8],
    value: &[u8],
    fields: &'a mut Fields,
) -> Message<'a> {
    fields.clear();
    fields.push(name, value);
    let resource = LogsView::new(request).resources().flatten().next().map(|resource| resource.attributes());
    Message { fields, items, attributes: Lookup { record: None, resource } }
}

/// What a record says beside its body and attributes, unless an attribute says it: a record that was an entry says it so.
fn rest(record: &LogRecordView<'_>, at: &Lookup<'_>, fields: &mut Fields) -> Option<()> {
    let has = |name: &str| at.record().any(|(found, _)| found == name);
    let was = || StreamId::parse(at.get(ENTRY_ID)?.as_bytes());
    if record.time != 0 && was().and_then(id_time) != Some(record.time) && !has("time_unix_nano") {
        fields.push_with(b"time_unix_nano", |out| drop(write!(out, "{}", record.time)));
    }
    for (name, text) in [("severity", record.severity_text), ("event_name", record.event_name)] {
        if !text.is_empty() && !has(name) {
            fields.push(name.as_bytes(), text.as_bytes());
        }
    }
    let told = ["traceparent", "trace_id", "correlation_id"].into_iter().any(has);
    if record.trace_id.len() == 16 && !told {
        if record.span_id.len() == 8 {
            fields.push_with(b"traceparent", |out| {
                out.extend_from_slice(b"00-");
                hex(record.trace_id, out);
                out.push(b'-');
                hex(record.span_id, out);
                // Writing to a Vec cannot fail.
                let _ = write!(out, "-{:02x}", record.flags & 0xff);
            });
        } else {
            fields.push_with(b"trace_id", |out| hex(record.trace_id, out));
        }
    }
    for (name, value) in at.resource.into_iter().flatten().flatten() {
        if !names::is_ours(name) && !has(name) {
            put(fields, &names::field(name), value)?;
        }
    }
    Some(())
}

/// Adds a value: bytes as they are, everything else as text. `None` when it is broken.
pub(super) fn put(fields: &mut Fields, name: &[u8], value: Value<'_>) -> Option<()> {
    match value {
        Value::Bytes(bytes) => fields.push(name, bytes),
        other => fields.push(name, other.to_text().ok()?.as_bytes()),
    }
    Some(())
}

pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        let digit = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
        out.extend([digit(byte >> 4), digit(*byte)]);
    }
}
