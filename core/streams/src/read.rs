//! Entries in replies, read where they lie.

use streamgauge_redis::StreamId;

use crate::entry::Entry;
use crate::link::{List, Malformed, Reply, Token, skip, token};

/// What stands next in a list of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An entry.
    Entry(Entry<'a>),
    /// An entry that is pending, and was deleted or trimmed: its fields are gone for good.
    Gone(StreamId),
}

/// Walks the streams and entries of one reply, once and without an allocation for each.
#[derive(Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Streams that were not begun.
    streams: usize,
    /// Entries that were not read of the stream that was begun.
    entries: usize,
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Entries<'a> {
    /// Of XREAD and XREADGROUP: [`Entries::next_stream`] begins each stream. Nil has none.
    pub fn of_streams(reply: &Reply<'a>) -> Self {
        let (bytes, streams) = reply.list().raw();
        Entries { bytes, at: 0, streams, entries: 0, fields: Vec::new() }
    }

    /// Of XRANGE and XCLAIM.
    pub fn of_one(list: List<'a>) -> Self {
        let (bytes, entries) = list.raw();
        Entries { bytes, at: 0, streams: 0, entries, fields: Vec::new() }
    }

    /// The name of the next stream, whose entries follow.
    ///
    /// # Errors
    /// The reply is not of the documented form.
    pub fn next_stream(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        skip(self.bytes, &mut self.at, std::mem::take(&mut self.entries))?;
        let Some(left) = self.streams.checked_sub(1) else { return Ok(None) };
        self.streams = left;
        match (self.token()?, self.token()?, self.token()?) {
            (Token::List(2), Token::Text(name), Token::List(entries)) => {
                self.entries = entries;
                Ok(Some(name))
            }
            _ => Err(Malformed),
        }
    }

    /// How many entries of the stream that was begun were not read.
    pub fn left(&self) -> usize {
        self.entries
    }

    /// The next entry of the stream that was begun.
    ///
    /// # Errors
    /// The reply is not of the documented form.
    pub fn next_entry(&mut self) -> Result<Option<Item<'_>>, Malformed> {
        loop {
            let Some(left) = self.entries.checked_sub(1) else { return Ok(None) };
            self.entries = left;
            let size = match self.token()? {
                Token::List(size @ 2..) => size,
                // 6.2 says nil in place of a claimed entry that is gone.
                Token::Nil => continue,
                _ => return Err(Malformed),
            };
            let Token::Text(id) = self.token()? else { return Err(Malformed) };
            let id = StreamId::parse(id).ok_or(Malformed)?;
            self.fields.clear();
            let is_gone = match self.token()? {
                Token::Nil => true,
                Token::List(words) if words % 2 == 0 => {
                    for _ in 0..words / 2 {
                        let (Token::Text(name), Token::Text(value)) = (self.token()?, self.token()?) else {
                            return Err(Malformed);
                        };
                        self.fields.push((name, value));
                    }
                    false
                }
                _ => return Err(Malformed),
            };
            // XREADGROUP CLAIM tells idle time and deliveries too.
            skip(self.bytes, &mut self.at, size - 2)?;
            let item = if is_gone { Item::Gone(id) } else { Item::Entry(Entry { id, fields: &self.fields }) };
            return Ok(Some(item));
        }
    }

    #[inline]
    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        token(self.bytes, &mut self.at)?.ok_or(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::link::Replies;

    fn replies(wire: &'static str) -> Replies {
        Replies::new(Bytes::from_static(wire.as_bytes()), 1)
    }

    fn all(entries: &mut Entries<'_>) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(item) = entries.next_entry().unwrap() {
            found.push(match item {
                Item::Gone(id) => format!("{id} gone"),
                Item::Entry(entry) => {
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    let fields: Vec<_> =
                        entry.fields.iter().map(|(name, value)| text(name) + "=" + &text(value)).collect();
                    format!("{} {}", entry.id, fields.join(" "))
                }
            });
        }
        found
    }

    #[test]
    fn streams_and_their_entries_come_in_order_and_what_is_not_read_is_passed_over() {
        let replies = replies(
            "*2\r\n\
             *2\r\n$1\r\na\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*4\r\n$1\r\nx\r\n$1\r\n1\r\n$1\r\nx\r\n$0\r\n\r\n*2\r\n$3\r\n2-0\r\n*-1\r\n\
             *2\r\n$1\r\nb\r\n*1\r\n*4\r\n$3\r\n5-1\r\n*2\r\n$1\r\ny\r\n$1\r\n2\r\n:1000\r\n:3\r\n",
        );
        let reply = replies.last();
        let mut entries = Entries::of_streams(&reply);
        assert_eq!(entries.next_stream(), Ok(Some(&b"a"[..])));
        assert_eq!(all(&mut entries), ["1-0 x=1 x=", "2-0 gone"]);
        assert_eq!(entries.next_stream(), Ok(Some(&b"b"[..])));
        assert_eq!(all(&mut entries), ["5-1 y=2"]);
        assert_eq!(entries.next_stream(), Ok(None));
        let mut entries = Entries::of_streams(&reply);
        entries.next_stream().unwrap();
        assert_eq!((entries.next_stream(), entries.left()), (Ok(Some(&b"b"[..])), 1));
    }

    #[test]
    fn an_empty_read_has_no_stream_and_a_claim_may_have_holes() {
        let nothing = replies("*-1\r\n");
        assert_eq!(Entries::of_streams(&nothing.last()).next_stream(), Ok(None));
        let holes = replies("*2\r\n*-1\r\n*2\r\n$3\r\n1-0\r\n*0\r\n");
        assert_eq!(all(&mut Entries::of_one(holes.last().list())), ["1-0 "]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let wire = [&b"*3\r\n*2\r\n$1\r\na\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*4\r\n"[..], &bytes].concat();
            let list = List::for_test(&wire, 3);
            let mut entries = Entries::of_streams(&Reply::List(list));
            while let Ok(Some(_)) = entries.next_stream() {
                while let Ok(Some(_)) = entries.next_entry() {}
            }
        }
    }
}
