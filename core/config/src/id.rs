//! Names of things: `redis/cache`, `metrics/fast`.

use std::fmt;
use std::str::FromStr;

/// The kinds of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Takes data in.
    Receiver,
    /// Changes data on its way.
    Processor,
    /// Hands data out.
    Exporter,
    /// Leads from pipelines into others.
    Connector,
    /// Stands beside the pipelines.
    Extension,
}

impl Kind {
    /// All of them, in the order of their sections.
    pub const ALL: [Self; 5] =
        [Self::Receiver, Self::Processor, Self::Exporter, Self::Connector, Self::Extension];

    /// `receiver` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Exporter => "exporter",
            Self::Connector => "connector",
            Self::Extension => "extension",
        }
    }

    /// The key of its section: `receivers` and so on.
    pub fn section(self) -> &'static str {
        match self {
            Self::Receiver => "receivers",
            Self::Processor => "processors",
            Self::Exporter => "exporters",
            Self::Connector => "connectors",
            Self::Extension => "extensions",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a pipeline carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// `traces`, `metrics` or `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `type` or `type/name`, both trimmed. The type is as written, which may be an old name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    kind: String,
    name: String,
}

impl ComponentId {
    /// The part before the slash.
    pub fn type_name(&self) -> &str {
        &self.kind
    }

    /// The part after the slash, empty when there is none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for ComponentId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = split(text)?;
        let mut letters = kind.chars();
        let type_ok = letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && kind.len() <= 63
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !type_ok {
            return Err(format!("invalid character(s) in type {kind:?}"));
        }
        check_name(name)?;
        Ok(Self { kind: kind.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_id(f, &self.kind, &self.name)
    }
}

/// `traces`, `metrics` or `logs`, with or without `/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PipelineId {
    signal: Signal,
    name: String,
}

impl PipelineId {
    /// What it carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The part after the slash, empty when there is none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for PipelineId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (signal, name) = split(text)?;
        let Some(signal) = Signal::ALL.into_iter().find(|s| s.name() == signal) else {
            return Err(format!("unknown pipeline signal: {signal:?}"));
        };
        check_name(name)?;
        Ok(Self { signal, name: name.to_owned() })
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_id(f, self.signal.name(), &self.name)
    }
}

fn split(text: &str) -> Result<(&str, &str), String> {
    let Some((before, after)) = text.split_once('/') else {
        let kind = text.trim();
        return if kind.is_empty() { Err("id must not be empty".to_owned()) } else { Ok((kind, "")) };
    };
    let (before, after) = (before.trim(), after.trim());
    if before.is_empty() {
        return Err(format!("in {text:?} id: the part before / should not be empty"));
    }
    if after.is_empty() {
        return Err(format!("in {text:?} id: the part after / should not be empty"));
    }
    Ok((before, after))
}

/// A name is anything that can be seen: no spaces, control characters or symbols.
fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length > 1024 {
        return Err(format!("name {name:?} is longer than 1024 characters ({length} characters)"));
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control() || is_symbol(c)) {
        return Err(format!("invalid character(s) in name {name:?}"));
    }
    Ok(())
}

/// The symbols among ASCII and Latin-1, of Unicode's class S, and the blocks that hold nothing else.
fn is_symbol(c: char) -> bool {
    matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
        || matches!(c, '¢'..='¦' | '¨' | '©' | '¬' | '®'..='±' | '´' | '¸' | '×' | '÷')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{20a0}'..='\u{20cf}' | '\u{2190}'..='\u{23ff}' | '\u{2500}'..='\u{27bf}')
        || matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}')
}

fn write_id(f: &mut fmt::Formatter<'_>, kind: &str, name: &str) -> fmt::Result {
    f.write_str(kind)?;
    if !name.is_empty() {
        write!(f, "/{name}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_trimmed_and_told_apart() {
        let id: ComponentId = " redis / cache 2".replace(' ', "").parse().unwrap();
        assert_eq!((id.type_name(), id.name()), ("redis", "cache2"));
        assert_eq!("  otlp  ".parse::<ComponentId>().unwrap().to_string(), "otlp");
        assert_eq!(" otlp / a ".parse::<ComponentId>().unwrap().to_string(), "otlp/a");
        assert_eq!("otlp/a/b".parse::<ComponentId>().unwrap().name(), "a/b");
    }

    #[test]
    fn a_wrong_id_says_what_is_wrong_in_the_collectors_words() {
        let error = |text: &str| text.parse::<ComponentId>().unwrap_err();
        assert_eq!(error("  "), "id must not be empty");
        assert_eq!(error("/x"), r#"in "/x" id: the part before / should not be empty"#);
        assert_eq!(error("x/"), r#"in "x/" id: the part after / should not be empty"#);
        assert_eq!(error("a-b"), r#"invalid character(s) in type "a-b""#);
        assert_eq!(error("1a"), r#"invalid character(s) in type "1a""#);
        assert_eq!(error(&"a".repeat(64)), format!("invalid character(s) in type \"{}\"", "a".repeat(64)));
        assert_eq!(error("a/b c"), r#"invalid character(s) in name "b c""#);
        assert_eq!(error("a/b$"), r#"invalid character(s) in name "b$""#);
        assert!(
            error(&format!("a/{}", "n".repeat(1025)))
                .ends_with("is longer than 1024 characters (1025 characters)")
        );
    }

    #[test]
    fn a_pipeline_is_one_of_the_three_signals() {
        let id: PipelineId = "metrics/fast".parse().unwrap();
        assert_eq!((id.signal(), id.name()), (Signal::Metrics, "fast"));
        assert_eq!("metric".parse::<PipelineId>().unwrap_err(), r#"unknown pipeline signal: "metric""#);
    }
}
