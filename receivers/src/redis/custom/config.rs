//! `custom_metrics` and `checks`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_redis::ReadCommand;

use super::source::Source;
use crate::redis::metrics::RedisMetrics;
use crate::scrape::table::Table as _;

/// A metric that the configuration declares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomMetric {
    /// Its name, such as `app.jobs.waiting`.
    pub name: String,
    /// A field of INFO, or a member of one of its lines, such as `cmdstat_get.calls`. This or `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A command that reads one number, such as `LLEN jobs`; a list of words where one holds a space. This or `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Words>,
    /// Its unit, such as `By` or `{job}`.
    #[serde(default)]
    pub unit: String,
    /// What its value is.
    #[serde(default)]
    pub kind: CustomKind,
    /// Attributes of its points. Several entries of one name must differ in their values.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// One sentence about it.
    #[serde(default)]
    pub description: String,
}

/// What must hold on every server that tells it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name: the attribute `check`.
    pub name: String,
    /// A field of INFO, or a member of one of its lines. This or `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// A command that reads one number. This or `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Words>,
    /// How it is compared with `value`.
    pub op: Op,
    /// A number; or a text, which is compared by `==` and `!=` alone.
    pub value: Wanted,
    /// How bad it is when it does not hold: of `critical` ones `streamgauge doctor` makes a failure.
    #[serde(default)]
    pub severity: Severity,
    /// What to say then. Without it, what was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A command in one line, or word by word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "wants a command in one line, such as LLEN jobs, or a list of its words")]
pub enum Words {
    /// Words with spaces between them.
    Line(String),
    /// Each word for itself.
    List(Vec<Word>),
}

/// A word of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Word {
    /// A text.
    Text(String),
    /// A number, which YAML tells apart.
    Whole(i64),
    /// A number with a fraction.
    Number(f64),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Text(text) => f.write_str(text),
            Word::Whole(number) => number.fmt(f),
            Word::Number(number) => number.fmt(f),
        }
    }
}

/// What a custom metric's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CustomKind {
    /// A value of the moment.
    #[default]
    Gauge,
    /// A number of things, which adds up over servers.
    Sum,
    /// A sum that only grows. When it falls it has begun anew.
    Counter,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Op {
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or the same.
    #[serde(rename = "<=")]
    AtMost,
    /// More.
    #[serde(rename = ">")]
    More,
    /// More or the same.
    #[serde(rename = ">=")]
    AtLeast,
    /// The same.
    #[serde(rename = "==")]
    Is,
    /// Another.
    #[serde(rename = "!=")]
    IsNot,
}

/// What a check compares with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "wants a number or a text")]
pub enum Wanted {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and may go wrong.
    #[default]
    Warning,
    /// It does not work.
    Critical,
}

