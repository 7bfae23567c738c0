//! The two tables of fields that a block may name by number: the one that everybody knows, and the one of this connection.

use std::collections::VecDeque;
use std::sync::LazyLock;

use super::field::Field;

/// RFC 7541, appendix A, from number 1.
pub(super) const KNOWN: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

static STATIC: LazyLock<Vec<Field>> = LazyLock::new(|| {
    KNOWN.iter().map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes(), false)).collect()
});

/// The number of the field that everybody knows, or the first one of its name; 0 for none.
pub(super) fn number_of(name: &[u8], value: &[u8]) -> (usize, bool) {
    let mut number = 0;
    for (index, known) in KNOWN.iter().enumerate().filter(|(_, known)| known.0.as_bytes() == name) {
        if !value.is_empty() && known.1.as_bytes() == value {
            return (index + 1, true);
        }
        number = if number == 0 { index + 1 } else { number };
    }
    (number, false)
}

/// The fields that a connection's blocks have left behind, newest first.
#[derive(Debug)]
pub(super) struct Table {
    fields: VecDeque<Field>,
    size: usize,
    max: usize,
    /// Grows with each change.
    pub age: u64,
}

impl Table {
    pub fn new(max: usize) -> Self {
        Table { fields: VecDeque::new(), size: 0, max, age: 0 }
    }

    /// The field of this number.
    pub fn get(&self, number: usize) -> Option<&Field> {
        let index = number.checked_sub(1)?;
        STATIC.get(index).or_else(|| self.fields.get(index - KNOWN.len()))
    }

    /// Adds a field; the oldest make room. One that is larger than the table empties it.
    pub fn add(&mut self, field: Field) {
        self.age += 1;
        self.shrink(self.max.saturating_sub(field.size));
        if field.size <= self.max {
            self.size += field.size;
            self.fields.push_front(field);
        }
    }

    pub fn resize(&mut self, max: usize) {
        self.age += 1;
        self.max = max;
        self.shrink(max);
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some(oldest) = self.fields.pop_back()
        {
            self.size -= oldest.size;
        }
    }

    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.size
    }
}
