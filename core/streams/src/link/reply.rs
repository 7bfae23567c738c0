//! Replies to one request, read where they lie.

use bytes::Bytes;

use super::refusal::Refusal;
use super::{Malformed, Token, token};

/// The replies to one request, in the order of its commands; their bytes are those that came.
#[derive(Clone, Debug)]
pub struct Replies {
    bytes: Bytes,
    count: usize,
}

impl Replies {
    pub(crate) fn new(bytes: Bytes, count: usize) -> Self {
        Replies { bytes, count }
    }

    /// Bytes on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// One after another.
    pub fn iter(&self) -> List<'_> {
        List { bytes: &self.bytes, left: self.count, unread: 0 }
    }

    /// The reply to the last command: the only one of a request of one.
    pub fn last(&self) -> Reply<'_> {
        self.iter().last().unwrap_or(Reply::Nil)
    }
}

/// One reply, or an element of one.
#[derive(Clone, Debug)]
pub enum Reply<'a> {
    /// Nothing.
    Nil,
    /// A number.
    Integer(i64),
    /// A text of any form.
    Text(&'a [u8]),
    /// The command was refused.
    Error(Refusal),
    /// Elements.
    List(List<'a>),
}

impl<'a> Reply<'a> {
    /// Nothing but OK, or whatever else is no refusal.
    ///
    /// # Errors
    /// The command was refused.
    pub fn ok(self) -> Result<Reply<'a>, Refusal> {
        match self {
            Reply::Error(refusal) => Err(refusal),
            reply => Ok(reply),
        }
    }

    /// A text's bytes.
    pub fn text(&self) -> Option<&'a [u8]> {
        match self {
            Reply::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number, or a text that is one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Reply::Integer(number) => Some(*number),
            Reply::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The elements; none for anything else.
    pub fn list(&self) -> List<'a> {
        match self {
            Reply::List(list) => *list,
            _ => List { bytes: &[], left: 0, unread: 0 },
        }
    }
}

/// Elements, one after another. The inside of one that is a list is passed over only when the next is asked for.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    bytes: &'a [u8],
    left: usize,
    /// Elements of the last one, which come first in the bytes.
    unread: usize,
}

impl<'a> List<'a> {
    /// How many elements are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The bytes that begin with the elements of a list that nothing was read of, and how many those are.
    pub(crate) fn raw(&self) -> (&'a [u8], usize) {
        debug_assert_eq!(self.unread, 0, "something was read of it");
        (self.bytes, self.left)
    }

    #[cfg(test)]
    pub(crate) fn for_test(bytes: &'a [u8], left: usize) -> Self {
        List { bytes, left, unread: 0 }
    }

    fn read(&mut self) -> Result<Reply<'a>, Malformed> {
        let mut at = 0;
        skip(self.bytes, &mut at, std::mem::take(&mut self.unread))?;
        let found = token(self.bytes, &mut at)?.ok_or(Malformed)?;
        self.bytes = &self.bytes[at..];
        let reply = match found {
            Token::Nil => Reply::Nil,
            Token::Integer(number) => Reply::Integer(number),
            Token::Text(text) => Reply::Text(text),
            Token::Error(text) => Reply::Error(Refusal::of(text)),
            Token::List(count) => {
                self.unread = count;
                Reply::List(List { bytes: self.bytes, left: count, unread: 0 })
            }
        };
        Ok(reply)
    }
}

/// Moves `at` behind so many elements.
pub(crate) fn skip(bytes: &[u8], at: &mut usize, elements: usize) -> Result<(), Malformed> {
    let mut left = elements;
    while left > 0 {
        left -= 1;
        if let Token::List(more) = token(bytes, at)?.ok_or(Malformed)? {
            left = left.checked_add(more).ok_or(Malformed)?;
        }
    }
    Ok(())
}

impl<'a> Iterator for List<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.read().unwrap_or_else(|malformed| {
            self.left = 0;
            Reply::Error(malformed.into())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_replies_are_walked_in_order() {
        let wire = b"*3\r\n:7\r\n*2\r\n$1\r\na\r\n*-1\r\n$-1\r\n-NOPERM no\r\n+OK\r\n";
        let replies = Replies::new(Bytes::from_static(wire), 3);
        let all: Vec<_> = replies.iter().collect();
        assert_eq!(all.len(), 3);
        let mut list = all[0].list();
        assert_eq!(list.next().and_then(|reply| reply.integer()), Some(7));
        let mut inner = list.next().map(|reply| reply.list()).into_iter().flatten();
        assert_eq!(inner.next().and_then(|reply| reply.text()), Some(&b"a"[..]));
        assert!(matches!(inner.next(), Some(Reply::Nil)) && inner.next().is_none());
        assert!(matches!(list.next(), Some(Reply::Nil)) && list.next().is_none());
        assert!(matches!(&all[1], Reply::Error(refusal) if refusal.message == "NOPERM no"));
        assert_eq!(replies.last().text(), Some(&b"OK"[..]));
    }

    #[test]
    fn a_reply_that_ends_early_is_an_error_and_the_end() {
        let mut replies = Replies::new(Bytes::from_static(b"*2\r\n:1\r\n"), 2);
        replies.count = 5;
        let all: Vec<_> = replies.iter().collect();
        assert!(matches!(all.as_slice(), [Reply::List(_), Reply::Error(_)]));
    }
}
