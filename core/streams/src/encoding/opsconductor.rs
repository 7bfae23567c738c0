//! OpsConductor's message: who publishes what to whom, with the payload as JSON.
//!
//! An entry has ten text fields; the eleventh member of a message is the entry's own id. As a log record, `data` is the
//! body, the others are attributes under their names, the type is the event's name, and the time of the event is its time.

use std::io::Write as _;

use streamgauge_pdata::build::EncodedValue;
use streamgauge_pdata::view::{LogRecordView, Value};

use super::decode::{Row, Undecodable, id_time, text};
use super::encode::{hex, put};
use super::names;
use super::trace::Trace;
use super::{Fields, Lookup};
use crate::Entry;

/// The fields of an entry, in the order in which they are written.
pub const MEMBERS: [&str; 10] = [
    "stream",
    "event_type",
    "service",
    "data",
    "priority",
    "timestamp",
    "retry_count",
    "max_retries",
    "correlation_id",
    "user_id",
];

/// How often a message is tried again when it does not say.
const MAX_RETRIES: i64 = 3;
/// The priority of a message that names none.
const NORMAL: &str = "NORMAL";

/// The services, and the types of event that each is known to publish.
pub const EVENT_TYPES: [(&str, &[&str]); 6] = [
    ("identity", &["user_created", "user_updated", "user_deleted", "user_login", "user_logout"]),
    ("assets", &["asset_created", "asset_updated", "asset_deleted", "asset_scanned"]),
    (
        "automation",
        &["automation_started", "automation_completed", "automation_failed", "automation_scheduled"],
    ),
    ("communication", &["notification_sent", "email_sent", "alert_triggered"]),
    ("ai", &["ai_analysis_completed", "ai_prediction_generated", "ai_model_updated"]),
    ("network", &["network_scan_completed", "vulnerability_detected", "compliance_check_done"]),
];

/// A type of event, if it is one of those that the system publishes.
pub fn known(event_type: &[u8]) -> Option<&'static str> {
    EVENT_TYPES.iter().flat_map(|(_, types)| *types).copied().find(|known| known.as_bytes() == event_type)
}

/// The short names of the system's own streams.
pub const SHORT_NAMES: [&str; 9] = [
    "identity",
    "assets",
    "automation",
    "communication",
    "ai",
    "network",
    "system",
    "dead_letter",
    "metrics",
];

/// The key of one of the system's own streams by its short name; any other name stays as it is.
pub fn full_name(name: &str) -> String {
    if SHORT_NAMES.contains(&name) { stream_key(name) } else { name.to_owned() }
}

/// What a message says about its tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// `retry_count`: those it has had. A letter that was sent again begins anew.
    pub had: u64,
    /// `max_retries`: those it may have, if it says so.
    pub most: Option<u64>,
}

/// Reads what a message says about its tries.
pub fn retries(entry: &Entry<'_>) -> Retries {
    let number = |name: &[u8]| std::str::from_utf8(entry.field(name)?).ok()?.parse().ok();
    let is_again = entry.field(b"dlq.requeued_from").is_some();
    let had = number(b"retry_count").filter(|_| !is_again).unwrap_or(0);
    Retries { had, most: number(b"max_retries") }
}

/// The short name of a service's stream: `identity-service` is `identity`.
pub fn short_name(service: &str) -> &str {
    service.strip_suffix("-service").or_else(|| service.strip_suffix("_service")).unwrap_or(service)
}

/// The key of a stream by its short name; a full key stays as it is.
pub fn stream_key(short: &str) -> String {
    if short.contains(':') { short.to_owned() } else { format!("opsconductor:{short}:events") }
}

/// A message as its entry has it.
pub(super) struct Envelope<'e, 'a> {
    entry: &'e Entry<'a>,
    event_type: &'a str,
}

impl<'e, 'a> Envelope<'e, 'a> {
    /// Reads what must be right: the type, and the payload, whose value goes into `data`.
    pub fn read(entry: &'e Entry<'a>, data: &mut EncodedValue) -> Result<Self, Undecodable> {
        let event_type = entry.field(b"event_type").filter(|value| !value.is_empty());
        let event_type = event_type
            .ok_or_else(|| Undecodable::new("no_event_type", "the message has no event_type"))
            .and_then(|value| {
                std::str::from_utf8(value)
                    .map_err(|error| Undecodable::new("body", format!("field \"event_type\": {error}")))
            })?;
        match entry.field(b"data").filter(|value| !value.is_empty()) {
            Some(value) => {
                let wrong = |what: String| Undecodable::new("body", format!("field \"data\": {what}"));
                data.set_json(value).map_err(|error| wrong(error.to_string()))?;
                if value.trim_ascii_start().first() != Some(&b'{') {
                    return Err(wrong("an object is expected".to_owned()));
                }
            }
            None => data.set(Value::Empty),
        }
        Ok(Envelope { entry, event_type })
    }

