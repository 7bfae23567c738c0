//! Actions on attributes: what the processors `attributes` and `resource` share. Not a component.
//!
//! A list of actions is done in order on one set of attributes; each sees what those before it did. An action whose
//! source is missing does nothing.

mod config;
mod convert;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use regex::Regex;
use streamgauge_component::{Context, Host, Instrument, InstrumentKind};
use streamgauge_pdata::Malformed;
use streamgauge_pdata::build::{EncodedValue, ToValue};
use streamgauge_pdata::edit::Editor;
use streamgauge_pdata::view::Value;

pub use config::{Action, ActionConfig, ConvertedType};
pub(crate) use config::{any_value, problems};

/// Counts what could not be read, and so not be changed.
pub(crate) fn unreadable(host: &Host) -> Arc<Instrument> {
    host.instrument(
        InstrumentKind::Counter,
        "streamgauge.attributes.unreadable",
        "{item}",
        "Resources or records that passed unchanged because their attributes are malformed.",
        Vec::new(),
    )
}

/// A list of actions, ready to be done.
#[derive(Debug)]
pub(crate) struct Actions(Vec<Step>);

#[derive(Debug)]
enum Step {
    Set { how: How, key: String, source: Source, default: Option<EncodedValue> },
    Delete { key: Option<String>, pattern: Option<Regex> },
    Hash { key: Option<String>, pattern: Option<Regex> },
    Extract { key: String, pattern: Regex },
    Convert { key: String, to: ConvertedType },
}

#[derive(Clone, Copy, Debug)]
enum How {
    Insert,
    Update,
    Upsert,
}

#[derive(Debug)]
enum Source {
    /// Only the step's default, if it has one.
    None,
    Value(EncodedValue),
    Attribute(String),
    Header(String),
    Peer,
    Identity,
}

impl Source {
    /// Where `from_context` points to: `metadata.<header>`, `client.address`, `auth.subject`; without a prefix a header.
    fn context(name: &str) -> Source {
        match name {
            "client.address" => Source::Peer,
            "auth.subject" => Source::Identity,
            _ => Source::Header(name.strip_prefix("metadata.").unwrap_or(name).to_ascii_lowercase()),
        }
    }
}

impl Actions {
    /// The actions of a section that [`problems`] had nothing to say about; what it would refuse is left out.
    pub(crate) fn new(configs: &[ActionConfig]) -> Actions {
        Actions(configs.iter().filter_map(step).collect())
    }

    /// Does all actions on one set of attributes. `scratch` is only there to be reused.
    pub(crate) fn apply(&self, context: &Context, attributes: &mut Editor<'_>, scratch: &mut EncodedValue) {
        for step in &self.0 {
            match step {
                Step::Set { how, key, source, default } => {
                    let wanted = match how {
                        How::Insert => !attributes.contains(key),
                        How::Update => attributes.contains(key),
                        How::Upsert => true,
                    };
                    if wanted
                        && let Some(value) = find(source, default.as_ref(), context, attributes, scratch)
                    {
                        attributes.upsert(key, value);
                    }
                }
                Step::Delete { key, pattern } => {
                    key.as_ref().map(|key| attributes.remove(key));
                    pattern.as_ref().map(|pattern| attributes.remove_where(|key| pattern.is_match(key)));
                }
                Step::Hash { key, pattern } => {
                    if let Some(key) = key {
                        attributes.update_where(|other| other == key, hash);
                    }
                    if let Some(pattern) = pattern {
                        attributes.update_where(|key| pattern.is_match(key), hash);
                    }
                }
                Step::Extract { key, pattern } => extract(key, pattern, attributes),
                Step::Convert { key, to } => convert::convert(key, *to, attributes),
            }
        }
    }
}

fn step(config: &ActionConfig) -> Option<Step> {
    let key = || config.key.clone().filter(|key| !key.is_empty());
    let pattern = || config.pattern.as_deref().and_then(|pattern| Regex::new(pattern).ok());
    let set = |how| {
        let value = config.value.as_ref().map(|value| EncodedValue::new(any_value(value)));
        let source = match (value, &config.from_attribute, &config.from_context) {
            (Some(value), _, _) => Source::Value(value),
            (None, Some(attribute), _) => Source::Attribute(attribute.clone()),
            (None, None, Some(name)) => Source::context(name),
            (None, None, None) => Source::None,
        };
        let default = config.default_value.as_ref().map(|value| EncodedValue::new(any_value(value)));
        Some(Step::Set { how, key: key()?, source, default })
    };
    match config.action {
        Action::Insert => set(How::Insert),
        Action::Update => set(How::Update),
        Action::Upsert => set(How::Upsert),
        Action::Delete => Some(Step::Delete { key: key(), pattern: pattern() }),
        Action::Hash => Some(Step::Hash { key: key(), pattern: pattern() }),
        Action::Extract => Some(Step::Extract { key: key()?, pattern: pattern()? }),
        Action::Convert => Some(Step::Convert { key: key()?, to: config.converted_type? }),
    }
}

/// The value that a step sets.
fn find<'v>(
    source: &'v Source,
    default: Option<&'v EncodedValue>,
    context: &Context,
    attributes: &Editor<'_>,
    scratch: &'v mut EncodedValue,
) -> Option<&'v EncodedValue> {
    let found = match source {
        Source::None => false,
        Source::Value(value) => return Some(value),
        Source::Attribute(key) => keep(attributes.get(key).ok().flatten(), scratch),
        Source::Peer => keep(context.peer.as_deref(), scratch),
        Source::Identity => keep(context.identity.as_deref(), scratch),
        Source::Header(name) => {
            let values =
                context.headers.iter().filter(|(header, _)| **header == *name).map(|(_, value)| &**value);
            let all: Vec<&str> = values.collect();
            keep((!all.is_empty()).then(|| all.join(";")), scratch)
        }
    };
    if found { Some(scratch) } else { default }
}

fn keep(value: Option<impl ToValue>, scratch: &mut EncodedValue) -> bool {
    value.map(|value| scratch.set(value)).is_some()
}

/// The SHA-256 of a value in hexadecimal. Numbers are hashed as 8 bytes, the lowest first, truth values as one; what has
/// no bytes becomes the empty string, as in the Collector.
fn hash(value: Result<Value<'_>, Malformed>) -> String {
    let digest = |bytes: &[u8]| Some(ring::digest::digest(&ring::digest::SHA256, bytes));
    let digest = match value {
        Ok(Value::Str(text)) if !text.is_empty() => digest(text.as_bytes()),
        Ok(Value::Bool(bool)) => digest(&[u8::from(bool)]),
        Ok(Value::Int(number)) => digest(&number.to_le_bytes()),
        Ok(Value::Double(number)) => digest(&number.to_le_bytes()),
        // Lists, an empty string, or a value that cannot be read: whatever it was must not pass in the clear.
        _ => None,
    };
    digest.iter().flat_map(|digest| digest.as_ref()).map(|byte| format!("{byte:02x}")).collect()
}

/// Sets an attribute for every named group of the pattern, when it matches a string.
fn extract(key: &str, pattern: &Regex, attributes: &mut Editor<'_>) {
    let Ok(Some(Value::Str(text))) = attributes.get(key) else { return };
    let Some(found) = pattern.captures(text) else { return };
    let group = |name: &str| found.name(name).map_or("", |group| group.as_str()).to_owned();
    let groups: Vec<(&str, String)> =
        pattern.capture_names().flatten().map(|name| (name, group(name))).collect();
    for (name, value) in groups {
        attributes.upsert(name, value);
    }
}
