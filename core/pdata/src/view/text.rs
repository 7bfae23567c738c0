//! Values as text.

use std::borrow::Cow;
use std::fmt::Write;

use super::{Array, Attributes, Value};
use crate::malformed::{Fault, Malformed, What};
use crate::wire::MAX_DEPTH;

impl<'a> Value<'a> {
    /// The value as text, as the Collector writes values where a string is wanted: strings as they are, bytes in
    /// base64, lists as JSON, no value as nothing.
    ///
    /// # Errors
    /// The first broken value inside, or one nested too deep.
    pub fn to_text(&self) -> Result<Cow<'a, str>, Malformed> {
        let mut out = String::new();
        match *self {
            Value::Empty => {}
            Value::Str(text) => return Ok(Cow::Borrowed(text)),
            Value::Bytes(bytes) => base64(bytes, &mut out),
            other => json(other, &mut out, 0)?,
        }
        Ok(Cow::Owned(out))
    }

    /// Appends the value as JSON; numbers that JSON does not have are strings.
    ///
    /// # Errors
    /// The first broken value inside, or one nested too deep.
    pub fn write_json(&self, out: &mut String) -> Result<(), Malformed> {
        json(*self, out, 0)
    }
}

fn json(value: Value<'_>, out: &mut String, depth: usize) -> Result<(), Malformed> {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Empty => write!(out, "null"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Double(number) if number.is_finite() => write!(out, "{number}"),
        Value::Double(number) => write!(out, "\"{number}\""),
        Value::Str(text) => {
            string(text, out);
            Ok(())
        }
        Value::Bytes(bytes) => {
            out.push('"');
            base64(bytes, out);
            out.push('"');
            Ok(())
        }
        Value::Array(array) => return list(array, out, depth),
        Value::KvList(attributes) => return map(attributes, out, depth),
    };
    Ok(())
}

fn deeper(depth: usize) -> Result<usize, Malformed> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(Fault::new(0, What::Depth).within("a value")) }
}

fn list(array: Array<'_>, out: &mut String, depth: usize) -> Result<(), Malformed> {
    let depth = deeper(depth)?;
    let mut before = '[';
    for value in array {
        out.push(std::mem::replace(&mut before, ','));
        json(value?, out, depth)?;
    }
    out.push_str(if before == '[' { "[]" } else { "]" });
    Ok(())
}

fn map(attributes: Attributes<'_>, out: &mut String, depth: usize) -> Result<(), Malformed> {
    let depth = deeper(depth)?;
    let mut before = '{';
    for pair in attributes {
        let (key, value) = pair?;
        out.push(std::mem::replace(&mut before, ','));
        string(key, out);
        out.push(':');
        json(value, out, depth)?;
    }
    out.push_str(if before == '{' { "{}" } else { "}" });
    Ok(())
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Base64 with padding, RFC 4648 section 4.
fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut bits = 0u32;
        for (i, byte) in chunk.iter().enumerate() {
            bits |= u32::from(*byte) << (16 - 8 * i);
        }
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= chunk.len() { DIGITS[index] as char } else { '=' });
        }
    }
}
