//! Values, times and lists as text.

use std::fmt::Write as _;

use streamgauge_pdata::view::{Attributes, Number, Value};

/// What stands for something whose bytes are broken.
pub(super) fn broken(out: &mut String, fault: &streamgauge_pdata::Malformed) {
    let _ = writeln!(out, "(cannot be read: {fault})");
}

/// ` key=value key=value`.
pub(super) fn pairs(out: &mut String, attributes: Attributes<'_>) {
    for attribute in attributes {
        let _ = match attribute {
            Ok((key, value)) => write!(out, " {key}={}", word(&value)),
            Err(fault) => write!(out, " (cannot be read: {fault})"),
        };
    }
}

/// One line an attribute, with its type.
pub(super) fn list(out: &mut String, indent: &str, title: &str, attributes: Attributes<'_>) {
    let mut rest = attributes.peekable();
    if rest.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "{indent}{title}:");
    for attribute in rest {
        let _ = match attribute {
            Ok((key, value)) => writeln!(out, "{indent}     -> {key}: {}", typed(&value)),
            Err(fault) => writeln!(out, "{indent}     -> (cannot be read: {fault})"),
        };
    }
}

/// `Str(x)`, `Int(5)`.
pub(super) fn typed(value: &Value<'_>) -> String {
    let kind = match value {
        Value::Empty => "Empty",
        Value::Str(_) => "Str",
        Value::Bool(_) => "Bool",
        Value::Int(_) => "Int",
        Value::Double(_) => "Double",
        Value::Bytes(_) => "Bytes",
        Value::Array(_) => "Slice",
        Value::KvList(_) => "Map",
    };
    format!("{kind}({})", plain(value))
}

/// The value alone.
pub(super) fn plain(value: &Value<'_>) -> String {
    value.to_text().map_or_else(|fault| format!("cannot be read: {fault}"), std::borrow::Cow::into_owned)
}

/// The value so that its end can be seen among others.
fn word(value: &Value<'_>) -> String {
    let text = plain(value);
    if text.is_empty() || text.contains([' ', '=', '"', '\n', '\t']) { format!("{text:?}") } else { text }
}

pub(super) fn number(value: Option<Number>) -> String {
    match value {
        None => "no value".to_owned(),
        Some(Number::Int(value)) => value.to_string(),
        Some(Number::Double(value)) => value.to_string(),
    }
}

/// A time in nanoseconds since 1970 as RFC 3339; `-` when unknown.
pub(super) fn time(nanos: u64) -> String {
    if nanos == 0 {
        return "-".to_owned();
    }
    jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .map_or_else(|_| nanos.to_string(), |at| at.to_string())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The name of a severity number (1 to 24).
pub(super) fn severity(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "-",
    }
}
