//! The text's tokens: where the next one begins, and where strings and numbers end.

use std::borrow::Cow;

use super::error::Fault;
use super::escape;
use crate::wire::MAX_DEPTH;

/// A place in a text that is known to be UTF-8.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    pub pos: usize,
}

/// A string between its quotes.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub inside: &'a [u8],
    pub escaped: bool,
}

impl<'a> Raw<'a> {
    pub fn text(self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.inside);
        }
        let mut out = Vec::with_capacity(self.inside.len());
        escape::unescape(self.inside, &mut out);
        Cow::Owned(out)
    }
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, pos: 0 }
    }

    /// The first byte of the next token.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.pos) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.pos += 1,
                other => return other.copied(),
            }
        }
    }

    /// The fault that something else was expected here.
    #[cold]
    pub fn expected(&self, what: &str) -> Fault {
        let found = match self.text.get(self.pos) {
            None => "the text ends",
            Some(b'"') => "a string was found",
            Some(b'{') => "an object was found",
            Some(b'[') => "an array was found",
            Some(b't' | b'f') => "a boolean was found",
            Some(b'n') => "null was found",
            Some(b'-' | b'0'..=b'9') => "a number was found",
            Some(b'}' | b']' | b',' | b':') => "punctuation was found",
            Some(_) => "something else was found",
        };
        Fault::new(self.pos, format!("{what} is expected, {found}"))
    }

    #[inline]
    pub fn expect(&mut self, byte: u8, what: &str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.expected(what));
        }
        self.pos += 1;
        Ok(())
    }

    /// Steps over `close`, or over the comma before a further element (`true`).
    #[inline]
    pub fn more(&mut self, close: u8) -> Result<bool, Fault> {
        match self.peek() {
            Some(b',') => {
                self.pos += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.pos += 1;
                Ok(false)
            }
            _ => Err(self.expected(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" })),
        }
    }

    /// Steps over the open bracket; whether there is anything before `close`, which is stepped over if not.
    #[inline]
    pub fn open(&mut self, open: u8, close: u8, what: &str) -> Result<bool, Fault> {
        self.expect(open, what)?;
        if self.peek() != Some(close) {
            return Ok(true);
        }
        self.pos += 1;
        Ok(false)
    }

    /// Steps over `null`, if that is next.
    #[inline]
    pub fn null(&mut self) -> Result<bool, Fault> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.literal("null").map(|()| true)
    }

    pub fn literal(&mut self, word: &str) -> Result<(), Fault> {
        let rest = &self.text[self.pos..];
        if !rest.starts_with(word.as_bytes()) || rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric) {
            return Err(self.expected("a value"));
        }
        self.pos += word.len();
        Ok(())
    }

    /// A member's name and the colon behind it.
    #[inline]
    pub fn key(&mut self) -> Result<Raw<'a>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member's name"));
        }
        let key = self.string()?;
        self.expect(b':', "`:`")?;
        Ok(key)
    }

    /// A string; its quote is next.
    #[inline]
    pub fn string(&mut self) -> Result<Raw<'a>, Fault> {
        let start = self.pos + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += escape::plain(self.text.get(at..).unwrap_or_default());
            match self.text.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    match escape::len(&self.text[at..]) {
                        Some(len) => at += len,
                        None => return Err(Fault::new(at, "an escape that JSON does not have")),
                    }
                }
                Some(_) => return Err(Fault::new(at, "a control character must be escaped")),
                None => return Err(Fault::new(self.pos, "the string does not end")),
            }
        }
        self.pos = at + 1;
        Ok(Raw { inside: &self.text[start..at], escaped })
    }

    /// A number as it is written; its first byte is next.
    pub fn number(&mut self) -> Result<&'a [u8], Fault> {
        let rest = &self.text[self.pos..];
        let len = number_len(rest).ok_or_else(|| Fault::new(self.pos, "not a number"))?;
        self.pos += len;
        Ok(&rest[..len])
    }

    /// Steps over a value that nobody knows.
    pub fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{' | b'[') if depth >= MAX_DEPTH => Err(too_deep(self.pos)),
            Some(b'{') => {
                let mut more = self.open(b'{', b'}', "an object")?;
                while more {
                    self.key()?;
                    self.skip(depth + 1)?;
                    more = self.more(b'}')?;
                }
                Ok(())
            }
            Some(b'[') => {
                let mut more = self.open(b'[', b']', "an array")?;
                while more {
                    self.skip(depth + 1)?;
                    more = self.more(b']')?;
                }
                Ok(())
            }
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            _ => Err(self.expected("a value")),
        }
    }
}

#[cold]
pub(super) fn too_deep(offset: usize) -> Fault {
    Fault::new(offset, format!("nested deeper than {MAX_DEPTH} levels"))
}

/// How long the number at the front is, by JSON's grammar.
pub(super) fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    match digits(at) {
        0 => return None,
        more if more > 1 && text[at] == b'0' => return None,
        more => at += more,
    }
    if text.get(at) == Some(&b'.') {
        at += 1 + Some(digits(at + 1)).filter(|more| *more > 0)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += Some(digits(at)).filter(|more| *more > 0)?;
    }
    Some(at)
}
