//! Secrets within URLs: the password before the host, and parameters whose names say what they are.

use std::borrow::Cow;
use std::ops::Range;

use super::{REDACTED, SECRET_WORDS};

/// Further parts of a parameter's name that make its value a secret: `sig`, `X-Amz-Signature`, `subscription-key`.
const SECRET_PARTS: [&str; 9] = ["key", "sig", "signature", "auth", "pass", "pwd", "jwt", "sas", "sign"];

/// A setting's text without them. It may be a URL as a whole, so nothing in it ends one.
pub(super) fn setting_without_secrets(text: &str) -> Cow<'_, str> {
    cut(text, ranges(text, |_, _| text.len()))
}

/// A message without them. A URL in it ends with its quotation mark, or else with a space.
pub(crate) fn message_without_secrets(text: &str) -> Cow<'_, str> {
    cut(
        text,
        ranges(text, |quote, from| match quote {
            Some(quote) => closing(text, quote, from),
            None => text[from..].find(char::is_whitespace).map_or(text.len(), |end| from + end),
        }),
    )
}

/// Where the first of them begins on a line of a file.
pub(crate) fn first_secret(line: &str) -> Option<usize> {
    ranges(line, |_, _| line.len()).first().map(|range| range.start)
}

/// All of them, in order and apart; `end` says where a URL ends, by the quotation mark before it and where its scheme ends.
fn ranges(text: &str, end: impl Fn(Option<char>, usize) -> usize) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, separator) in text.match_indices("://") {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-');
        let before = text[..at].trim_end_matches(is_scheme);
        if before.len() == at {
            continue;
        }
        let quote = before.chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`'));
        let from = at + separator.len();
        of_url(text, from..end(quote, from), &mut found);
    }
    found.sort_unstable_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// Those of the URL whose part behind `://` is the range.
fn of_url(text: &str, url: Range<usize>, found: &mut Vec<Range<usize>>) {
    let rest = &text[url.clone()];
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold a slash that nobody escaped: the last @ of all decides then.
    if let Some(at) = rest[..host_end].rfind('@').or_else(|| rest.rfind('@'))
        && let Some(colon) = rest[..at].find(':')
    {
        found.push(url.start + colon + 1..url.start + at);
    }
    let Some(query) = rest.find(['?', '#']) else { return };
    let mut from = query + 1;
    for parameter in rest[from..].split(['&', ';', '#', '?']) {
        if let Some(equals) = parameter.find('=')
            && is_secret(&parameter[..equals])
            && equals + 1 < parameter.len()
        {
            found.push(url.start + from + equals + 1..url.start + from + parameter.len());
        }
        from += parameter.len() + 1;
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        || name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| SECRET_PARTS.contains(&part))
}

/// Where a text in quotation marks ends.
fn closing(text: &str, quote: char, from: usize) -> usize {
    let mut escaped = false;
    for (at, c) in text[from..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return from + at,
            _ => {}
        }
    }
    text.len()
}

fn cut(text: &str, ranges: Vec<Range<usize>>) -> Cow<'_, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        out.push_str(&text[from..range.start]);
        out.push_str(REDACTED);
        from = range.end;
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_and_secret_parameters_go_and_nothing_else() {
        for (url, shown) in [
            ("redis://u:hunter2@h:1/0", "redis://u:#@h:1/0"),
            ("redis://:hunter2@h", "redis://:#@h"),
            ("redis://u:hunter2/2@h:1/0", "redis://u:#@h:1/0"),
            ("redis://u:hunter2@h:1,redis://v:hunter2@i:1", "redis://u:#@h:1,redis://v:#@i:1"),
            ("https://h/w?token=hunter2&tenant=a", "https://h/w?token=#&tenant=a"),
            ("https://h/w?tenant=a&api_key=hunter2", "https://h/w?tenant=a&api_key=#"),
            (
                "https://h?X-Amz-Signature=hunter2#access_token=hunter2",
                "https://h?X-Amz-Signature=##access_token=#",
            ),
            ("https://u:hunter2@h/w?sig=hunter2;key=hunter2", "https://u:#@h/w?sig=#;key=#"),
            (
                "postgres://u:hunter2@h/db?sslpassword=hunter2&sslmode=require",
                "postgres://u:#@h/db?sslpassword=#&sslmode=require",
            ),
            (
                "https://u@h:1/keys?monkey=1&keyspace=2&token=",
                "https://u@h:1/keys?monkey=1&keyspace=2&token=",
            ),
            ("://u:p@h", "://u:p@h"),
            ("token=visible", "token=visible"),
        ] {
            let shown = shown.replace("=##", "=[REDACTED]#").replace(":#", ":[REDACTED]");
            let shown = shown.replace("=#", "=[REDACTED]");
            assert_eq!(setting_without_secrets(url), shown);
            assert_eq!(message_without_secrets(url), shown);
        }
    }

    #[test]
    fn in_a_message_only_the_url_is_changed() {
        for (text, shown) in [
            (
                "no answer from redis://u:hunter2@h:1 at all, ask a@b",
                "no answer from redis://u:[REDACTED]@h:1 at all, ask a@b",
            ),
            ("bad \"redis://u:hun ter2@h\": no", "bad \"redis://u:[REDACTED]@h\": no"),
            (r#"bad "redis://u:hun\"ter2@h": no"#, r#"bad "redis://u:[REDACTED]@h": no"#),
            ("see https://h:1/x, not me@h", "see https://h:1/x, not me@h"),
            ("`https://h/?key=hunter2` is no host", "`https://h/?key=[REDACTED]` is no host"),
        ] {
            assert_eq!(message_without_secrets(text), shown);
        }
    }

    #[test]
    fn a_line_is_shown_up_to_its_first_secret() {
        assert_eq!(first_secret("endpoint: 'https://h/?a=1&sig=hunter2'"), Some(30));
        assert_eq!(first_secret("endpoint: 'redis://u:hun/ter 2@h'"), Some(21));
        assert_eq!(first_secret("endpoint: https://h/?a=1 # token=none"), Some(33));
        assert_eq!(first_secret("endpoint: https://h/?a=1"), None);
    }

    proptest! {
        #[test]
        fn no_password_and_no_token_is_shown(password in "[^@\"\\\\ ]{1,8}S3CRET[^@\"\\\\ ]{0,8}", token in "S3CRET[a-zA-Z0-9%/+]{1,9}") {
            let url = format!("redis://user:{password}@host:1/0?token={token}&db=1");
            for shown in [setting_without_secrets(&url), message_without_secrets(&format!("bad \"{url}\"")).into_owned().into()] {
                prop_assert!(!shown.contains("S3CRET"), "{shown}");
                prop_assert_eq!(message_without_secrets(&shown), shown.as_ref(), "several hands may do it again");
            }
        }

        #[test]
        fn no_text_is_too_strange(text in "([:/@?&=#; \"']|://|[a-zü]|key=){0,24}") {
            for shown in [message_without_secrets(&text), setting_without_secrets(&text)] {
                let mut rest = text.as_str();
                for piece in shown.split(REDACTED) {
                    let at = rest.find(piece);
                    prop_assert!(at.is_some(), "{piece:?} of {shown:?} was not there");
                    rest = &rest[at.unwrap_or(0) + piece.len()..];
                }
            }
            first_secret(&text);
        }
    }
}
