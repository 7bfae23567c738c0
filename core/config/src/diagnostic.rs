//! What is wrong, where, and what to do about it.

use std::fmt;

use crate::Place;
use crate::redact::message_without_secrets;

/// Stable codes of diagnostics: a code keeps its meaning for ever.
pub mod codes {
    /// No `--config` was given.
    pub const NO_SOURCE: &str = "SG0100";
    /// A file could not be read.
    pub const UNREADABLE: &str = "SG0101";
    /// The text is not YAML.
    pub const SYNTAX: &str = "SG0102";
    /// A key appears twice in one map.
    pub const DUPLICATE_KEY: &str = "SG0103";
    /// The document is larger or deeper than a configuration may be.
    pub const BUDGET: &str = "SG0104";
    /// A location or reference names a scheme that does not exist here.
    pub const UNKNOWN_SCHEME: &str = "SG0105";
    /// A merge key `<<` whose value is not a map.
    pub const BAD_MERGE: &str = "SG0106";
    /// The configuration, or a source of it, is not a map.
    pub const NOT_A_MAP: &str = "SG0107";
    /// A `--set` that is not `key=value`.
    pub const BAD_SET: &str = "SG0108";
    /// A key that is not a scalar.
    pub const BAD_KEY: &str = "SG0109";
    /// A file holds more than one YAML document; the first is read.
    pub const MORE_DOCUMENTS: &str = "SG0110";
    /// The configuration is empty.
    pub const EMPTY: &str = "SG0111";
    /// An environment variable's name is not allowed.
    pub const BAD_ENV_NAME: &str = "SG0201";
    /// An environment variable is not set and has no default.
    pub const UNSET_ENV: &str = "SG0202";
    /// A `${...}` holds a `$`, or is no reference at all.
    pub const BAD_REFERENCE: &str = "SG0203";
    /// References that lead to one another without end.
    pub const TOO_MANY_EXPANSIONS: &str = "SG0204";
    /// An environment variable holds something other than UTF-8.
    pub const ENV_NOT_UTF8: &str = "SG0205";
    /// A key that nothing knows.
    pub const UNKNOWN_KEY: &str = "SG0301";
    /// A value of the wrong type.
    pub const WRONG_TYPE: &str = "SG0302";
    /// A value of the right type that is not allowed.
    pub const BAD_VALUE: &str = "SG0303";
    /// A setting that must be given.
    pub const MISSING: &str = "SG0304";
    /// An id that is not `type` or `type/name`.
    pub const BAD_ID: &str = "SG0401";
    /// Two ids that are the same once trimmed.
    pub const DUPLICATE_ID: &str = "SG0402";
    /// A component type that does not exist here.
    pub const UNKNOWN_TYPE: &str = "SG0403";
    /// A type written by its old name.
    pub const OLD_NAME: &str = "SG0404";
    /// A signal that does not exist here.
    pub const UNKNOWN_SIGNAL: &str = "SG0405";
    /// A kind of component that must be there and is not.
    pub const NO_COMPONENT: &str = "SG0501";
    /// No pipeline, or one without receivers or exporters.
    pub const EMPTY_PIPELINE: &str = "SG0502";
    /// A reference to something that is not configured.
    pub const MISSING_REFERENCE: &str = "SG0503";
    /// A processor twice in one pipeline.
    pub const DUPLICATE_PROCESSOR: &str = "SG0504";
    /// One id for an exporter (or receiver) and a connector.
    pub const AMBIGUOUS_ID: &str = "SG0505";
    /// A connector that is used on one side only.
    pub const HALF_CONNECTOR: &str = "SG0506";
    /// Pipelines that feed one another in a circle.
    pub const CYCLE: &str = "SG0507";
    /// A component that does not take or give that signal.
    pub const UNSUPPORTED_SIGNAL: &str = "SG0508";
    /// A component that no pipeline uses.
    pub const UNUSED: &str = "SG0509";
    /// A component's own check of its settings.
    pub const COMPONENT_CHECK: &str = "SG0601";
    /// A setting with which a kill or a power cut may lose acknowledged data.
    pub const NOT_DURABLE: &str = "SG0602";
    /// A setting that is taken, and does nothing.
    pub const NO_EFFECT: &str = "SG0603";
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot run.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable code out of [`codes`].
    pub code: &'static str,
    /// What is wrong, in the Collector's words where it has any.
    pub message: String,
    /// What the Collector writes before the message, such as `invalid configuration`; may be empty.
    pub context: String,
    /// Where.
    pub place: Option<Place>,
    /// What to do about it.
    pub help: Option<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// An error with a code and a message.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            context: String::new(),
            place: None,
            help: None,
            notes: Vec::new(),
        }
    }

    /// A warning with a code and a message.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// The same at a place.
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// The same with what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with one more note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same within a context.
    pub fn within(mut self, context: impl Into<String>) -> Self {
        self.context = context.into();
        self
    }
}

impl fmt::Display for Diagnostic {
    /// One line: place, code, context and message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "[{}] ", self.code)?;
        if !self.context.is_empty() {
            write!(f, "{}: ", message_without_secrets(&self.context))?;
        }
        f.write_str(&message_without_secrets(&self.message))
    }
}

impl std::error::Error for Diagnostic {}

/// All that is wrong, errors and warnings, in the order found.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing wrong.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of another list.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        self.list.extend(other);
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether nothing at all is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, warnings included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// `Err` with all of them when one is an error, else the value and what is left: warnings.
    ///
    /// # Errors
    /// All diagnostics, when one of them is an error.
    pub fn into_result<T>(self, value: T) -> Result<(T, Self), Self> {
        if self.has_errors() { Err(self) } else { Ok((value, self)) }
    }

    /// Sets the context of those that have none yet.
    pub fn within(mut self, context: &str) -> Self {
        for d in self.list.iter_mut().filter(|d| d.context.is_empty()) {
            d.context = context.to_owned();
        }
        self
    }

    /// The form for machines: an array of objects with `severity`, `code`, `message`, `context`, `file`, `line`, `column`,
    /// `help` and `notes`.
    pub fn to_json(&self) -> serde_json::Value {
        self.list.iter().map(diagnostic_json).collect()
    }
}

fn diagnostic_json(d: &Diagnostic) -> serde_json::Value {
    serde_json::json!({
        "severity": match d.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": d.code,
        "message": message_without_secrets(&d.message),
        "context": message_without_secrets(&d.context),
        "file": d.place.as_ref().map(|p| p.source.name()),
        "line": d.place.as_ref().map(|p| p.line),
        "column": d.place.as_ref().map(|p| p.column),
        "help": d.help.as_deref().map(message_without_secrets),
        "notes": d.notes.iter().map(|note| message_without_secrets(note)).collect::<Vec<_>>(),
    })
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { list: vec![diagnostic] }
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Self { list: iter.into_iter().collect() }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, d) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(d, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
