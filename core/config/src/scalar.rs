//! What a scalar's text means, by the rules of the YAML library that the Collector uses.

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Plain: its text decides what it is.
    Plain,
    /// Quoted or a block: it is a string.
    Quoted,
}

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalarKind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; `yes` and `on` are strings, as in the Collector.
    Bool(bool),
    /// A whole number, decimal, `0x`, `0o`, `0b`, or octal with a leading `0`.
    Int(i128),
    /// A number with a point or an exponent, `.inf` or `.nan`.
    Float(f64),
    /// Anything else.
    Str,
}

/// One scalar: its text as written (after YAML's own unquoting), how it was quoted and what it is.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// The text, after YAML's unquoting.
    pub text: String,
    /// Whether it was quoted.
    pub quoting: Quoting,
    /// What it is.
    pub kind: ScalarKind,
}

impl PartialEq for Scalar {
    /// How a scalar is quoted, and in which of its words null is written, carries no meaning.
    fn eq(&self, other: &Self) -> bool {
        let null = self.kind == ScalarKind::Null;
        self.kind_name() == other.kind_name() && (null || self.text == other.text)
    }
}

impl Scalar {
    /// A plain scalar, whose text decides.
    pub fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        let kind = resolve(&text);
        Self { text, quoting: Quoting::Plain, kind }
    }

    /// A string, whatever its text looks like.
    pub fn string(text: impl Into<String>) -> Self {
        Self { text: text.into(), quoting: Quoting::Quoted, kind: ScalarKind::Str }
    }

    /// The name of this kind in the Collector's messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            ScalarKind::Null => "null",
            ScalarKind::Bool(_) => "bool",
            ScalarKind::Int(_) => "int",
            ScalarKind::Float(_) => "float64",
            ScalarKind::Str => "string",
        }
    }
}

/// What a plain scalar with this text is.
pub(crate) fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "True" | "TRUE" => return ScalarKind::Bool(true),
        "false" | "False" | "FALSE" => return ScalarKind::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return ScalarKind::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return ScalarKind::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return ScalarKind::Float(f64::NAN),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return ScalarKind::Str;
    }
    let digits = text.replace('_', "");
    integer(&digits)
        .map(ScalarKind::Int)
        .or_else(|| float(&digits).map(ScalarKind::Float))
        .unwrap_or(ScalarKind::Str)
}

fn integer(text: &str) -> Option<i128> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (radix, body) = match body.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &body[2..]),
        [b'0', b'o' | b'O', ..] => (8, &body[2..]),
        [b'0', b'b' | b'B', ..] => (2, &body[2..]),
        [b'0', _, ..] if body.bytes().all(|b| (b'0'..=b'7').contains(&b)) => (8, &body[1..]),
        _ => (10, body),
    };
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    // Beyond 64 bits the Collector's library falls back to a float.
    let value = sign * i128::from_str_radix(body, radix).ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 || !exponent_ok {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_typed_like_the_collectors_yaml_library() {
        for (text, kind) in [
            ("0123", ScalarKind::Int(83)),
            ("089", ScalarKind::Int(89)),
            ("0x1F", ScalarKind::Int(31)),
            ("0o17", ScalarKind::Int(15)),
            ("0b101", ScalarKind::Int(5)),
            ("1_000", ScalarKind::Int(1000)),
            ("-5", ScalarKind::Int(-5)),
            ("+5", ScalarKind::Int(5)),
            ("0", ScalarKind::Int(0)),
            ("1.5", ScalarKind::Float(1.5)),
            ("1e3", ScalarKind::Float(1000.0)),
            (".5", ScalarKind::Float(0.5)),
            ("1.", ScalarKind::Float(1.0)),
            ("99999999999999999999", ScalarKind::Float(1e20)),
            ("~", ScalarKind::Null),
            ("True", ScalarKind::Bool(true)),
            ("yes", ScalarKind::Str),
            ("on", ScalarKind::Str),
            ("1m30s", ScalarKind::Str),
            ("-", ScalarKind::Str),
            (".", ScalarKind::Str),
            ("1.2.3", ScalarKind::Str),
            ("2001-01-01", ScalarKind::Str),
            ("0x", ScalarKind::Str),
            ("+-5", ScalarKind::Str),
        ] {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }
}
