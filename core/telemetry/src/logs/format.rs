//! How a line looks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// One event, taken apart.
pub(super) struct Record<'a> {
    pub event: &'a Event<'a>,
    pub message: String,
    pub fields: Vec<(&'static str, Value)>,
}

impl<'a> Record<'a> {
    pub fn of(event: &'a Event<'a>) -> Self {
        let mut record = Self { event, message: String::new(), fields: Vec::new() };
        event.record(&mut record);
        record
    }

    fn add(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name(), value));
    }
}

impl Visit for Record<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.add(field, Value::from(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" { self.message.push_str(value) } else { self.add(field, value.into()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string().into());
    }
}

/// Console or JSON.
pub(super) struct Format {
    json: bool,
    caller: bool,
    initial: BTreeMap<String, Value>,
}

impl Format {
    pub fn console(caller: bool, initial: BTreeMap<String, Value>) -> Self {
        Self { json: false, caller, initial }
    }

    pub fn json(caller: bool, initial: BTreeMap<String, Value>) -> Self {
        Self { json: true, caller, initial }
    }

    /// The line, with its end.
    pub fn line(&self, record: &Record<'_>, colours: bool) -> String {
        let now = jiff::Timestamp::now();
        if self.json { self.json_line(record, now) } else { self.console_line(record, now, colours) }
    }

    fn json_line(&self, record: &Record<'_>, now: jiff::Timestamp) -> String {
        let mut line = serde_json::Map::new();
        line.insert("level".into(), level(record.event).0.into());
        line.insert("ts".into(), format!("{now:.3}").into());
        if let Some(caller) = self.caller(record.event) {
            line.insert("caller".into(), caller.into());
        }
        line.insert("msg".into(), record.message.as_str().into());
        for (key, value) in &self.initial {
            line.insert(key.clone(), value.clone());
        }
        for (key, value) in &record.fields {
            line.insert((*key).to_owned(), value.clone());
        }
        let mut line = Value::Object(line).to_string();
        line.push('\n');
        line
    }

    fn console_line(&self, record: &Record<'_>, now: jiff::Timestamp, colours: bool) -> String {
        let (name, colour) = level(record.event);
        let (paint, dim, plain) = if colours { (colour, "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        let mut line = format!("{dim}{now:.3}{plain} {paint}{:<5}{plain} ", name.to_uppercase());
        if let Some(caller) = self.caller(record.event) {
            let _ = write!(line, "{dim}{caller}{plain} ");
        }
        // The fields of a message of several lines stand in its first, where they are looked for.
        let (head, rest) = record.message.split_once('\n').unwrap_or((&record.message, ""));
        line.push_str(head);
        let initial = self.initial.iter().map(|(key, value)| (key.as_str(), value));
        for (key, value) in initial.chain(record.fields.iter().map(|(key, value)| (*key, value))) {
            let separator = if line.ends_with(' ') { "" } else { " " };
            let _ = write!(line, "{separator}{dim}{key}={plain}");
            match value {
                Value::String(text) if !text.is_empty() && !text.contains([' ', '=', '"', '\n', '\t']) => {
                    line.push_str(text);
                }
                other => {
                    let _ = write!(line, "{other}");
                }
            }
        }
        line.push('\n');
        if !rest.is_empty() {
            line.push_str(rest.trim_end());
            line.push('\n');
        }
        line
    }

    fn caller(&self, event: &Event<'_>) -> Option<String> {
        let meta = event.metadata();
        match (self.caller, meta.file(), meta.line()) {
            (true, Some(file), Some(line)) => Some(format!("{file}:{line}")),
            _ => None,
        }
    }
}

/// The level's name as the Collector writes it, and its colour.
fn level(event: &Event<'_>) -> (&'static str, &'static str) {
    match *event.metadata().level() {
        Level::ERROR => ("error", "\x1b[31m"),
        Level::WARN => ("warn", "\x1b[33m"),
        Level::INFO => ("info", "\x1b[32m"),
        _ => ("debug", "\x1b[34m"),
    }
}
