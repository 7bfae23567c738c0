//! Values and attributes on their way to bytes.

use std::borrow::Cow;

use crate::malformed::{Fault, Malformed, What};
use crate::view::{Attributes, Value};
use crate::wire::{self, MAX_DEPTH};

/// A value that is kept: what [`Value`] is without borrowing.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum AnyValue {
    /// No value.
    #[default]
    Empty,
    /// A string.
    Str(String),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in a row.
    Array(Vec<AnyValue>),
    /// Values under names.
    KvList(Vec<(String, AnyValue)>),
}

impl Value<'_> {
    /// The value without borrowing.
    ///
    /// # Errors
    /// The first broken value inside, or one nested too deep.
    pub fn to_any(&self) -> Result<AnyValue, Malformed> {
        any(*self, MAX_DEPTH)
    }
}

fn any(value: Value<'_>, depth: usize) -> Result<AnyValue, Malformed> {
    let deeper = || depth.checked_sub(1).ok_or_else(|| Fault::new(0, What::Depth).within("a value"));
    Ok(match value {
        Value::Empty => AnyValue::Empty,
        Value::Str(text) => AnyValue::Str(text.to_owned()),
        Value::Bool(bool) => AnyValue::Bool(bool),
        Value::Int(number) => AnyValue::Int(number),
        Value::Double(number) => AnyValue::Double(number),
        Value::Bytes(bytes) => AnyValue::Bytes(bytes.to_owned()),
        Value::Array(array) => {
            let depth = deeper()?;
            AnyValue::Array(array.map(|value| any(value?, depth)).collect::<Result<_, _>>()?)
        }
        Value::KvList(list) => {
            let depth = deeper()?;
            let pair = |pair: Result<(&str, Value<'_>), Malformed>| {
                let (key, value) = pair?;
                Ok((key.to_owned(), any(value, depth)?))
            };
            AnyValue::KvList(list.map(pair).collect::<Result<_, Malformed>>()?)
        }
    })
}

/// What can be written as a value.
pub trait ToValue {
    /// Appends the fields of an AnyValue message.
    #[doc(hidden)]
    fn put(&self, out: &mut Vec<u8>);
}

impl ToValue for str {
    fn put(&self, out: &mut Vec<u8>) {
        wire::put_len(out, 1, self.as_bytes());
    }
}

impl ToValue for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}

impl ToValue for Cow<'_, str> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_ref().put(out);
    }
}

impl ToValue for bool {
    fn put(&self, out: &mut Vec<u8>) {
        wire::put_uint(out, 2, u64::from(*self));
    }
}

impl ToValue for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        wire::put_uint(out, 3, *self as u64);
    }
}

impl ToValue for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }
}

impl ToValue for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }
}

impl ToValue for f64 {
    fn put(&self, out: &mut Vec<u8>) {
        wire::put_fixed64(out, 4, self.to_bits());
    }
}

impl<T: ToValue> ToValue for [T] {
    fn put(&self, out: &mut Vec<u8>) {
        let array = wire::open(out, 5);
        for value in self {
            let start = wire::open(out, 1);
            value.put(out);
            wire::close(out, start);
        }
        wire::close(out, array);
    }
}

impl<T: ToValue> ToValue for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_slice().put(out);
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl ToValue for AnyValue {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            AnyValue::Empty => {}
            AnyValue::Str(text) => text.put(out),
            AnyValue::Bool(bool) => bool.put(out),
            AnyValue::Int(number) => number.put(out),
            AnyValue::Double(number) => number.put(out),
            AnyValue::Bytes(bytes) => wire::put_len(out, 7, bytes),
            AnyValue::Array(values) => values.put(out),
            AnyValue::KvList(pairs) => {
                let list = wire::open(out, 6);
                pairs.put(1, out);
                wire::close(out, list);
            }
        }
    }
}

/// A value in its encoded form: to keep one that was read, or to encode once what is written often.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct EncodedValue(Vec<u8>);

impl EncodedValue {
    /// Encodes a value.
    pub fn new(value: impl ToValue) -> Self {
        let mut encoded = EncodedValue::default();
        encoded.set(value);
        encoded
    }

    /// Takes another value, in the memory of the last.
    pub fn set(&mut self, value: impl ToValue) {
        self.0.clear();
        value.put(&mut self.0);
    }

    /// The memory, emptied, for whoever writes the encoded form.
    pub(crate) fn anew(&mut self) -> &mut Vec<u8> {
        self.0.clear();
        &mut self.0
    }
}

impl ToValue for EncodedValue {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// The inside of arrays and lists is copied as bytes, unread; what cannot be walked ends the copy.
impl ToValue for Value<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Empty => {}
            Value::Str(text) => text.put(out),
            Value::Bool(bool) => bool.put(out),
            Value::Int(number) => number.put(out),
            Value::Double(number) => number.put(out),
            Value::Bytes(bytes) => wire::put_len(out, 7, bytes),
            Value::Array(array) => {
                let start = wire::open(out, 5);
                for value in array.encoded().map_while(Result::ok) {
                    wire::put_len(out, 1, value.of(array.buf()));
                }
                wire::close(out, start);
            }
            Value::KvList(list) => {
                let start = wire::open(out, 6);
                list.put(1, out);
                wire::close(out, start);
            }
        }
    }
}

/// Appends an attribute as field `number`.
pub(crate) fn put_pair(out: &mut Vec<u8>, number: u32, key: &str, value: &(impl ToValue + ?Sized)) {
    let pair = wire::open(out, number);
    wire::put_len(out, 1, key.as_bytes());
    let start = wire::open(out, 2);
    value.put(out);
    wire::close(out, start);
    wire::close(out, pair);
}

/// What can be written as a list of attributes; `()` is the empty one.
pub trait AttributeList {
    /// Appends every attribute as field `number`.
    #[doc(hidden)]
    fn put(&self, number: u32, out: &mut Vec<u8>);
}

impl AttributeList for () {
    fn put(&self, _: u32, _: &mut Vec<u8>) {}
}

impl<K: AsRef<str>, V: ToValue> AttributeList for [(K, V)] {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for (key, value) in self {
            put_pair(out, number, key.as_ref(), value);
        }
    }
}

impl<K: AsRef<str>, V: ToValue, const N: usize> AttributeList for [(K, V); N] {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.as_slice().put(number, out);
    }
}

impl<K: AsRef<str>, V: ToValue> AttributeList for Vec<(K, V)> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        self.as_slice().put(number, out);
    }
}

/// Copied as bytes, unread; what cannot be walked ends the copy.
impl AttributeList for Attributes<'_> {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        for pair in self.encoded().map_while(Result::ok) {
            wire::put_len(out, number, pair.of(self.buf()));
        }
    }
}

impl<T: AttributeList + ?Sized> AttributeList for &T {
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        (**self).put(number, out);
    }
}
