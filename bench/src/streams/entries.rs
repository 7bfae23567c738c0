//! What is added: entries of six fields with 266 bytes of names and values.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::otlp::STAMP;

/// Names and values together.
const BYTES: usize = 266;

/// One entry's fields; the number and the time of sending stand in it.
pub struct Entry {
    id: String,
    sent: String,
    data: String,
}

impl Entry {
    /// An entry that says when it was made.
    pub fn new(number: u64) -> Entry {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos();
        let mut entry = Entry {
            id: format!("7f1e2d3c-0000-4000-8000-{number:012}"),
            sent: format!("{STAMP}{now:019}"),
            data: String::new(),
        };
        let missing = BYTES - entry.fields().iter().map(|field| field.len()).sum::<usize>();
        entry.data = format!("{{\"order\": {number}, \"note\": \"");
        while entry.data.len() + 2 < missing {
            entry.data.push('x');
        }
        entry.data += "\"}";
        entry
    }

    /// Names and values in turn.
    pub fn fields(&self) -> [&[u8]; 12] {
        [
            b"event_id",
            self.id.as_bytes(),
            b"event_type",
            b"order.created",
            b"service",
            b"orders",
            b"priority",
            b"normal",
            b"sent",
            self.sent.as_bytes(),
            b"body",
            self.data.as_bytes(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_266_bytes_whatever_its_number() {
        for number in [0, 999_999_999_999] {
            let entry = Entry::new(number);
            assert_eq!(entry.fields().iter().map(|field| field.len()).sum::<usize>(), BYTES);
        }
    }
}
