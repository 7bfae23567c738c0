//! The client's side of a table: a request's fields are put into it once, and are numbers from then on.

use std::collections::VecDeque;

use super::encode::{integer, string};
use super::table::number_of;

/// What is put into a server's table at most: the protocol's default.
const TABLE: usize = 4096;
/// What a field counts beyond its name and value.
const OVERHEAD: usize = 32;

/// Writes the blocks of one connection, in order.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// Newest first.
    fields: VecDeque<Kept>,
    size: usize,
    max: usize,
    /// The smallest that the table has been since the server was last told.
    untold: Option<usize>,
    /// Changes whenever a block would be written in another way.
    pub age: u64,
}

#[derive(Debug)]
struct Kept {
    name: Box<[u8]>,
    value: Box<[u8]>,
}

impl Encoder {
    pub fn new() -> Self {
        Encoder { fields: VecDeque::new(), size: 0, max: TABLE, untold: None, age: 0 }
    }

    /// The server's table may be so large.
    pub fn limit(&mut self, most: usize) {
        let max = most.min(TABLE);
        if max == self.max {
            return;
        }
        self.age += 1;
        self.max = max;
        self.untold = Some(self.untold.map_or(max, |smallest| smallest.min(max)));
        self.shrink(max);
    }

    /// Stands before the fields of each block.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let Some(smallest) = self.untold.take() else { return };
        self.age += 1;
        integer(out, 5, 0x20, smallest);
        if smallest < self.max {
            integer(out, 5, 0x20, self.max);
        }
    }

    /// A field; a secret one stays out of the tables, also of those on the way.
    pub fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8], secret: bool) {
        let (number, whole) = self.find(name, value);
        if whole && !secret {
            return integer(out, 7, 0x80, number);
        }
        let size = name.len() + value.len() + OVERHEAD;
        let kept = !secret && size <= self.max;
        match (secret, kept) {
            (true, _) => integer(out, 4, 0x10, number),
            (false, true) => integer(out, 6, 0x40, number),
            (false, false) => integer(out, 4, 0, number),
        }
        if number == 0 {
            string(out, name);
        }
        string(out, value);
        if kept {
            self.age += 1;
            self.shrink(self.max - size);
            self.size += size;
            self.fields.push_front(Kept { name: name.into(), value: value.into() });
        }
    }

    /// The number of a field in the tables, or of its name alone; 0 for none.
    fn find(&self, name: &[u8], value: &[u8]) -> (usize, bool) {
        let known = number_of(name, value);
        if let (number, true) = known {
            return (number, true);
        }
        let at = self.fields.iter().position(|field| *field.name == *name && *field.value == *value);
        match at {
            Some(at) => (super::table::KNOWN.len() + 1 + at, true),
            None => known,
        }
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some(Kept { name, value }) = self.fields.pop_back()
        {
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hpack::{Decoder, Name};

    const FIELDS: [(&str, &str); 5] = [
        (":method", "POST"),
        (":path", "/v1/logs"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-tenant", "blue"),
    ];

    fn write(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        encoder.begin(&mut out);
        for (name, value) in fields {
            encoder.field(&mut out, name.as_bytes(), value.as_bytes(), *name == "authorization");
        }
        out
    }

    fn read(decoder: &mut Decoder, block: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let each = |field: &crate::hpack::Field| {
            let name = match &field.name {
                Name::Method => ":method".to_owned(),
                Name::Path => ":path".to_owned(),
                Name::Header(name) => name.to_string(),
                other => panic!("{other:?}"),
            };
            fields.push((name, field.value.as_ref().unwrap().to_str().unwrap().to_owned()));
        };
        decoder.decode(block, each).unwrap();
        fields
    }

    fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_block_that_comes_again_is_a_byte_a_field() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let first = write(&mut encoder, &FIELDS);
        let again = write(&mut encoder, &FIELDS);
        assert!(first.len() > 50 && again.len() == FIELDS.len());
        for block in [first, again] {
            assert_eq!(read(&mut decoder, &block), owned(&FIELDS));
        }
    }

    #[test]
    fn a_secret_never_enters_a_table() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let fields = [("authorization", "Bearer hunter2")];
        for _ in 0..2 {
            let block = write(&mut encoder, &fields);
            assert_eq!(block[0] & 0xf0, 0x10);
            assert_eq!(read(&mut decoder, &block), owned(&fields));
        }
        assert_eq!(decoder.table_size(), 0);
    }

    #[test]
    fn both_tables_stay_the_same_whatever_the_server_says_of_its_size() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let mut noise = 7_usize;
        for round in 0..2000 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = noise >> 33;
            match pick % 10 {
                0 => encoder.limit(pick / 10 % 300),
                1 => encoder.limit(1 << 20),
                _ => {}
            }
            let value = "v".repeat(pick % 50);
            let name = format!("x-{}", pick / 64 % 20);
            let fields = [FIELDS[round % 5], (&*name, &*value)];
            let block = write(&mut encoder, &fields);
            assert_eq!(read(&mut decoder, &block), owned(&fields), "{round}");
            assert_eq!(decoder.table_size(), encoder.size, "{round}");
        }
    }
}
