//! Settings that are taken because files of the Collector have them, and say nothing here.

use serde_json::Value;

use crate::node::Node;
use crate::schema::{about, not_null};
use crate::section::Section;
use crate::{Diagnostic, codes};

/// What marks such a setting: its own words in the schema, which say why behind a colon.
const MARK: &str = "without effect";

/// A warning for every setting written in this section of which the schema's words say that it is without effect.
pub fn without_effect(schema: &Value, section: &Section) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    look(schema, section.node(), section.path(), &mut found);
    found
}

fn look(schema: &Value, node: &Node, path: &str, found: &mut Vec<Diagnostic>) {
    let schema = not_null(schema);
    if let (Some(list), Some(items)) = (node.as_list(), schema.get("items")) {
        for (number, item) in list.iter().enumerate() {
            look(items, item, &format!("{path}::{number}"), found);
        }
    }
    let Some(map) = node.as_map() else { return };
    for entry in &map.entries {
        let property = schema.get("properties").and_then(|all| all.get(&entry.key));
        let Some(property) = property.or_else(|| schema.get("additionalProperties")) else { continue };
        let path = format!("{path}::{}", entry.key);
        let words = about(property).or_else(|| about(not_null(property))).unwrap_or_default();
        match words.to_ascii_lowercase().find(MARK) {
            Some(_) if entry.value.is_null() => {}
            Some(at) => {
                let why = words.get(at + MARK.len()..).unwrap_or_default().trim_end_matches('.');
                let message = format!("{path} has no effect here{why}");
                found.push(Diagnostic::warning(codes::NO_EFFECT, message).at(&entry.place));
            }
            None => look(property, &entry.value, &path, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;
    use crate::schema_of;

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Settings {
        /// Does something.
        good: u32,
        /// Accepted for files of the Collector, without effect: there is
        /// no such buffer.
        buffer: u32,
        /// A group.
        inner: Option<Inner>,
        /// A list.
        list: Vec<Inner>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Inner {
        /// Without effect.
        idle: Option<String>,
    }

    fn warned(yaml: &str) -> Vec<String> {
        let section = Section::from_yaml("exporters::x", yaml).unwrap();
        without_effect(&schema_of::<Settings>(), &section).into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn what_is_written_and_has_no_effect_is_named_with_the_reason() {
        assert_eq!(
            warned("{good: 1, buffer: 2, inner: {idle: a}, list: [{}, {idle: b}]}"),
            [
                "exporters::x::buffer has no effect here: there is no such buffer",
                "exporters::x::inner::idle has no effect here",
                "exporters::x::list::1::idle has no effect here",
            ]
        );
    }

    #[test]
    fn what_is_not_written_or_does_something_is_not_named() {
        assert!(warned("{good: 1, inner: , buffer: , unknown: {idle: a}}").is_empty());
        assert!(warned("").is_empty());
    }
}
