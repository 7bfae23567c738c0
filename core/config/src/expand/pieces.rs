//! A string cut into text and references.

/// A part of a string.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// Text, its `$$` already made `$`.
    Text(String),
    /// What stands between `${` and `}`.
    Reference(Vec<Piece>),
}

/// Most references within one another.
const MAX_NESTING: usize = 32;
/// Most references in one string.
const MAX_REFERENCES: usize = 1000;

/// Cuts a string. An even number of `$` before a `{` escapes it; a `${` that is never closed is text.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, ()> {
    let mut open: Vec<Vec<Piece>> = Vec::new();
    let mut here: Vec<Piece> = Vec::new();
    let mut references = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['$', '}']) {
        push(&mut here, &rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix('}') {
            match open.pop() {
                Some(outer) => {
                    let inner = std::mem::replace(&mut here, outer);
                    here.push(Piece::Reference(inner));
                }
                None => push(&mut here, "}"),
            }
            rest = after;
            continue;
        }
        let dollars = rest.bytes().take_while(|b| *b == b'$').count();
        rest = &rest[dollars..];
        if dollars % 2 == 1 && rest.starts_with('{') {
            push(&mut here, &"$".repeat(dollars / 2));
            references += 1;
            if open.len() >= MAX_NESTING || references > MAX_REFERENCES {
                return Err(());
            }
            open.push(std::mem::take(&mut here));
            rest = &rest[1..];
        } else {
            push(&mut here, &"$".repeat(dollars.div_ceil(2)));
        }
    }
    push(&mut here, rest);
    while let Some(mut outer) = open.pop() {
        push(&mut outer, "${");
        for piece in here {
            match piece {
                Piece::Text(text) => push(&mut outer, &text),
                reference => outer.push(reference),
            }
        }
        here = outer;
    }
    Ok(here)
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}
