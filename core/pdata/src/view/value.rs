//! Attribute values and attribute lists.

use super::path::{ANY, Path, bytes_of, double_of, str_of, uint_of};
use crate::malformed::{Fault, Malformed, What};
use crate::wire::{self, Field, Span};

/// A value, borrowed from the request.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// No value, which is not the same as an empty string.
    Empty,
    /// A string.
    Str(&'a str),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Values in a row.
    Array(Array<'a>),
    /// Values under names.
    KvList(Attributes<'a>),
}

impl<'a> Value<'a> {
    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Reads the AnyValue fields at the end of `path`, whose last number is [`ANY`]: a oneof, so the last kind
    /// counts, and arrays and lists of that kind that follow one another are one.
    pub(crate) fn read(mut path: Path<'a>) -> Result<Value<'a>, Fault> {
        let mut value = Value::Empty;
        while let Some(field) = path.next() {
            let field = field?;
            value = match field.number {
                1 => Value::Str(str_of(path.buf, &field)?),
                2 => Value::Bool(uint_of(&field)? != 0),
                3 => Value::Int(uint_of(&field)? as i64),
                4 => Value::Double(double_of(&field)?),
                5 | 6 => {
                    field.expect(wire::LEN)?;
                    match (value, field.number) {
                        (Value::Array(_), 5) | (Value::KvList(_), 6) => value,
                        (_, 5) => Value::Array(Array { path: path.resume_at(&field, &[5, 1]) }),
                        _ => Value::KvList(Attributes::new(
                            path.resume_at(&field, &[6, 1]),
                            "a list of values",
                        )),
                    }
                }
                7 => Value::Bytes(bytes_of(path.buf, &field)?),
                // A reference into a string table, which only the profiles signal has.
                8 => {
                    uint_of(&field)?;
                    Value::Empty
                }
                _ => value,
            };
        }
        Ok(value)
    }
}

/// Values in a row: iterate over a copy.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    path: Path<'a>,
}

impl Array<'_> {
    /// The encoded values, one after the other.
    pub(crate) fn encoded(mut self) -> impl Iterator<Item = Result<Span, Fault>> {
        std::iter::from_fn(move || self.path.next_message())
    }

    pub(crate) fn buf(&self) -> &[u8] {
        self.path.buf
    }
}

impl<'a> Iterator for Array<'a> {
    type Item = Result<Value<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let value =
            self.path.next_message()?.and_then(|span| Value::read(Path::new(self.path.buf, span, &[ANY])));
        Some(value.map_err(|fault| fault.within("an array of values")))
    }
}

/// A list of attributes: iterate over a copy.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    path: Path<'a>,
    place: &'static str,
}

impl<'a> Attributes<'a> {
    /// No attributes.
    pub fn empty() -> Self {
        Attributes::new(Path::empty(), "no attributes")
    }

    pub(crate) fn new(path: Path<'a>, place: &'static str) -> Self {
        Attributes { path, place }
    }

    /// The value of the first attribute with this key.
    ///
    /// # Errors
    /// The first broken attribute before it.
    pub fn get(&self, key: &str) -> Result<Option<Value<'a>>, Malformed> {
        let mut rest = *self;
        while let Some(span) = rest.path.next_message() {
            let found = span.and_then(|span| {
                let (found, values) = key_of(self.path.buf, span)?;
                if found == key { value_of(self.path.buf, span, values).map(Some) } else { Ok(None) }
            });
            match found {
                Ok(None) => {}
                Ok(value) => return Ok(value),
                Err(fault) => return Err(fault.within(self.place)),
            }
        }
        Ok(None)
    }

    /// The encoded KeyValue messages, one after the other.
    pub(crate) fn encoded(mut self) -> impl Iterator<Item = Result<Span, Fault>> {
        std::iter::from_fn(move || self.path.next_message())
    }

    pub(crate) fn buf(&self) -> &[u8] {
        self.path.buf
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let buf = self.path.buf;
        let pair = self.path.next_message()?.and_then(|span| {
            let (key, values) = key_of(buf, span)?;
            Ok((key, value_of(buf, span, values)?))
        });
        Some(pair.map_err(|fault| fault.within(self.place)))
    }
}

