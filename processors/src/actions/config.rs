//! The settings of one action, with the Collector's keys.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use streamgauge_pdata::build::AnyValue;

/// One action on an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionConfig {
    /// The attribute to act on. `delete` and `hash` can do with a `pattern` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What to do.
    pub action: Action,
    /// For `insert`, `update`, `upsert`: the value; string, bool, int, double or a list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// For `insert`, `update`, `upsert`: the attribute to take the value from. Without it nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_attribute: Option<String>,
    /// For `insert`, `update`, `upsert`: where in the request to take the value from: `metadata.<header>`,
    /// `client.address` or `auth.subject`. Without it nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_context: Option<String>,
    /// For `insert`, `update`, `upsert`: the value when the source has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<Value>,
    /// For `delete` and `hash`: a regular expression for keys. For `extract`: one for the value, with named groups that
    /// become attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// For `convert`: the type to convert to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted_type: Option<ConvertedType>,
}

/// What is done to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Adds it unless it is there.
    #[serde(alias = "INSERT")]
    Insert,
    /// Changes it if it is there.
    #[serde(alias = "UPDATE")]
    Update,
    /// Adds or changes it.
    #[serde(alias = "UPSERT")]
    Upsert,
    /// Takes it away.
    #[serde(alias = "DELETE")]
    Delete,
    /// Puts the SHA-256 of its value in its place.
    #[serde(alias = "HASH")]
    Hash,
    /// Makes attributes of the named groups of a pattern.
    #[serde(alias = "EXTRACT")]
    Extract,
    /// Changes its type.
    #[serde(alias = "CONVERT")]
    Convert,
}

/// A type to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConvertedType {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A floating point number.
    Double,
}

/// A configured value as OTLP has it.
pub(crate) fn any_value(value: &Value) -> AnyValue {
    match value {
        Value::Null => AnyValue::Empty,
        Value::Bool(bool) => AnyValue::Bool(*bool),
        Value::Number(number) => match number.as_i64() {
            Some(int) => AnyValue::Int(int),
            None => AnyValue::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => AnyValue::Str(text.clone()),
        Value::Array(values) => AnyValue::Array(values.iter().map(any_value).collect()),
        Value::Object(pairs) => {
            AnyValue::KvList(pairs.iter().map(|(key, value)| (key.clone(), any_value(value))).collect())
        }
    }
}

/// What the Collector refuses too: path below the section, and message.
pub(crate) fn problems(list: &str, actions: &[ActionConfig]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if actions.is_empty() {
        found.push((list.to_owned(), "must have at least one action".to_owned()));
    }
    for (number, action) in actions.iter().enumerate() {
        let messages = check(action);
        found
            .extend(messages.into_iter().map(|(key, message)| (format!("{list}::{number}::{key}"), message)));
    }
    found
}

fn check(config: &ActionConfig) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let name = serde_json::to_value(config.action).ok().and_then(|name| name.as_str().map(str::to_owned));
    let name = name.unwrap_or_default();
    let has_key = config.key.as_ref().is_some_and(|key| !key.is_empty());
    let sources = [config.value.is_some(), config.from_attribute.is_some(), config.from_context.is_some()];
    let sources = sources.iter().filter(|is_there| **is_there).count();
    let with_default = sources + usize::from(config.default_value.is_some());
    match config.action {
        Action::Delete | Action::Hash if !has_key && config.pattern.is_none() => {
            found.push(("key", format!("{name:?} needs \"key\" or \"pattern\" or both")));
        }
        Action::Delete | Action::Hash => {}
        _ if !has_key => found.push(("key", format!("{name:?} needs a \"key\""))),
        _ => {}
    }
    match config.action {
        Action::Insert | Action::Update | Action::Upsert => {
            if with_default == 0 {
                let sources = "\"value\", \"from_attribute\" or \"from_context\"";
                found.push(("action", format!("{name:?} needs one of {sources}")));
            }
            if sources > 1 {
                found.push((
                    "action",
                    format!("{name:?} takes its value from one place only, here are {sources}"),
                ));
            }
        }
        _ if with_default > 0 => found.push(("action", format!("{name:?} does not take a value"))),
        _ => {}
    }
    match (config.action, &config.pattern) {
        (Action::Delete | Action::Hash | Action::Extract, Some(pattern)) => {
            found.extend(check_pattern(config.action, pattern).map(|message| ("pattern", message)));
        }
        (Action::Extract, None) => found.push(("pattern", format!("{name:?} needs a \"pattern\""))),
        (_, Some(_)) => found.push(("pattern", format!("{name:?} does not take a \"pattern\""))),
        (_, None) => {}
    }
    match (config.action, config.converted_type) {
        (Action::Convert, None) => {
            found.push((
                "converted_type",
                "\"convert\" needs a \"converted_type\": int, double or string".into(),
            ));
        }
        (Action::Convert, _) | (_, None) => {}
        (_, Some(_)) => {
            found.push(("converted_type", format!("{name:?} does not take a \"converted_type\"")))
        }
    }
    found
}

fn check_pattern(action: Action, pattern: &str) -> Option<String> {
    let regex = match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => return Some(error.to_string()),
    };
    if action != Action::Extract {
        return None;
    }
    let mut groups = regex.capture_names().skip(1).peekable();
    if groups.peek().is_none() {
        return Some("has no named group, such as (?P<name>...): nothing would be extracted".to_owned());
    }
    groups
        .any(|name| name.is_none())
        .then(|| "has a group without a name; write (?:...) or name it".to_owned())
}
