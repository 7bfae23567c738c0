//! What settings a type has: for the generated reference and for editors.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

/// A type's JSON schema and its default value.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The JSON schema, with nothing left to a reference where the type is not recursive.
    pub schema: Value,
    /// The default value; null when it cannot be written as JSON.
    pub defaults: Value,
}

/// One row of a settings table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its key, with those above it: `tls.ca_file`, `rules[].metric`, `views.*.enabled`.
    pub key: String,
    /// Its type in one or two words.
    pub kind: String,
    /// Its default as JSON, or `off` for a group that is off until it is named; `None` when it has none.
    pub default: Option<String>,
    /// What it does.
    pub about: String,
}

/// A type's JSON schema, with nothing left to a reference where the type is not recursive.
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// Describes a configuration type.
pub fn describe<T: JsonSchema + Default + Serialize>() -> Described {
    Described {
        schema: schema_of::<T>(),
        defaults: serde_json::to_value(T::default()).unwrap_or(Value::Null),
    }
}

impl Described {
    /// All settings, groups before what is in them, in the order of the type.
    pub fn settings(&self) -> Vec<Setting> {
        let mut rows = Vec::new();
        rows_of(&self.schema, &self.defaults, "", &mut rows);
        rows
    }
}

fn rows_of(schema: &Value, defaults: &Value, prefix: &str, rows: &mut Vec<Setting>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, written) in properties {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let property = not_null(written);
        // Below a group that is off by default only the schema knows the defaults.
        let default = defaults.get(name).or_else(|| written.get("default"));
        let group = property.get("properties").is_some();
        rows.push(Setting {
            kind: kind_of(property),
            default: match default {
                Some(Value::Null) if group => Some("off".to_owned()),
                Some(Value::Null) | None => None,
                Some(_) if group => None,
                Some(value) => Some(value.to_string()),
            },
            about: about(written).or_else(|| about(property)).unwrap_or_default(),
            key: key.clone(),
        });
        rows_of(property, default.unwrap_or(&Value::Null), &key, rows);
        for (inner, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
            if let Some(inner) = property.get(inner) {
                rows_of(not_null(inner), &Value::Null, &format!("{key}{mark}"), rows);
            }
        }
    }
}

pub(crate) fn about(schema: &Value) -> Option<String> {
    Some(schema.get("description")?.as_str()?.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The schema of `T` in the schema of `Option<T>`.
pub(crate) fn not_null(schema: &Value) -> &Value {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    choices.and_then(|c| c.iter().find(|s| s.get("type").is_none_or(|t| t != "null"))).unwrap_or(schema)
}

fn kind_of(schema: &Value) -> String {
    if schema.get("format").is_some_and(|f| f == "password") {
        return "secret".to_owned();
    }
    if let Some(values) = choices(schema) {
        return values.join(" \\| ");
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|n| *n != "null").unwrap_or("any")
        }
        _ => "any",
    };
    match name {
        "array" => {
            format!("list of {}", schema.get("items").map_or("any".to_owned(), |i| kind_of(not_null(i))))
        }
        "object" if schema.get("properties").is_none() => match schema.get("additionalProperties") {
            Some(inner) if inner.is_object() => format!("map to {}", kind_of(not_null(inner))),
            _ => "map".to_owned(),
        },
        "object" => "group".to_owned(),
        other => other.to_owned(),
    }
}

/// The words an enumeration takes.
fn choices(schema: &Value) -> Option<Vec<String>> {
    let word = |v: &Value| v.as_str().map(|s| format!("`{s}`"));
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().filter_map(word).collect());
    }
    let list = schema.get("oneOf")?.as_array()?;
    list.iter().map(|s| s.get("const").and_then(word)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Secret;

    /// A whole section.
    #[derive(Serialize, JsonSchema)]
    #[serde(default)]
    struct Settings {
        /// Where the server
        /// listens.
        endpoint: String,
        /// The password.
        password: Option<Secret>,
        /// How much to say.
        level: Level,
        /// TLS.
        tls: Tls,
        /// Streams.
        streams: Vec<String>,
        labels: BTreeMap<String, String>,
        /// Rules.
        rules: Vec<Rule>,
        /// Off until it is named.
        admin: Option<Admin>,
    }

    #[derive(Serialize, JsonSchema)]
    struct Rule {
        /// What it is about.
        metric: String,
    }

    #[derive(Serialize, JsonSchema)]
    #[serde(default)]
    struct Admin {
        /// Its port.
        port: u16,
    }

    impl Default for Admin {
        fn default() -> Self {
            Self { port: 9 }
        }
    }

    impl Default for Settings {
        fn default() -> Self {
            let empty = Self {
                endpoint: String::new(),
                password: None,
                level: Level::Basic,
                tls: Tls { insecure: true },
                streams: vec![],
                labels: BTreeMap::new(),
                rules: vec![],
                admin: None,
            };
            Self { endpoint: "localhost:6379".into(), ..empty }
        }
    }

    #[derive(Serialize, JsonSchema)]
    struct Tls {
        /// No TLS at all.
        insecure: bool,
    }

    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)]
    enum Level {
        Basic,
        Detailed,
    }

    #[test]
    fn every_setting_has_a_row_with_its_type_default_and_words() {
        let rows = describe::<Settings>().settings();
        let rows: Vec<_> = rows
            .iter()
            .map(|r| (r.key.as_str(), r.kind.as_str(), r.default.as_deref(), r.about.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("endpoint", "string", Some("\"localhost:6379\""), "Where the server listens."),
                ("password", "secret", None, "The password."),
                ("level", "`basic` \\| `detailed`", Some("\"basic\""), "How much to say."),
                ("tls", "group", None, "TLS."),
                ("tls.insecure", "boolean", Some("true"), "No TLS at all."),
                ("streams", "list of string", Some("[]"), "Streams."),
                ("labels", "map to string", Some("{}"), ""),
                ("rules", "list of group", Some("[]"), "Rules."),
                ("rules[].metric", "string", None, "What it is about."),
                ("admin", "group", Some("off"), "Off until it is named."),
                ("admin.port", "integer", Some("9"), "Its port."),
            ]
        );
    }
}
