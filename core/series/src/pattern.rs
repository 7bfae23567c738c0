//! Which series are meant: attributes by text, glob or regular expression.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::Attributes;

/// What a text must look like: `orders` is that text, `orders*` a glob as in Redis (`*`, `?`, `[a-c]`, `[^a]`, `\` before
/// what is meant as such), `/^orders/` a regular expression that is searched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    source: String,
    /// `None` when the text itself is meant.
    regex: Option<Regex>,
}

impl Pattern {
    /// Whether a text looks like that.
    pub fn matches(&self, text: &str) -> bool {
        match &self.regex {
            Some(regex) => regex.is_match(text),
            None => self.source == text,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(source: &str) -> Result<Self, String> {
        let inner = source.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let regex = match inner {
            Some(inner) => Some(inner.to_owned()),
            None if source.contains(['*', '?', '[', '\\']) => Some(glob(source)?),
            None => None,
        };
        let regex = regex.map(|text| Regex::new(&text)).transpose().map_err(|error| {
            // The last line says what is wrong, those before it draw the place.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the pattern {source:?} is not valid: {why}")
        })?;
        Ok(Self { source: source.to_owned(), regex })
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        source.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.source
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A text, a glob or a /regular expression/." })
    }
}

/// A glob as regular expression.
fn glob(source: &str) -> Result<String, String> {
    let mut regex = String::from("(?s)^");
    let mut chars = source.chars();
    let mut literal = [0; 4];
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => {
                let mut class = String::new();
                loop {
                    match chars.next() {
                        Some(']') => break,
                        Some('^' | '!') if class.is_empty() => class.push('^'),
                        Some('\\') => {
                            class.extend(chars.next().map(|c| regex::escape(c.encode_utf8(&mut literal))))
                        }
                        Some('-') => class.push('-'),
                        Some(c) => class.push_str(&regex::escape(c.encode_utf8(&mut literal))),
                        None => {
                            return Err(format!(
                                "the glob {source:?} has a [ without ]: write \\[ for the sign"
                            ));
                        }
                    }
                }
                regex.push('[');
                regex.push_str(&class);
                regex.push(']');
            }
            c => {
                let c = if c == '\\' { chars.next().unwrap_or(c) } else { c };
                regex.push_str(&regex::escape(c.encode_utf8(&mut literal)));
            }
        }
    }
    regex.push('$');
    Ok(regex)
}

/// Series by their attributes: every one named here must be there and look like its pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Selector(BTreeMap<String, Pattern>);

impl Selector {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a series is meant. An attribute is looked for in the lists one after the other: first that of the point.
    ///
    /// # Errors
    /// An attribute that cannot be read.
    pub fn matches(&self, lists: &[Attributes<'_>]) -> Result<bool, Malformed> {
        for (name, pattern) in &self.0 {
            let Some(value) = find(lists, name)? else { return Ok(false) };
            if !pattern.matches(&value.to_text()?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl FromIterator<(String, Pattern)> for Selector {
    fn from_iter<I: IntoIterator<Item = (String, Pattern)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// The value of an attribute, from the first of several lists that has it.
///
/// # Errors
/// An attribute that cannot be read.
pub fn find<'a>(
    lists: &[Attributes<'a>],
    name: &str,
) -> Result<Option<streamgauge_pdata::view::Value<'a>>, Malformed> {
    for list in lists {
        if let Some(value) = list.get(name)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_text_glob_or_regular_expression() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("orders", &["orders"], &["orders2", "", "Orders"]),
            ("orders.eu", &["orders.eu"], &["orders-eu"]),
            ("orders*", &["orders", "orders:eu/1\n2"], &["my:orders"]),
            ("{eu}:*", &["{eu}:orders"], &["eu:orders"]),
            ("o?d", &["old", "odd"], &["od", "oldd"]),
            ("shard-[0-3a]", &["shard-0", "shard-3", "shard-a"], &["shard-4", "shard-"]),
            ("x[^ab]", &["xc"], &["xa", "xb"]),
            ("a\\*", &["a*"], &["ab", "a"]),
            ("/^bill/", &["billing", "bill"], &["my billing"]),
            ("/ill/", &["billing"], &["bil"]),
            ("/", &["/"], &["a/b"]),
            ("", &[""], &["a"]),
        ];
        for (source, yes, no) in table {
            let pattern: Pattern = source.parse().unwrap();
            yes.iter().for_each(|text| assert!(pattern.matches(text), "{source} should match {text:?}"));
            no.iter().for_each(|text| assert!(!pattern.matches(text), "{source} should not match {text:?}"));
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let error = serde_json::from_str::<Pattern>("\"/a(/\"").unwrap_err().to_string();
        assert!(error.contains("\"/a(/\" is not valid: unclosed group"), "{error}");
        assert!("a[b".parse::<Pattern>().unwrap_err().contains("without ]"));
    }

    #[test]
    fn a_selector_reads_back_as_it_was_written() {
        let json = r#"{"group":"/^bill/","stream":"orders*"}"#;
        let selector: Selector = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&selector).unwrap(), json);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_pattern_panic(source in "[\\[\\]*?/\\\\a-c^!-]{0,12}", text in "[a-c]{0,4}") {
            if let Ok(pattern) = source.parse::<Pattern>() {
                pattern.matches(&text);
            }
        }
    }
}
