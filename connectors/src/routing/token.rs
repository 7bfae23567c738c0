//! The words of a condition.

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, with its dots: `resource.attributes`, `and`, `nil`.
    Name(String),
    Text(String),
    Int(i64),
    Double(f64),
    /// `==`, `!=`, `[`, `]`, `(`, `)`, `,`, and what is refused later.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 16] =
    ["==", "!=", "<=", ">=", "<", ">", "[", "]", "(", ")", ",", "+", "*", "/", "-", "="];

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Name(name) => write!(f, "`{name}`"),
            Token::Text(text) => write!(f, "{text:?}"),
            Token::Int(number) => write!(f, "{number}"),
            Token::Double(number) => write!(f, "{number}"),
            Token::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}

/// The words of a text.
///
/// # Errors
/// What is no word, with its place.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let at = || text.chars().count() - rest.chars().count() + 1;
        let negative = first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        let (token, len) = if first == '"' {
            quoted(rest).ok_or_else(|| format!("the text that begins at character {} does not end", at()))?
        } else if first.is_ascii_digit() || negative {
            let len = end(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
            let word = &rest[..len];
            let int = word.parse().map(Token::Int);
            let number = int.or_else(|_| word.parse().map(Token::Double));
            (number.map_err(|_| format!("{word} is no number"))?, len)
        } else if first.is_alphabetic() || first == '_' {
            let len = end(rest, |c| c.is_alphanumeric() || matches!(c, '.' | '_'));
            (Token::Name(rest[..len].to_owned()), len)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("{first:?} at character {} has no meaning", at()))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = &rest[len..];
    }
}

/// How long the word is.
fn end(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// A text in quotes, and how long it is with them.
fn quoted(text: &str) -> Option<(Token, usize)> {
    let (mut plain, mut escaped) = (String::new(), false);
    for (at, c) in text.char_indices().skip(1) {
        match (escaped, c) {
            (false, '"') => return Some((Token::Text(plain), at + 1)),
            (false, '\\') => escaped = true,
            (false, c) => plain.push(c),
            (true, c) => {
                match c {
                    'n' => plain.push('\n'),
                    't' => plain.push('\t'),
                    'r' => plain.push('\r'),
                    '"' | '\\' => plain.push(c),
                    // As in a regular expression, "\d".
                    other => plain.extend(['\\', other]),
                }
                escaped = false;
            }
        }
    }
    None
}
