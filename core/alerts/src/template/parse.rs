//! From text to pieces and expressions.

use super::Piece;
use super::call::{Expr, Function};

/// What is wrong, and at which byte.
#[derive(Debug)]
pub(super) struct Fault {
    pub at: usize,
    pub message: String,
}

fn fault<T>(at: usize, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, message: message.into() })
}

/// Cuts a template into text and actions.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_start = false;
    loop {
        let open = source[at..].find("{{").map(|found| at + found);
        let mut text = &source[at..open.unwrap_or(source.len())];
        let trim_end = open.is_some_and(|open| is_trim_open(&source[open..]));
        if trim_start {
            text = text.trim_start();
        }
        if trim_end {
            text = text.trim_end();
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let Some(open) = open else { return Ok(pieces) };
        let start = open + 2 + usize::from(trim_end);
        let Some(end) = action_end(&source[start..]).map(|found| start + found) else {
            return fault(open, "{{ is never closed by }}: add }}");
        };
        let body = &source[start..end];
        trim_start = body.ends_with('-') && body[..body.len() - 1].ends_with(char::is_whitespace);
        let body = if trim_start { &body[..body.len() - 1] } else { body };
        let trimmed = body.trim();
        if !(trimmed.starts_with("/*") && trimmed.ends_with("*/")) {
            pieces.push(Piece::Action(pipeline(body, start)?));
        }
        at = end + 2;
    }
}

/// `{{- ` with white space after it, as Go wants it: `{{-3}}` is a number.
fn is_trim_open(text: &str) -> bool {
    text.strip_prefix("{{-").is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Where `}}` closes an action, quoted text left out.
fn action_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            None => {}
        }
    }
    None
}

enum Token {
    Operand(Expr),
    Labels,
    Name(String),
    Pipe,
}

/// Reads `operand`, `function argument ...` and pipes between them. `start` is where `body` begins in the template.
fn pipeline(body: &str, start: usize) -> Result<Expr, Fault> {
    let tokens = tokens(body, start)?;
    let mut result: Option<Expr> = None;
    let mut at = start;
    let mut next = 0;
    for command in tokens.split(|(_, token)| matches!(token, Token::Pipe)) {
        let Some(((first_at, first), rest)) = command.split_first() else {
            let place = tokens.get(next).map_or(at, |(pipe, _)| *pipe);
            return fault(place, "a value or a function is missing here");
        };
        let piped = result.take();
        result = Some(match first {
            Token::Name(name) => call(name, *first_at, rest, piped)?,
            Token::Operand(_) | Token::Labels if piped.is_some() => {
                return fault(*first_at, "only a function can stand behind |");
            }
            Token::Operand(operand) => match rest.first() {
                None => operand.clone(),
                Some((more, _)) => {
                    return fault(*more, "a value takes no arguments: put a function before it");
                }
            },
            Token::Labels => {
                return fault(*first_at, "$labels is no text: name one label, {{ $labels.stream }}");
            }
            Token::Pipe => return fault(*first_at, "unexpected |"),
        });
        next += command.len();
        if let Some((pipe, _)) = tokens.get(next) {
            (at, next) = (*pipe, next + 1);
        }
    }
    match result {
        Some(expr) => Ok(expr),
        None => fault(start, "a value or a function is missing here"),
    }
}

fn call(name: &str, at: usize, arguments: &[(usize, Token)], piped: Option<Expr>) -> Result<Expr, Fault> {
    if name == "index" {
        return match arguments {
            [(_, Token::Labels), (_, Token::Operand(Expr::Text(label)))] if piped.is_none() => {
                Ok(Expr::Label(label.clone()))
            }
            _ => fault(at, "index takes $labels and a name in quotes: index $labels \"service.name\""),
        };
    }
    let mut operands = Vec::new();
    for (at, argument) in arguments {
        match argument {
            Token::Operand(operand) => operands.push(operand.clone()),
            Token::Labels => return fault(*at, "$labels is not a value: name one label, $labels.stream"),
            Token::Name(name) => return fault(*at, format!("{name} cannot be an argument: use a pipe")),
            Token::Pipe => return fault(*at, "unexpected |"),
        }
    }
    operands.extend(piped);
    Function::bind(name, operands).map_err(|message| Fault { at, message })
}

fn tokens(body: &str, start: usize) -> Result<Vec<(usize, Token)>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = body[at..].chars().next() {
        let here = start + at;
        let rest = &body[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, len) = match c {
            '|' => (Token::Pipe, 1),
            '"' => quoted(rest, here)?,
            '`' => match rest[1..].find('`') {
                Some(end) => (Token::Operand(Expr::Text(rest[1..=end].to_owned())), end + 2),
                None => return fault(here, "` is never closed"),
            },
            _ => {
                let len =
                    rest.find(|c: char| c.is_whitespace() || "|\"`()".contains(c)).unwrap_or(rest.len());
                if len == 0 {
                    return fault(here, format!("{c} is not supported here: use a pipe"));
                }
                (word(&rest[..len], here)?, len)
            }
        };
        tokens.push((here, token));
        at += len;
    }
    Ok(tokens)
}

fn word(word: &str, at: usize) -> Result<Token, Fault> {
    if let Some(label) = word.strip_prefix("$labels.").or_else(|| word.strip_prefix(".Labels.")) {
        return match label {
            "" => fault(at, "the label's name is missing: {{ $labels.stream }}"),
            label => Ok(Token::Operand(Expr::Label(label.to_owned()))),
        };
    }
    match word {
        "$value" | ".Value" => return Ok(Token::Operand(Expr::Value)),
        "$labels" | ".Labels" => return Ok(Token::Labels),
        "if" | "else" | "end" | "range" | "with" | "define" | "template" | "block" => {
            return fault(at, format!("{word} is not supported: labels, the value and functions are"));
        }
        _ => {}
    }
    if word.starts_with(['$', '.']) {
        return fault(at, format!("{word} is not known: use $labels.NAME or $value"));
    }
    if word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return match word.parse() {
            Ok(number) => Ok(Token::Operand(Expr::Number(number))),
            Err(_) => fault(at, format!("{word} is not a number")),
        };
    }
    if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(Token::Name(word.to_owned()));
    }
    fault(at, format!("{word} is not understood: use $labels.NAME, $value or a function"))
}

fn quoted(text: &str, at: usize) -> Result<(Token, usize), Fault> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Operand(Expr::Text(value)), place + 1)),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, c @ ('"' | '\\'))) => c,
                _ => return fault(at + place, "only \\n, \\t, \\\" and \\\\ are known here"),
            }),
            c => value.push(c),
        }
    }
    fault(at, "\" is never closed")
}
