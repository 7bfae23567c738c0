//! Replies as tokens: RESP2, and what of RESP3 a server says. To this crate's monitors they become values, to core/streams they
//! stay where they lie.

use redis::Value;

/// The bytes are not what Redis documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reply is not of the form that Redis documents")
    }
}

impl std::error::Error for Malformed {}

/// One element of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Nothing.
    Nil,
    /// A number or a truth value.
    Integer(i64),
    /// A text, or a number that is no whole one.
    Text(&'a [u8]),
    /// A refusal.
    Error(&'a [u8]),
    /// So many elements follow that belong to it.
    List(usize),
}

/// The token at `at`, which moves behind it; `None` when it is not there as a whole.
#[inline]
pub fn token<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<Token<'a>>, Malformed> {
    let rest = bytes.get(*at..).ok_or(Malformed)?;
    let Some((&kind, rest)) = rest.split_first() else { return Ok(None) };
    // Lengths and numbers are short, and looked at byte by byte; texts are found at once.
    let line = match kind {
        b'+' | b'-' | b',' | b'(' => memchr::memchr(b'\r', rest),
        _ => rest.iter().take(24).position(|byte| *byte == b'\r'),
    };
    let Some(line) = line else {
        let is_late = matches!(kind, b'+' | b'-' | b',' | b'(') || rest.len() < 24;
        return if is_late { Ok(None) } else { Err(Malformed) };
    };
    match rest.get(line + 1) {
        None => return Ok(None),
        Some(b'\n') => {}
        Some(_) => return Err(Malformed),
    }
    let (text, mut end) = (&rest[..line], *at + 1 + line + 2);
    let found = match kind {
        b'$' | b'=' | b'!' => match length(text)? {
            None => Token::Nil,
            Some(length) => {
                let start = end;
                end = start.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(Malformed)?;
                if end > bytes.len() {
                    return Ok(None);
                }
                let body = &bytes[start..end - 2];
                if bytes[end - 2..end] != *b"\r\n" {
                    return Err(Malformed);
                }
                match kind {
                    b'!' => Token::Error(body),
                    // `txt:` stands before a verbatim text.
                    b'=' => Token::Text(body.get(4..).unwrap_or_default()),
                    _ => Token::Text(body),
                }
            }
        },
        b'*' | b'~' | b'>' => length(text)?.map_or(Token::Nil, Token::List),
        b'%' => Token::List(length(text)?.and_then(|pairs| pairs.checked_mul(2)).ok_or(Malformed)?),
        b':' => Token::Integer(integer(text).ok_or(Malformed)?),
        b'#' => Token::Integer(i64::from(text == b"t")),
        b'_' => Token::Nil,
        b'+' | b',' | b'(' => Token::Text(text),
        b'-' => Token::Error(text),
        _ => return Err(Malformed),
    };
    *at = end;
    Ok(Some(found))
}