    /// Writes the rest of a record that was opened for it.
    pub fn put(&self, row: &mut Row<'_>, data: &EncodedValue) {
        let mut trace = Trace::default();
        let mut time = None;
        let (mut data_seen, mut priority_seen) = (false, false);
        for (name, value) in self.entry.fields {
            trace.note(name, value);
            match *name {
                b"data" if !data_seen => {
                    data_seen = true;
                    row.record.body(data);
                }
                b"priority" if !priority_seen => {
                    priority_seen = true;
                    priority(row, value);
                }
                b"retry_count" | b"max_retries" => number(row, name, value),
                b"timestamp" => {
                    let seconds = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
                    time = time.or(seconds.and_then(nanos));
                    match seconds.filter(|seconds| format!("{seconds:?}").as_bytes() == *value) {
                        Some(seconds) => row.record.attribute("timestamp", seconds),
                        None => row.record.attribute("timestamp", text(value)),
                    };
                }
                _ => drop(row.record.attribute(&names::attribute(name), text(value))),
            }
        }
        if !priority_seen {
            row.record.attribute("priority", NORMAL);
        }
        row.record.event_name(self.event_type);
        row.time(time.or_else(|| id_time(self.entry.id)));
        row.link(&trace);
    }
}

fn priority(row: &mut Row<'_>, value: &[u8]) {
    const WORDS: [&str; 4] = ["LOW", NORMAL, "HIGH", "CRITICAL"];
    let known = WORDS.into_iter().find(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    match known {
        Some(word) => row.record.attribute("priority", word),
        None if value.is_empty() => row.record.attribute("priority", NORMAL),
        None => row.record.attribute("priority", text(value)),
    };
}

/// A number where the text is just what the number is written as.
fn number(row: &mut Row<'_>, name: &[u8], value: &[u8]) {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
    match number.filter(|number| number.to_string().as_bytes() == value) {
        Some(number) => row.record.attribute(&names::attribute(name), number),
        None => row.record.attribute(&names::attribute(name), text(value)),
    };
}

/// Seconds as nanoseconds, when they are a time.
fn nanos(seconds: f64) -> Option<u64> {
    // A microsecond is as exact as such a number is.
    let micros = (seconds * 1e6).round();
    (micros > 0.0 && micros < 1.8e16).then_some(micros as u64 * 1000)
}

/// The message that a log record is. `None` when a value is broken.
pub(super) fn write(record: &LogRecordView<'_>, at: &Lookup<'_>, fields: &mut Fields) -> Option<()> {
    let own = |name: &str| at.record().find(|(found, _)| *found == name).map(|(_, value)| value);
    let service = own("service").or_else(|| at.value("service.name")).unwrap_or(Value::Str(""));
    for member in MEMBERS {
        let name = member.as_bytes();
        match own(member) {
            Some(Value::Double(seconds)) if member == "timestamp" => {
                fields.push_with(name, |out| drop(write!(out, "{seconds:?}")));
            }
            Some(value) if member != "data" => put(fields, name, value)?,
            _ => match member {
                "stream" => {
                    let service = service.to_text().ok()?;
                    fields.push(name, short_name(&service).as_bytes());
                }
                "event_type" if record.event_name.is_empty() => fields.push(name, b"log"),
                "event_type" => fields.push(name, record.event_name.as_bytes()),
                "service" => put(fields, name, service)?,
                "data" => fields.push(name, data(record, at)?.as_bytes()),
                "priority" => fields.push(name, NORMAL.as_bytes()),
                "timestamp" => {
                    let nanos = if record.time > 0 { record.time } else { record.observed_time };
                    fields.push_with(name, |out| drop(write!(out, "{:?}", (nanos / 1000) as f64 / 1e6)));
                }
                "retry_count" => fields.push(name, b"0"),
                "max_retries" => fields.push_with(name, |out| drop(write!(out, "{MAX_RETRIES}"))),
                "correlation_id" => fields.push_with(name, |out| hex(record.trace_id, out)),
                _ => fields.push(name, b""),
            },
        }
    }
    Some(())
}

/// The payload: the body where it is an object, else an object of the body and the attributes.
fn data(record: &LogRecordView<'_>, at: &Lookup<'_>) -> Option<String> {
    let mut out = String::new();
    match record.body {
        Value::KvList(_) => record.body.write_json(&mut out).ok()?,
        Value::Empty => out.push_str("{}"),
        body => {
            out.push_str("{\"body\":");
            body.write_json(&mut out).ok()?;
            for (name, value) in at.record().filter(|(name, _)| !MEMBERS.contains(name)) {
                out.push(',');
                Value::Str(name).write_json(&mut out).ok()?;
                out.push(':');
                value.write_json(&mut out).ok()?;
            }
            out.push('}');
        }
    }
    Some(out)
}
