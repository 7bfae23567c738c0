//! What went wrong while a type was read.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::similar::{did_you_mean, nearest};
use crate::{Diagnostic, Node, Place, codes};

/// Tells nodes of one tree apart while it is read.
pub(super) type Address = *const Node;

pub(super) fn address(node: &Node) -> Address {
    std::ptr::from_ref(node)
}

/// The first error of a round.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) reason: Reason,
    pub(super) spot: Option<Spot>,
}

/// The value that an error is about.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) address: Address,
    path: String,
    place: Place,
    /// The text that a message must not quote, because it came from the environment.
    hide: Option<String>,
    /// The map's values by key, to see whether a missing one was left out.
    keys: Vec<(String, Address)>,
    /// Why the value, or one of the map's by key, is emptier than it looks.
    gaps: Vec<(Option<String>, String)>,
}

#[derive(Debug)]
pub(super) enum Reason {
    /// A null where none is taken: the setting keeps its default.
    Null,
    Type {
        expected: String,
        got: &'static str,
    },
    /// A message that ends in a sentence of its own after the path.
    Value(String),
    /// A message that says the path itself; `{}` stands for it.
    Worded(String),
    Variant {
        got: String,
        expected: &'static [&'static str],
    },
    Missing(&'static str),
    UnknownKey {
        key: String,
        expected: &'static [&'static str],
    },
}

impl Error {
    pub(super) fn new(reason: Reason) -> Self {
        Self { reason, spot: None }
    }

    /// Says which value it is about, unless a value further in was named already.
    pub(super) fn at(mut self, node: &Node, path: &str) -> Self {
        if self.spot.is_none() {
            let text = || node.original.clone().or_else(|| node.as_scalar().map(|s| s.text.clone()));
            let entries = node.as_map().map_or(&[][..], |map| &map.entries);
            let own = node.gaps.iter().map(|gap| (None, gap.clone()));
            let below =
                entries.iter().flat_map(|e| e.value.gaps.iter().map(|g| (Some(e.key.clone()), g.clone())));
            self.spot = Some(Spot {
                address: address(node),
                path: path.to_owned(),
                place: node.place.clone(),
                hide: node.from_env.then(text).flatten().filter(|t| !t.is_empty()),
                keys: entries.iter().map(|e| (e.key.clone(), address(&e.value))).collect(),
                gaps: own.chain(below).collect(),
            });
        }
        self
    }

    /// Whether it misses a setting that was left out because it was wrong.
    pub(super) fn misses_one_of(&self, wrong: &HashSet<Address>) -> bool {
        match (&self.reason, &self.spot) {
            (Reason::Missing(field), Some(spot)) => {
                spot.keys.iter().any(|(k, a)| k == field && wrong.contains(a))
            }
            _ => false,
        }
    }

    pub(super) fn into_diagnostic(self) -> Diagnostic {
        let path = self.spot.as_ref().map(|s| s.path.as_str()).unwrap_or_default();
        let quotes_value =
            matches!(self.reason, Reason::Value(_) | Reason::Worded(_) | Reason::Variant { .. });
        let missing = match self.reason {
            Reason::Missing(field) => Some(field),
            _ => None,
        };
        let mut diagnostic = match self.reason {
            Reason::Null => Diagnostic::error(codes::WRONG_TYPE, format!("'{path}' must have a value")),
            Reason::Type { expected, got } => {
                let message = format!("'{path}' expected type '{expected}', got unconvertible type '{got}'");
                let d = Diagnostic::error(codes::WRONG_TYPE, message);
                if expected == "string" && got != "map" && got != "slice" {
                    d.help("put it in quotes to make it a string")
                } else {
                    d
                }
            }
            Reason::Value(message) => Diagnostic::error(codes::BAD_VALUE, format!("'{path}' {message}")),
            Reason::Worded(message) => Diagnostic::error(codes::BAD_VALUE, message.replace("{}", path)),
            Reason::Variant { got, expected } => {
                let message =
                    format!("'{path}' unknown value {got:?} (valid values: [{}])", expected.join(" "));
                let d = Diagnostic::error(codes::BAD_VALUE, message);
                match nearest(&got, expected.iter().copied()) {
                    Some(word) => d.help(format!("did you mean `{word}`?")),
                    None => d,
                }
            }
            Reason::Missing(field) => {
                Diagnostic::error(codes::MISSING, format!("'{}' must be set", join(path, field)))
            }
            Reason::UnknownKey { key, expected } => {
                let d = Diagnostic::error(codes::UNKNOWN_KEY, format!("'{path}' has invalid keys: {key}"));
                match did_you_mean(&key, expected.iter().copied()) {
                    Some(help) => d.help(help),
                    None => d,
                }
            }
        };
        if let Some(spot) = &self.spot {
            if let (true, Some(hide)) = (quotes_value, &spot.hide) {
                diagnostic.message = diagnostic.message.replace(hide.as_str(), "value from the environment");
                diagnostic = diagnostic.note("the value comes from the environment and is not shown");
            }
            let about = spot.gaps.iter().filter(|(key, _)| key.as_deref() == missing);
            diagnostic.notes.extend(about.map(|(_, note)| note.clone()));
            diagnostic = diagnostic.at(&spot.place);
        }
        diagnostic
    }
}

/// A path one step longer.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.reason)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Reason::Value(message.to_string()))
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let got = match got {
            Unexpected::Bool(_) => "bool",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "int",
            Unexpected::Float(_) => "float64",
            Unexpected::Seq => "slice",
            Unexpected::Map | Unexpected::StructVariant => "map",
            Unexpected::Unit => "null",
            _ => "string",
        };
        Self::new(Reason::Type { expected: expected.to_string(), got })
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let got = match got {
            Unexpected::Str(s) => format!("{s:?}"),
            Unexpected::Unsigned(n) => n.to_string(),
            Unexpected::Signed(n) => n.to_string(),
            Unexpected::Float(n) => n.to_string(),
            Unexpected::Bool(b) => b.to_string(),
            other => other.to_string(),
        };
        Self::new(match expected.to_string().as_str() {
            super::duration::EXPECTED => Reason::Value(format!("time: invalid duration {got}")),
            expected => Reason::Value(format!("invalid value {got}: expected {expected}")),
        })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::Variant { got: variant.to_owned(), expected })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownKey { key: field.to_owned(), expected })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Reason::Value(format!("has the key `{field}` twice, once by an old name")))
    }
}
