//! Which streams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::Signal;
use streamgauge_series::Pattern;

use super::Template;

/// A stream or a glob: its text alone, or with settings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StreamChoice {
    /// A name, or a glob when it has `*`, `?` or `[`.
    Text(String),
    /// With settings of its own.
    Full(StreamSettings),
}

/// A stream with settings of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamSettings {
    /// The stream's name.
    pub name: Option<String>,
    /// In place of a name: a glob; streams that match are found by searching the keyspace.
    pub pattern: Option<String>,
    /// Globs of names that the pattern does not mean. Dead letter streams are left out by themselves.
    pub exclude: Vec<String>,
    /// The consumer group, where it is another than `group.name`.
    pub group: Option<Template>,
    /// `critical`, `high`, `normal` or `low`.
    pub priority: Level,
    /// What the entries are, where the receiver stands in pipelines of several signals: `logs`, `metrics` or `traces`.
    pub signal: Option<SignalName>,
}

/// `priority` of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Before all others.
    Critical,
    /// Before what is normal.
    High,
    /// Neither.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Level {
    /// All of them, the highest first.
    pub const ALL: [Level; 4] = [Level::Critical, Level::High, Level::Normal, Level::Low];

    /// The level that an entry names.
    pub(in super::super) fn of(name: &[u8]) -> Option<Level> {
        let names = [&b"critical"[..], b"high", b"normal", b"low"];
        names
            .into_iter()
            .zip(Level::ALL)
            .find(|(one, _)| name.eq_ignore_ascii_case(one))
            .map(|(_, level)| level)
    }
}

/// A signal in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignalName {
    /// Log records.
    Logs,
    /// Metrics.
    Metrics,
    /// Spans.
    Traces,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Logs => Signal::Logs,
            SignalName::Metrics => Signal::Metrics,
            SignalName::Traces => Signal::Traces,
        }
    }
}

/// What a text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Meant {
    /// This stream.
    Name(String),
    /// All that match.
    Glob(String),
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

impl StreamChoice {
    /// With every setting.
    pub(in super::super) fn settings(&self) -> StreamSettings {
        match self {
            StreamChoice::Full(settings) => settings.clone(),
            StreamChoice::Text(text) if is_glob(text) => {
                StreamSettings { pattern: Some(text.clone()), ..StreamSettings::default() }
            }
            StreamChoice::Text(text) => {
                StreamSettings { name: Some(text.clone()), ..StreamSettings::default() }
            }
        }
    }

    pub(super) fn problems(&self) -> Vec<String> {
        let settings = self.settings();
        let mut found = Vec::new();
        match (&settings.name, &settings.pattern) {
            (Some(_), Some(_)) => found.push("has a name and a pattern: give one of them".to_owned()),
            (None, None) => found.push("needs a name or a pattern".to_owned()),
            (Some(text), None) | (None, Some(text)) if text.is_empty() => {
                found.push("must not be empty".to_owned());
            }
            _ => {}
        }
        if settings.name.is_some() && !settings.exclude.is_empty() {
            found.push("excludes names from a single name: exclude goes with a pattern".to_owned());
        }
        for glob in settings.pattern.iter().chain(&settings.exclude) {
            found.extend(glob.parse::<Pattern>().err());
        }
        if let Some(Err(message)) = settings.group.as_ref().map(Template::check) {
            found.push(format!("group {message}"));
        }
        found
    }
}

impl StreamSettings {
    /// What its text means.
    pub(in super::super) fn meant(&self) -> Option<Meant> {
        match (&self.name, &self.pattern) {
            (Some(name), _) => Some(Meant::Name(name.clone())),
            (None, Some(glob)) => Some(Meant::Glob(glob.clone())),
            (None, None) => None,
        }
    }
}