/// Where the AnyValue fields of a message are.
#[derive(Clone, Copy)]
pub(crate) enum Values {
    None,
    One(Span),
    Several,
}

impl Values {
    /// Notes a field that holds the value or a part of it.
    #[inline]
    pub(crate) fn note(&mut self, field: &Field) -> Result<(), Fault> {
        field.expect(wire::LEN)?;
        *self = if let Values::None = self { Values::One(field.span()) } else { Values::Several };
        Ok(())
    }

    /// The value in the fields `number` of the message `span`.
    #[inline]
    pub(crate) fn read(self, buf: &[u8], span: Span, number: u8) -> Result<Value<'_>, Fault> {
        match self {
            Values::None => Ok(Value::Empty),
            Values::One(value) => {
                scalar(buf, value).unwrap_or_else(|| Value::read(Path::new(buf, value, &[ANY])))
            }
            Values::Several => Value::read(Path::new(buf, span, &[number, ANY])),
        }
    }
}

/// The key of a KeyValue, and where its value is.
#[inline]
pub(crate) fn key_of(buf: &[u8], span: Span) -> Result<(&str, Values), Fault> {
    let (key, values) = find_key(buf, span)?;
    let text = std::str::from_utf8(key.of(buf));
    let text = text.map_err(|_| Fault::new(key.at as usize, What::Utf8))?;
    Ok((text, values))
}

/// Where the key of a KeyValue is, and where its value is.
#[inline]
pub(crate) fn find_key(buf: &[u8], span: Span) -> Result<(Span, Values), Fault> {
    match plain_pair(buf, span) {
        Some(found) => Ok(found),
        None => find_parts(buf, span),
    }
}

/// Of a KeyValue that is a short key and a short value and nothing else: nearly all of them.
#[inline]
pub(crate) fn plain_pair(buf: &[u8], span: Span) -> Option<(Span, Values)> {
    let [0x0a, key, rest @ ..] = span.of(buf) else { return None };
    let [0x12, value, rest @ ..] = rest.get(usize::from(*key)..)? else { return None };
    if *key >= 0x80 || *value >= 0x80 || rest.len() != usize::from(*value) {
        return None;
    }
    let at = span.at + 2;
    let values = Values::One(Span { at: span.end - u32::from(*value), end: span.end });
    Some((Span { at, end: at + u32::from(*key) }, values))
}

fn find_parts(buf: &[u8], mut span: Span) -> Result<(Span, Values), Fault> {
    let (mut key, mut values) = (Span { at: span.at, end: span.at }, Values::None);
    while let Some(field) = span.next(buf)? {
        match field.number {
            1 => {
                field.expect(wire::LEN)?;
                key = field.span();
            }
            2 => {
                values.note(&field)?;
            }
            _ => {}
        }
    }
    Ok((key, values))
}

/// The value of an AnyValue that has one field and that a scalar: nearly all of them.
#[inline]
fn scalar(buf: &[u8], mut span: Span) -> Option<Result<Value<'_>, Fault>> {
    let field = span.next(buf).ok()??;
    let value = match field.number {
        1 => str_of(buf, &field).map(Value::Str),
        2 => uint_of(&field).map(|bits| Value::Bool(bits != 0)),
        3 => uint_of(&field).map(|bits| Value::Int(bits as i64)),
        4 => double_of(&field).map(Value::Double),
        _ => return None,
    };
    (span.at == span.end).then_some(value)
}

/// The value of the KeyValue `span`.
#[inline]
pub(crate) fn value_of(buf: &[u8], span: Span, values: Values) -> Result<Value<'_>, Fault> {
    values.read(buf, span, 2)
}
