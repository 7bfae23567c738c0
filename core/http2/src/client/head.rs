//! What is said before a request's body, and before and after an answer's.

use http::{HeaderMap, StatusCode};

use crate::hpack::{Field, Name};

/// A request's head. Made once, it is sent with as many requests as have the same.
#[derive(Debug)]
pub struct Head {
    fields: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Line {
    pub name: Box<[u8]>,
    pub value: Box<[u8]>,
    pub secret: bool,
}

impl Head {
    /// The head of a POST. `path` and `authority` must be what an URI may have; headers that are marked as sensitive enter no table.
    pub fn post(scheme: &str, authority: &str, path: &str, headers: &HeaderMap) -> Self {
        let pseudo = [(":method", "POST"), (":scheme", scheme), (":path", path), (":authority", authority)];
        let line = |name: &str, value: &[u8], secret| Line {
            name: name.as_bytes().into(),
            value: value.into(),
            secret,
        };
        let pseudo = pseudo.map(|(name, value)| line(name, value.as_bytes(), false));
        let others =
            headers.iter().map(|(name, value)| line(name.as_str(), value.as_bytes(), value.is_sensitive()));
        Head { fields: pseudo.into_iter().chain(others).collect() }
    }

    pub(super) fn fields(&self) -> &[Line] {
        &self.fields
    }
}

/// The fields of one block of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// In the first block.
    pub status: Option<StatusCode>,
    /// Without the status.
    pub headers: HeaderMap,
}

/// Collects the fields of one block.
#[derive(Debug)]
pub(super) struct Collected {
    limit: usize,
    size: usize,
    malformed: bool,
    fields: Fields,
}

impl Collected {
    /// Nothing yet, of a list of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Collected { limit, size: 0, malformed: false, fields: Fields::default() }
    }

    pub fn add(&mut self, field: &Field) {
        self.size = self.size.saturating_add(field.size);
        if self.malformed || self.size > self.limit {
            return;
        }
        let Fields { status, headers } = &mut self.fields;
        match (&field.name, &field.value) {
            (Name::Header(name), Some(value)) => {
                headers.append(name.clone(), value.clone());
            }
            // Once, and before all others.
            (Name::Status, Some(value)) if status.is_none() && headers.is_empty() => {
                *status = StatusCode::from_bytes(value.as_bytes()).ok();
                self.malformed = status.is_none();
            }
            _ => self.malformed = true,
        }
    }

    /// The fields, or why they are none.
    pub fn fields(self) -> Result<Fields, &'static str> {
        match (self.size > self.limit, self.malformed) {
            (true, _) => Err("a head that is too large"),
            (false, true) => Err("a malformed head"),
            (false, false) => Ok(self.fields),
        }
    }
}
