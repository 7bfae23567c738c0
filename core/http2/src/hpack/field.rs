//! One field of a block, checked once: a field that a table hands out again costs a reference.

use http::{HeaderName, HeaderValue};

/// What a field is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Status,
    Header(HeaderName),
    /// None that there is: other pseudo fields, capitals, an empty name, a character that no name has.
    Wrong,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub name: Name,
    /// `None` when it has characters that no value has.
    pub value: Option<HeaderValue>,
    name_length: usize,
    /// As the protocol counts it, in tables and lists: 32 bytes more than name and value.
    pub size: usize,
}

impl Field {
    pub fn new(name: &[u8], value: &[u8], secret: bool) -> Self {
        let kind = match name {
            b":method" => Name::Method,
            b":scheme" => Name::Scheme,
            b":authority" => Name::Authority,
            b":path" => Name::Path,
            b":status" => Name::Status,
            name => HeaderName::from_lowercase(name).map_or(Name::Wrong, Name::Header),
        };
        let size = name.len() + value.len() + 32;
        Field { name: kind, value: read(value, secret), name_length: name.len(), size }
    }

    /// The same name with another value.
    pub fn with(&self, value: &[u8], secret: bool) -> Self {
        let (name, name_length) = (self.name.clone(), self.name_length);
        Field { name, value: read(value, secret), name_length, size: name_length + value.len() + 32 }
    }
}

fn read(value: &[u8], secret: bool) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(secret);
    Some(value)
}
