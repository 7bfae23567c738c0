//! The tree: values, their order, their places.

use crate::{Place, Scalar, ScalarKind};

/// One value and the place where it was written.
///
/// Two nodes are equal when they mean the same, wherever they stand: reload compares sections by this.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands. A value that came in through `${...}` stands where the reference stands.
    pub place: Place,
    /// The text it was before it was parsed, when a whole value came from `${...}`: what a string setting takes.
    pub(crate) original: Option<String>,
    /// Whether any of it came from the environment, which is data: never expanded, never shown.
    pub(crate) from_env: bool,
    /// The environment variables that gave nothing to it, each as a note for whoever misses the value.
    pub(crate) gaps: Vec<String>,
}

/// A scalar, a list or a map.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A scalar.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written.
    Map(Map),
}

/// One key of a map with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Node,
}

/// A map that keeps the order written. Keys are unique.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// The entries, in order.
    pub entries: Vec<Entry>,
}

impl Map {
    /// The entry with this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.key == key)
    }

    /// The value with this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    pub(crate) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.key == key)
    }
}

impl Node {
    /// A node at a place.
    pub fn new(value: Value, place: Place) -> Self {
        Self { value, place, original: None, from_env: false, gaps: Vec::new() }
    }

    /// Null at a place.
    pub fn null(place: Place) -> Self {
        Self::new(Value::Scalar(Scalar::plain("")), place)
    }

    /// Whether this is null, or nothing was written.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.kind == ScalarKind::Null)
    }

    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(s) => Some(s),
            _ => None,
        }
    }

    /// The text a string setting takes: of a string, or the original text of a value from `${...}`.
    pub fn as_text(&self) -> Option<&str> {
        match (&self.original, &self.value) {
            (Some(original), _) => Some(original),
            (None, Value::Scalar(s)) if s.kind == ScalarKind::Str => Some(&s.text),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The value at a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// Whether any of this value came from the environment; messages must not quote it.
    pub fn is_from_env(&self) -> bool {
        self.from_env
    }

    /// The tree as JSON, in its order. A number that a string setting would take otherwise, such as `0123` from the
    /// environment, is given as that string.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        let number = match &self.value {
            Value::List(list) => return list.iter().map(Node::to_json).collect(),
            Value::Map(map) => {
                return map
                    .entries
                    .iter()
                    .map(|e| (e.key.clone(), e.value.to_json()))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
            }
            Value::Scalar(s) => match s.kind {
                ScalarKind::Null => Json::Null,
                ScalarKind::Bool(b) => b.into(),
                ScalarKind::Int(n) => i64::try_from(n)
                    .map(Json::from)
                    .or_else(|_| u64::try_from(n).map(Json::from))
                    .unwrap_or(Json::Null),
                ScalarKind::Float(x) => {
                    serde_json::Number::from_f64(x).map_or_else(|| s.text.as_str().into(), Json::Number)
                }
                ScalarKind::Str => s.text.as_str().into(),
            },
        };
        match &self.original {
            // Only a number that prints as it was written can stand for its text.
            Some(text) if number.is_number() && serde_json::from_str(text).ok().as_ref() != Some(&number) => {
                text.as_str().into()
            }
            _ => number,
        }
    }

    /// What kind of value this is, in the Collector's words.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.value {
            Value::Scalar(s) => s.kind_name(),
            Value::List(_) => "slice",
            Value::Map(_) => "map",
        }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.original == other.original
    }
}

impl PartialEq for Map {
    /// The order of keys carries no meaning.
    fn eq(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len()
            && self.entries.iter().all(|e| other.get(&e.key).is_some_and(|v| *v == e.value))
    }
}
