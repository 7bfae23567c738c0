//! Text codings: base64 for `-bin` keys of gRPC, percent signs for its `grpc-message` and in URLs.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 without padding, as gRPC asks senders to write it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, i| group << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..=chunk.len() {
            out.push(ALPHABET[(group >> (18 - 6 * i)) as usize & 63] as char);
        }
    }
    out
}

/// Reads base64 with or without padding; `None` when it is not base64.
pub(crate) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&c| c != b'=').map_or(0, |last| last + 1);
    let mut out = Vec::with_capacity(end * 3 / 4);
    for chunk in text[..end].chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut group = 0u32;
        for i in 0..4 {
            let digit = match chunk.get(i) {
                Some(c) => ALPHABET.iter().position(|a| a == c)? as u32,
                None => 0,
            };
            group = group << 6 | digit;
        }
        out.extend_from_slice(&group.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

/// `grpc-message`: everything but printable ASCII, and `%` itself, as `%XX` of its UTF-8.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(byte as char),
            _ => {
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    out
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Reads `grpc-message`; what is not a valid escape stays as it is, as gRPC asks.
pub(crate) fn from_percent(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = (byte == b'%').then(|| tail.get(..2)).flatten().and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            // The radix parser alone would take "+1" too.
            digits
                .bytes()
                .all(|digit| digit.is_ascii_hexdigit())
                .then(|| u8::from_str_radix(digits, 16).ok())?
        });
        match escape {
            Some(value) => {
                out.push(value);
                rest = &tail[2..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The first value of a URL's query under this name.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    let read = |text: &str| from_percent(text.replace('+', " ").as_bytes());
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (read(key) == name).then(|| read(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_rfcs_vectors_and_comes_back() {
        let vectors = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let texts = ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"];
        for (plain, text) in vectors.iter().zip(texts) {
            assert_eq!(base64(plain.as_bytes()), text);
            assert_eq!(from_base64(text.as_bytes()).unwrap(), plain.as_bytes());
        }
        assert_eq!(from_base64(b"Zg==").unwrap(), b"f");
        assert_eq!(from_base64(b"Z"), None);
        assert_eq!(from_base64(b"Z!g="), None);
    }

    #[test]
    fn messages_survive_the_percent_coding() {
        let message = "100 % of \u{fc}ml\n";
        assert_eq!(percent(message), "100 %25 of %C3%BCml%0A");
        assert_eq!(from_percent(percent(message).as_bytes()), message);
        assert_eq!(from_percent(b"50%, %zz, %4"), "50%, %zz, %4");
    }
}
