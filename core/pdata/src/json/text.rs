//! Bytes as text: hex for ids, base64 for everything else.

const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends lower-case hex.
pub(super) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Appends the bytes of `text`, hex in either case; `None` when it is not hex.
pub(super) fn from_hex(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    for [high, low] in pairs {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        out.push((digit(*high)? << 4 | digit(*low)?) as u8);
    }
    Some(())
}

/// Appends base64 with padding.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, i| group << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let digit = BASE64[(group >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { digit } else { b'=' });
        }
    }
}

/// Appends the bytes of `text`: base64 in the standard or the URL alphabet, with padding or without. `None` when it is
/// neither.
pub(super) fn from_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let end = text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    let padding = text.len() - end;
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    for chunk in text[..end].chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut group = 0u32;
        for i in 0..4 {
            group = group << 6 | chunk.get(i).map_or(Some(0), |&byte| digit(byte))?;
        }
        out.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    Some(())
}

fn digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_rfcs_vectors_in_both_alphabets_with_padding_or_without() {
        let vectors = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (plain, text) in vectors.iter().zip(texts) {
            let mut written = Vec::new();
            base64(plain.as_bytes(), &mut written);
            assert_eq!(written, text.as_bytes());
            for text in [text, text.trim_end_matches('=')] {
                let mut read = Vec::new();
                from_base64(text.as_bytes(), &mut read).unwrap();
                assert_eq!(read, plain.as_bytes());
            }
        }
        for text in ["-_8", "+/8="] {
            let mut read = Vec::new();
            from_base64(text.as_bytes(), &mut read).unwrap();
            assert_eq!(read, [0xfb, 0xff]);
        }
        for text in ["Z", "Zg=", "Zm9v=", "Z!==", "===="] {
            assert_eq!(from_base64(text.as_bytes(), &mut Vec::new()), None, "{text}");
        }
    }
}