#[inline]
fn integer(text: &[u8]) -> Option<i64> {
    let (digits, is_negative) = match text.split_first()? {
        (b'-', rest) => (rest, true),
        _ => (text, false),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if is_negative { Some(number) } else { number.checked_neg() }
}

/// -1 is none.
#[inline]
fn length(text: &[u8]) -> Result<Option<usize>, Malformed> {
    match integer(text).ok_or(Malformed)? {
        -1 => Ok(None),
        number => usize::try_from(number).map(Some).map_err(|_| Malformed),
    }
}

/// How far replies are there as a whole.
#[derive(Debug, Default)]
pub struct Scan {
    /// What was looked at.
    pub at: usize,
    /// Tokens that the reply which is being read still wants.
    wants: usize,
}

impl Scan {
    /// Goes on until `replies` are whole; takes those that are from the number.
    pub fn replies(&mut self, bytes: &[u8], replies: &mut usize) -> Result<(), Malformed> {
        while *replies > 0 {
            let Some(token) = token(bytes, &mut self.at)? else { return Ok(()) };
            self.wants = self.wants.max(1) - 1;
            if let Token::List(elements) = token {
                self.wants = self.wants.checked_add(elements).ok_or(Malformed)?;
            }
            if self.wants == 0 {
                *replies -= 1;
            }
        }
        Ok(())
    }
}

/// How deep answers may nest.
const DEEP: usize = 32;

/// The value at `at`, which moves behind it; maps are arrays of keys and values, as in RESP2.
pub(crate) fn value(bytes: &[u8], at: &mut usize) -> Result<Value, Malformed> {
    value_within(bytes, at, DEEP)
}

fn value_within(bytes: &[u8], at: &mut usize, deep: usize) -> Result<Value, Malformed> {
    Ok(match token(bytes, at)?.ok_or(Malformed)? {
        Token::Nil => Value::Nil,
        Token::Integer(number) => Value::Int(number),
        Token::Text(text) => Value::BulkString(text.to_vec()),
        Token::Error(text) => refusal(text)?,
        Token::List(count) => {
            let deeper = deep.checked_sub(1).ok_or(Malformed)?;
            // No more than can be there.
            let mut items = Vec::with_capacity(count.min((bytes.len() - *at) / 3));
            for _ in 0..count {
                items.push(value_within(bytes, at, deeper)?);
            }
            Value::Array(items)
        }
    })
}

fn refusal(text: &[u8]) -> Result<Value, Malformed> {
    let line: Vec<u8> = text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    redis::parse_redis_value(&[b"-", &*line, b"\r\n"].concat()).map_err(|_| Malformed)
}

/// Appends a command, given by its words.
pub(crate) fn put_command<'a>(out: &mut Vec<u8>, words: impl Iterator<Item = &'a [u8]> + Clone) {
    put_head(out, b'*', words.clone().count());
    for word in words {
        put_head(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn put_head(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    out.extend_from_slice(number.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(bytes: &[u8]) -> Result<Option<Token<'_>>, Malformed> {
        token(bytes, &mut 0)
    }

    #[test]
    fn every_kind_is_read() {
        for (wire, wanted) in [
            ("+OK\r\n", Token::Text(b"OK")),
            ("-ERR no\r\n", Token::Error(b"ERR no")),
            (":-12\r\n", Token::Integer(-12)),
            (":9223372036854775807\r\n", Token::Integer(i64::MAX)),
            ("$3\r\na\r\n\r\n", Token::Text(b"a\r\n")),
            ("$0\r\n\r\n", Token::Text(b"")),
            ("$-1\r\n", Token::Nil),
            ("*-1\r\n", Token::Nil),
            ("_\r\n", Token::Nil),
            ("*3\r\n", Token::List(3)),
            ("%2\r\n", Token::List(4)),
            ("~1\r\n", Token::List(1)),
            ("#t\r\n", Token::Integer(1)),
            (",1.5\r\n", Token::Text(b"1.5")),
            ("=6\r\ntxt:ab\r\n", Token::Text(b"ab")),
            ("!5\r\nERR x\r\n", Token::Error(b"ERR x")),
        ] {
            assert_eq!(one(wire.as_bytes()), Ok(Some(wanted)), "{wire:?}");
            for cut in 0..wire.len() {
                assert_eq!(one(&wire.as_bytes()[..cut]), Ok(None), "{wire:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_said_to_be_none() {
        for wire in [
            "?\r\n",
            ":x\r\n",
            "$-2\r\n",
            "*99999999999999999999\r\n",
            "$1\r\nabc",
            "HTTP/1.1 400 Bad Request\r\n",
            ":1\rx",
        ] {
            assert_eq!(one(wire.as_bytes()), Err(Malformed), "{wire:?}");
        }
    }

    #[test]
    fn a_scan_that_sees_the_bytes_one_by_one_finds_the_ends_of_replies() {
        let wire = b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n+OK\r\n*-1\r\n-ERR\r\n";
        let (mut scan, mut left, mut ends) = (Scan::default(), 4, Vec::new());
        for seen in 0..=wire.len() {
            let before = left;
            scan.replies(&wire[..seen], &mut left).unwrap();
            if left < before {
                ends.push(seen);
            }
        }
        assert_eq!((ends, left), (vec![23, 28, 33, 39], 0));
    }

    #[test]
    fn replies_of_both_protocols_become_the_same_values() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let map = Value::Array(vec![text("lag"), Value::Nil, text("n"), Value::Int(3)]);
        for wire in ["%2\r\n+lag\r\n_\r\n$1\r\nn\r\n:3\r\n", "*4\r\n$3\r\nlag\r\n$-1\r\n$1\r\nn\r\n:3\r\n"] {
            assert_eq!(value(wire.as_bytes(), &mut 0), Ok(map.clone()), "{wire:?}");
        }
        for wire in ["-WRONGTYPE Operation against\r\n", "!22\r\nWRONGTYPE Oper\nation a\r\n"] {
            let Ok(Value::ServerError(error)) = value(wire.as_bytes(), &mut 0) else { panic!("{wire:?}") };
            assert_eq!(error.code(), "WRONGTYPE");
        }
        assert_eq!(value("*1\r\n".repeat(1_000).as_bytes(), &mut 0), Err(Malformed), "too deep");
        let mut out = Vec::new();
        put_command(&mut out, [&b"GET"[..], b"k\r\n"].into_iter());
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, header in prop::sample::select(vec!["", "$", "*", ":", "$9223372036854775807\r\n", "*1\r\n"])) {
            let wire = [header.as_bytes(), &bytes].concat();
            let _ = one(&wire);
            let _ = value(&wire, &mut 0);
            let _ = Scan::default().replies(&wire, &mut 3);
        }
    }
}