impl Words {
    fn words(&self) -> Vec<String> {
        match self {
            Words::Line(line) => line.split_whitespace().map(str::to_owned).collect(),
            Words::List(words) => words.iter().map(Word::to_string).collect(),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

impl Severity {
    /// The word for attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl Op {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::More => ">",
            Op::AtLeast => ">=",
            Op::Is => "==",
            Op::IsNot => "!=",
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Number(number) => number.fmt(f),
            Wanted::Text(text) => f.write_str(text),
        }
    }
}

/// What is wrong about where a value is read, by key.
type Wrong = (&'static str, String);

fn source(field: Option<&str>, command: Option<&Words>) -> Result<Source, Wrong> {
    match (field, command) {
        (Some(field), None) if field.is_empty() || field.contains([' ', ':', '#', '\n']) => {
            Err(("field", format!("{field:?} cannot be a field of INFO: those are such as used_memory")))
        }
        (Some(field), None) => Ok(Source::Field(field.to_owned())),
        (None, Some(words)) => match ReadCommand::named(&words.words()) {
            Ok(named) => Ok(Source::Command(named)),
            Err(why) => Err(("command", why)),
        },
        (Some(_), Some(_)) => Err(("command", "stands beside `field`: give one of the two".to_owned())),
        (None, None) => {
            Err(("", "lacks `field`, a field of INFO, or `command`, such as LLEN jobs".to_owned()))
        }
    }
}

impl CustomMetric {
    pub(super) fn source(&self) -> Result<Source, Wrong> {
        source(self.field.as_deref(), self.command.as_ref())
    }

    fn problem(&self, before: &[CustomMetric]) -> Option<Wrong> {
        let name = &self.name;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(is_plain) {
            let message = "must begin with a letter and hold letters, digits, `.`, `_`, `-` and `/` alone";
            return Some(("name", message.to_owned()));
        }
        // As Prometheus will spell it: two names that become one there are one.
        let plain = |name: &str| name.replace(['.', '-', '/'], "_");
        if let Some(taken) = RedisMetrics::names().iter().find(|known| plain(known) == plain(name)) {
            return Some(("name", format!("{taken} is a metric of this receiver: take another name")));
        }
        if self.attributes.keys().any(String::is_empty) {
            return Some(("attributes", "an attribute needs a name".to_owned()));
        }
        for other in before.iter().filter(|other| other.name == *name) {
            if (&other.unit, other.kind) != (&self.unit, self.kind)
                || !other.attributes.keys().eq(self.attributes.keys())
            {
                let message = "an earlier entry of this name has another unit, kind or other attributes";
                return Some(("name", message.to_owned()));
            }
            if other.attributes == self.attributes {
                let message = "is there twice: entries of one name must differ in a value of `attributes`";
                return Some(("name", message.to_owned()));
            }
        }
        self.source().err()
    }
}

impl Check {
    pub(super) fn source(&self) -> Result<Source, Wrong> {
        source(self.field.as_deref(), self.command.as_ref())
    }

    /// What must hold, in words.
    pub fn wanted(&self) -> String {
        let what = match (&self.field, &self.command) {
            (Some(field), _) => field.clone(),
            (None, Some(words)) => words.to_string(),
            (None, None) => String::new(),
        };
        format!("{what} {} {}", self.op.as_str(), self.value)
    }

    /// What to say when it does not hold.
    pub fn reason(&self) -> String {
        self.message.clone().unwrap_or_else(|| format!("not {}", self.wanted()))
    }

    fn problem(&self, before: &[Check]) -> Option<Wrong> {
        if self.name.is_empty() || before.iter().any(|other| other.name == self.name) {
            return Some(("name", "each check needs a name of its own".to_owned()));
        }
        let source = match self.source() {
            Ok(source) => source,
            Err(wrong) => return Some(wrong),
        };
        match &self.value {
            Wanted::Number(number) if !number.is_finite() => Some(("value", "must be finite".to_owned())),
            Wanted::Text(_) if !matches!(self.op, Op::Is | Op::IsNot) => {
                let message =
                    format!("a text is compared by == or != alone; {} wants a number", self.op.as_str());
                Some(("value", message))
            }
            Wanted::Text(_) if matches!(source, Source::Command(_)) => {
                Some(("value", "the command answers a number".to_owned()))
            }
            _ => None,
        }
    }
}

/// What is wrong with them, by path below the section.
pub(crate) fn problems(metrics: &[CustomMetric], checks: &[Check]) -> Vec<(String, String)> {
    let at = |list: &str, n: usize, (key, message): Wrong| (format!("{list}::{n}::{key}"), message);
    let metrics = metrics
        .iter()
        .enumerate()
        .filter_map(|(n, metric)| Some(at("custom_metrics", n, metric.problem(&metrics[..n])?)));
    let checks = checks
        .iter()
        .enumerate()
        .filter_map(|(n, check)| Some(at("checks", n, check.problem(&checks[..n])?)));
    metrics.chain(checks).collect()
}

/// Names of fields that a slip may have meant.
pub(crate) fn alike(field: &str, known: &BTreeSet<&str>) -> String {
    streamgauge_config::did_you_mean(field, known.iter().copied())
        .map_or(String::new(), |text| format!("; {text}"))
}
