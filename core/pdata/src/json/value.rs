//! Any JSON as a value.

use super::error::{Fault, JsonError};
use super::token::{Cursor, Raw, too_deep};
use crate::build::EncodedValue;
use crate::wire::{self, MAX_DEPTH};

impl EncodedValue {
    /// Takes the value that a JSON text is, in the memory of the last: an object is a list of pairs in its order, with
    /// those that come twice; a number is an integer where it is written as one and fits 64 bits with a sign, else a
    /// floating point number; `null` is no value.
    ///
    /// # Errors
    /// The first fault, with its line and column.
    pub fn set_json(&mut self, text: &[u8]) -> Result<(), JsonError> {
        let out = self.anew();
        if let Err(error) = std::str::from_utf8(text) {
            return Err(Fault::new(error.valid_up_to(), "the text is not UTF-8").locate(text));
        }
        let mut cursor = Cursor::new(text);
        let whole = value(&mut cursor, out, 0).and_then(|()| match cursor.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::new(cursor.pos, "the text goes on behind its end")),
        });
        whole.map_err(|fault| fault.locate(text))
    }
}

/// Appends the fields of an AnyValue.
fn value(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    match cursor.peek() {
        Some(b'{' | b'[') if depth >= MAX_DEPTH => return Err(too_deep(cursor.pos)),
        Some(b'{') => {
            let list = wire::open(out, 6);
            let mut more = cursor.open(b'{', b'}', "an object")?;
            while more {
                let key = cursor.key()?;
                let pair = wire::open(out, 1);
                text(key, 1, out);
                let inside = wire::open(out, 2);
                value(cursor, out, depth + 1)?;
                wire::close(out, inside);
                wire::close(out, pair);
                more = cursor.more(b'}')?;
            }
            wire::close(out, list);
        }
        Some(b'[') => {
            let array = wire::open(out, 5);
            let mut more = cursor.open(b'[', b']', "an array")?;
            while more {
                let inside = wire::open(out, 1);
                value(cursor, out, depth + 1)?;
                wire::close(out, inside);
                more = cursor.more(b']')?;
            }
            wire::close(out, array);
        }
        Some(b'"') => text(cursor.string()?, 1, out),
        Some(b't') => {
            cursor.literal("true")?;
            wire::put_uint(out, 2, 1);
        }
        Some(b'f') => {
            cursor.literal("false")?;
            wire::put_uint(out, 2, 0);
        }
        Some(b'n') => cursor.literal("null")?,
        Some(b'-' | b'0'..=b'9') => number(cursor, out)?,
        _ => return Err(cursor.expected("a value")),
    }
    Ok(())
}

fn text(raw: Raw<'_>, field: u32, out: &mut Vec<u8>) {
    match raw.escaped {
        false => wire::put_len(out, field, raw.inside),
        true => wire::put_len(out, field, &raw.text()),
    }
}

fn number(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let at = cursor.pos;
    let text = std::str::from_utf8(cursor.number()?).unwrap_or_default();
    if let Ok(whole) = text.parse::<i64>() {
        wire::put_uint(out, 3, whole as u64);
        return Ok(());
    }
    let double: f64 = text.parse().map_err(|_| Fault::new(at, "not a number"))?;
    wire::put_fixed64(out, 4, double.to_bits());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::LogList;
    use crate::view::{LogsView, Value};

    fn written(text: &str) -> Result<String, String> {
        let mut value = EncodedValue::default();
        value.set_json(text.as_bytes()).map_err(|error| error.to_string())?;
        let mut list = LogList::new((), "", "");
        list.record(1).body(&value);
        let request = list.finish();
        let record = LogsView::new(&request).resources().flatten().next().unwrap();
        let record = record.scopes().flatten().next().unwrap().records().flatten().next().unwrap();
        let mut out = String::new();
        record.body.write_json(&mut out).map_err(|error| error.to_string())?;
        Ok(out)
    }

    #[test]
    fn any_json_comes_back_with_order_duplicates_and_escapes() {
        for text in [
            r#"{"b":1,"a":[null,true,false,-7,1.5,"x"],"b":{}}"#,
            r#""say \"hi\"\n""#,
            "[]",
            "null",
            "9223372036854775807",
        ] {
            assert_eq!(written(text).as_deref(), Ok(text));
        }
        assert_eq!(written(r#" {"\u00e4" : 1e2} "#).as_deref(), Ok(r#"{"ä":100}"#));
        assert_eq!(written("18446744073709551616").as_deref(), Ok("18446744073709552000"));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let deep = "[".repeat(200);
        for (text, expected) in [
            ("", "line 1, column 1"),
            ("{\"a\":1,}", "a member's name"),
            ("1 2", "goes on"),
            ("{'a':1}", "column 2"),
            (deep.as_str(), "nested deeper"),
        ] {
            let error = written(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_that_failed_leaves_nothing_for_the_next() {
        let mut value = EncodedValue::default();
        assert!(value.set_json(b"[1,2").is_err());
        value.set(Value::Empty);
        assert_eq!(value, EncodedValue::default());
    }
}
