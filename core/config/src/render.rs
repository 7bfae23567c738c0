//! Diagnostics for people: the line, a caret, what to do.

use std::fmt::Write;

use crate::redact::{SECRET_WORDS, first_secret, message_without_secrets};
use crate::{Diagnostic, Diagnostics, Place, REDACTED, Severity};

/// How to show diagnostics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With the colours of a terminal.
    Colour,
}

/// The longest line that is shown whole; of a longer one, the part around the place is shown.
const WIDTH: usize = 120;

/// All diagnostics as text for people, errors first.
pub fn render(diagnostics: &Diagnostics, style: Style) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| d.severity);
    let blocks: Vec<String> = sorted.into_iter().map(|d| block(d, style)).collect();
    blocks.join("\n")
}

fn block(d: &Diagnostic, style: Style) -> String {
    let paint = Paint(style == Style::Colour);
    let (name, colour) = match d.severity {
        Severity::Error => ("error", "1;31"),
        Severity::Warning => ("warning", "1;33"),
    };
    let head = paint.with(colour, &format!("{name}[{}]", d.code));
    let mut out = format!("{head}{}\n", paint.with("1", &format!(": {}", shown(&d.message))));
    let number = d.place.as_ref().map(|p| p.line.to_string()).unwrap_or_default();
    let margin = " ".repeat(number.len());
    let bar = paint.with("1;34", "|");
    // Writing to a string does not fail.
    if let Some(place) = &d.place {
        let _ = writeln!(out, "{margin}{} {}", paint.with("1;34", "-->"), shown(&place.to_string()));
        if let Some((line, start, length)) = snippet(place) {
            let _ = writeln!(out, "{margin} {bar}");
            let _ = writeln!(out, "{} {bar} {line}", paint.with("1;34", &number));
            let carets = paint.with(colour, &"^".repeat(length));
            let _ = writeln!(out, "{margin} {bar} {}{carets}", " ".repeat(start));
        }
    }
    for note in &d.notes {
        let _ = writeln!(out, "{margin} {} note: {}", paint.with("1;34", "="), shown(note));
    }
    if let Some(help) = &d.help {
        let _ = writeln!(
            out,
            "{margin} {} {}",
            paint.with("1;34", "="),
            paint.with("1;36", &format!("help: {}", shown(help)))
        );
    }
    out
}

struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A message without secrets.
fn shown(text: &str) -> String {
    visible(&message_without_secrets(text))
}

/// Control characters out of a file must not steer the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

/// The line to show, and from where to where it is underlined. Secrets are taken out.
fn snippet(place: &Place) -> Option<(String, usize, usize)> {
    let line: Vec<char> = visible(place.source.line(place.line)?).chars().collect();
    let (mut start, mut length) = (place.column.saturating_sub(1) as usize, place.length.max(1) as usize);
    let mut shown = line;
    if let Some(from) = secret_from(&shown) {
        shown.truncate(from);
        shown.extend(REDACTED.chars());
        if start >= from {
            (start, length) = (from, REDACTED.len());
        }
    }
    start = start.min(shown.len());
    length = length.min(shown.len().saturating_sub(start)).max(1);
    if shown.len() > WIDTH {
        let from = start.saturating_sub(WIDTH / 3);
        shown = shown[from..].iter().take(WIDTH).copied().collect();
        start -= from;
        length = length.min(shown.len().saturating_sub(start)).max(1);
    }
    Some((shown.into_iter().collect(), start, length))
}

/// From where on a line must not be shown: after the colon of a secret's key, or from a secret in a URL.
fn secret_from(line: &[char]) -> Option<usize> {
    let text: String = line.iter().map(char::to_ascii_lowercase).collect();
    let key = SECRET_WORDS.iter().filter_map(|word| {
        let end = text.find(word)? + word.len();
        let colon = end + text[end..].find([':', '='])?;
        let value = text[colon + 1..].find(|c: char| c != ' ')?;
        let value = colon + 1 + value;
        // A reference is no secret, unless its default is one.
        let reference = text[value..].trim_matches(['"', '\'', ' ']);
        (!reference.starts_with("${") || reference.contains(":-")).then_some(value)
    });
    key.chain(first_secret(&text)).min().map(|byte| text[..byte].chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    fn shown(text: &str, column: u32, length: u32) -> String {
        let place = Place { column, length, ..Place::start_of(&Source::new("t.yaml", text)) };
        render(&Diagnostic::error("SG0000", "wrong").at(&place).into(), Style::Plain)
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        assert_eq!(
            shown("a: {b: 5}", 5, 1),
            "error[SG0000]: wrong\n --> t.yaml:1:5\n  |\n1 | a: {b: 5}\n  |     ^\n"
        );
    }

    #[test]
    fn a_secret_on_the_line_is_not_shown() {
        for line in [
            "password: hunter2",
            "  {user: a, Password: hunter2}",
            "headers: {authorization: hunter2}",
            "endpoint: redis://user:hunter2@host:6379",
            "x-api-key: \"hunter2\"",
            "key_pem: hunter2",
            "ünïcödé_token: hunter2",
            "endpoint: 'redis://user:hunter2/with slash@host:6379'",
            "endpoint: https://host/write?sig=hunter2",
        ] {
            let text = shown(line, 1, 40);
            assert!(!text.contains("hunter2") && text.contains(REDACTED), "{text}");
        }
    }

    #[test]
    fn a_secret_in_a_message_is_not_shown_to_people_nor_to_machines() {
        let d = Diagnostic::error("SG0000", "bad \"redis://u:hunter2@h\"")
            .within("in redis://u:hunter2@h")
            .note("not https://h/?token=hunter2")
            .help("try redis://u:hunter2@h");
        let text = format!("{d}{}", Diagnostics::from(d.clone()).to_json());
        let text = format!("{text}{}", render(&Diagnostics::from(d), Style::Plain));
        assert!(!text.contains("hunter2") && text.matches(REDACTED).count() == 9, "{text}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = shown(&format!("{}WRONG{}", "a".repeat(500), "b".repeat(500)), 501, 5);
        assert!(text.contains("WRONG") && text.lines().all(|l| l.len() < WIDTH + 10), "{text}");
        let caret = text.lines().last().unwrap().find('^').unwrap();
        assert_eq!(text.lines().nth(3).unwrap().find("WRONG"), Some(caret));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert!(!shown("a: \u{1b}[2J", 1, 1).contains('\u{1b}'));
    }

    #[test]
    fn colour_is_used_when_asked_for_only() {
        let list = Diagnostic::error("SG0000", "wrong").help("do right").into();
        assert!(!render(&list, Style::Plain).contains('\u{1b}'));
        assert!(render(&list, Style::Colour).contains("\u{1b}[1;31merror[SG0000]"));
    }
}
