//! Requests to a node that is about to get a slot: it takes commands for keys that it has already after ASKING alone.

use bytes::Bytes;

use super::{Malformed, Replies, Request, Token, skip, token};

/// The command, as bytes on the wire.
const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// A request with ASKING before each of its commands, and which of its commands now are that. One before MULTI counts until
/// EXEC.
pub(super) fn request(request: &Request) -> (Vec<u8>, Vec<bool>) {
    let bytes = request.bytes();
    let (mut out, mut asking, mut at) = (Vec::with_capacity(2 * bytes.len()), Vec::new(), 0);
    let mut is_multi = false;
    for _ in 0..request.commands() {
        let begin = at;
        let name = name(bytes, at);
        // What we have written ourselves can be read.
        if skip(bytes, &mut at, 1).is_err() {
            break;
        }
        if !is_multi {
            out.extend_from_slice(ASKING);
            asking.push(true);
        }
        is_multi = match name {
            b"MULTI" => true,
            b"EXEC" => false,
            _ => is_multi,
        };
        out.extend_from_slice(&bytes[begin..at]);
        asking.push(false);
    }
    (out, asking)
}

/// The first word of a command.
fn name(bytes: &[u8], mut at: usize) -> &[u8] {
    match (token(bytes, &mut at), token(bytes, &mut at)) {
        (Ok(Some(Token::List(_))), Ok(Some(Token::Text(name)))) => name,
        _ => b"",
    }
}

/// The replies without those to ASKING.
pub(super) fn replies(bytes: &Bytes, asking: &[bool]) -> Result<Replies, Malformed> {
    let (mut out, mut count, mut at) = (Vec::with_capacity(bytes.len()), 0, 0);
    for is_asking in asking {
        let begin = at;
        skip(bytes, &mut at, 1)?;
        if !is_asking {
            out.extend_from_slice(&bytes[begin..at]);
            count += 1;
        }
    }
    Ok(Replies::new(out.into(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_asked_for_and_a_transaction_once() {
        let mut plain = Request::of(&[b"GET", b"a"]);
        for words in [&[&b"MULTI"[..]][..], &[b"SET", b"a", b"*1"], &[b"EXEC"], &[b"GET", b"MULTI"]] {
            plain.command(words);
        }
        let (bytes, asking) = request(&plain);
        let text = String::from_utf8(bytes).unwrap();
        let words: Vec<_> = text.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect();
        assert_eq!(
            words,
            ["ASKING", "GET", "a", "ASKING", "MULTI", "SET", "a", "EXEC", "ASKING", "GET", "MULTI", ""]
        );
        assert_eq!(asking, [true, false, true, false, false, false, true, false]);
        let answer =
            Bytes::from_static(b"+OK\r\n$1\r\nx\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n+OK\r\n$-1\r\n");
        let replies = replies(&answer, &asking).unwrap();
        assert_eq!(&replies.bytes()[..], b"$1\r\nx\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n$-1\r\n");
        assert_eq!(replies.iter().count(), 5);
    }
}
