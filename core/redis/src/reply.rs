//! Replies of either protocol: RESP2's flat arrays and RESP3's maps look the same from here.

use std::borrow::Cow;

use redis::Value;

/// The bytes of a string reply.
pub(crate) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        Value::Attribute { data, .. } => bytes(data),
        _ => None,
    }
}

/// The text of a string reply; empty for anything else.
pub fn text(value: &Value) -> Cow<'_, str> {
    bytes(value).map(String::from_utf8_lossy).unwrap_or_default()
}

/// A whole number that is not negative. Nil is none.
pub(crate) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Attribute { data, .. } => count(data),
        _ => std::str::from_utf8(bytes(value)?).ok()?.parse().ok(),
    }
}

/// The items of an array.
pub(crate) fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        Value::Attribute { data, .. } => items(data),
        _ => None,
    }
}

/// A value under a key, in a RESP3 map or a flat array of keys and values.
pub(crate) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Map(pairs) => pairs.iter().find(|(k, _)| bytes(k) == Some(key.as_bytes())).map(|(_, v)| v),
        Value::Attribute { data, .. } => get(data, key),
        _ => {
            items(value)?.chunks_exact(2).find(|pair| bytes(&pair[0]) == Some(key.as_bytes())).map(|p| &p[1])
        }
    }
}

/// Any whole or decimal number: an integer, a double, or a text that is one. Nil is none.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Double(number) => *number,
        Value::Boolean(is) => f64::from(u8::from(*is)),
        Value::Attribute { data, .. } => return self::number(data),
        _ => std::str::from_utf8(bytes(value)?).ok()?.trim().parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// The keys and values of a RESP3 map or a flat array.
pub(crate) fn entries(value: &Value) -> Vec<(&Value, &Value)> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(key, value)| (key, value)).collect(),
        Value::Attribute { data, .. } => entries(data),
        _ => items(value).unwrap_or_default().chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
    }
}

/// The same as texts: an answer of CONFIG GET.
pub fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value| Some(String::from_utf8_lossy(bytes(value)?).into_owned());
    entries(value).into_iter().filter_map(|(key, value)| Some((text(key)?, text(value)?))).collect()
}

/// A page of SCAN: the next cursor (0 at the end) and the keys.
pub fn scan_page(value: &Value) -> Option<(u64, Vec<Vec<u8>>)> {
    let [cursor, page] = items(value)? else { return None };
    Some((count(cursor)?, keys(page)))
}

/// The strings of an array.
pub fn keys(value: &Value) -> Vec<Vec<u8>> {
    items(value).unwrap_or_default().iter().filter_map(bytes).map(<[u8]>::to_vec).collect()
}

/// About as many bytes as the reply had on the wire.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(k, v)| size(k) + size(v)).sum(),
        Value::Attribute { data, .. } => size(data),
        _ => match (items(value), bytes(value)) {
            (Some(items), _) => 8 + items.iter().map(size).sum::<usize>(),
            (None, Some(bytes)) => 8 + bytes.len(),
            _ => 8,
        },
    }
}
