//! What stands between quotes: runs of plain text, and escapes.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How many bytes at the front are neither a quote nor a backslash nor a control character. Eight bytes at a time.
#[inline]
pub(super) fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (words, _) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // A byte is zero after the exclusive or where it is the one looked for; the subtraction borrows there.
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let quote = zero(word ^ (ONES * b'"' as u64));
        let backslash = zero(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | backslash | control) & HIGH;
        if found != 0 {
            // A borrow can only mark bytes behind a true one: the first mark is right.
            return i * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let rest = words.len() * 8;
    rest + text[rest..].iter().take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count()
}

/// How long the escape at the front is; `None` when JSON does not have it.
pub(super) fn len(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => unit(text).map(|_| 6),
        _ => None,
    }
}

/// The four hex digits of a `\uXXXX`.
fn unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// Appends what a string means whose escapes have been checked by [`len`]. Half of a surrogate pair becomes U+FFFD:
/// senders in JavaScript cut texts in the middle of a character.
pub(super) fn unescape(mut text: &[u8], out: &mut Vec<u8>) {
    while !text.is_empty() {
        let (run, rest) = text.split_at(plain(text));
        out.extend_from_slice(run);
        text = match rest {
            [b'\\', b'u', ..] => {
                let (character, len) = character(rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest.get(len..).unwrap_or_default()
            }
            [b'\\', simple, rest @ ..] => {
                out.push(match simple {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest
            }
            [other, rest @ ..] => {
                out.push(*other);
                rest
            }
            [] => rest,
        };
    }
}

/// The character of the one or two `\uXXXX` at the front, and how long they are.
fn character(text: &[u8]) -> (char, usize) {
    let first = unit(text).unwrap_or(0);
    if let 0xd800..0xdc00 = first
        && let Some(second @ 0xdc00..0xe000) = text.get(6..).and_then(unit)
    {
        let both = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(both).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// Appends `text` between quotes.
pub(super) fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut text = text.as_bytes();
    loop {
        let (run, rest) = text.split_at(plain(text));
        out.extend_from_slice(run);
        let Some((&byte, rest)) = rest.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        text = rest;
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_at_the_first_special_byte_wherever_it_is() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for at in 0..20 {
                let mut text = vec![b'a'; 24];
                text[at] = special;
                text[at + 1] = b'!';
                assert_eq!(plain(&text), at, "{special:#x}");
            }
        }
        let others: Vec<u8> = (0x20..=0xff).filter(|byte| ![b'"', b'\\'].contains(byte)).collect();
        assert_eq!(plain(&others), others.len());
    }

    #[test]
    fn every_character_survives_quoting_and_a_lone_surrogate_is_replaced() {
        let text: String = (0..0x3000).filter_map(char::from_u32).chain(['\u{1f600}']).collect();
        let mut quoted = Vec::new();
        quote(&text, &mut quoted);
        let mut back = Vec::new();
        unescape(&quoted[1..quoted.len() - 1], &mut back);
        assert_eq!(back, text.as_bytes());

        for (raw, expected) in [
            (r"\ud83d\ude00 \/ \b\f\u0041", "\u{1f600} / \u{8}\u{c}A"),
            (r"cut \ud83d", "cut \u{fffd}"),
            (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
        ] {
            let mut out = Vec::new();
            unescape(raw.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes(), "{raw}");
        }
    }
}
