//! Secrets taken out of a configuration before it is printed.

mod url;

use serde_json::Value;

use crate::REDACTED;
pub(crate) use url::{first_secret, message_without_secrets};

/// Words in a key that make its value a secret, whatever its type says.
pub(crate) const SECRET_WORDS: [&str; 11] = [
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "api_key",
    "apikey",
    "api-key",
    "credential",
    "_pem",
    "cookie",
];

/// Takes out what the schema calls a secret, what a key's name calls one, every header's value, and the passwords and
/// secret parameters in URLs.
pub fn redact(value: &mut Value, schema: &Value) {
    if schema.get("writeOnly").is_some_and(|w| w == true) && !value.is_null() {
        *value = Value::from(REDACTED);
        return;
    }
    for choice in ["anyOf", "oneOf", "allOf"].iter().filter_map(|k| schema.get(k)?.as_array()).flatten() {
        redact(value, choice);
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                let inner =
                    schema.get("properties").and_then(|p| p.get(key)).or(schema.get("additionalProperties"));
                if is_secret_key(key) && (value.is_string() || value.is_number()) {
                    *value = Value::from(REDACTED);
                } else {
                    redact(value, inner.unwrap_or(&Value::Null));
                    if key.eq_ignore_ascii_case("headers") {
                        redact_headers(value);
                    }
                }
            }
        }
        Value::Array(list) => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            list.iter_mut().for_each(|item| redact(item, items));
        }
        Value::String(text) => *text = url::setting_without_secrets(text).into_owned(),
        _ => {}
    }
}

/// `ca_pem` and `password_file` name no secret: a public certificate, a path.
fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("_file")
        && key != "ca_pem"
        && key != "cert_pem"
        && SECRET_WORDS.iter().any(|w| key.contains(w))
}

/// Which header is a secret nobody knows: all values go, of a map by name or of a list of names and values.
fn redact_headers(headers: &mut Value) {
    let hide = |value: &mut Value| {
        if value.is_string() || value.is_number() {
            *value = Value::from(REDACTED);
        }
    };
    match headers {
        Value::Object(map) => map.values_mut().for_each(hide),
        Value::Array(list) => list.iter_mut().filter_map(|header| header.get_mut("value")).for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::{Secret, schema_of};

    #[derive(schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Settings {
        headers: BTreeMap<String, Secret>,
        cookie_jar: Option<Secret>,
        list: Vec<Secret>,
        endpoint: String,
    }

    #[test]
    fn secrets_go_by_type_by_name_and_out_of_urls() {
        let mut value = json!({
            "headers": {"x-team": "hunter2"}, "list": ["hunter2"], "endpoint": "redis://u:hunter2/2@h:1/0",
            "unknown": {"Password": "hunter2", "password_file": "/run/pw"}, "count": 3,
        });
        redact(&mut value, &schema_of::<Settings>());
        let redacted = json!({
            "headers": {"x-team": REDACTED}, "list": [REDACTED], "endpoint": "redis://u:[REDACTED]@h:1/0",
            "unknown": {"Password": REDACTED, "password_file": "/run/pw"}, "count": 3,
        });
        assert_eq!(value, redacted);
    }

    #[test]
    fn the_values_of_headers_go_whatever_they_are_called() {
        let mut value = json!({"telemetry": [
            {"headers": {"x-team": "hunter2", "x-n": 2}},
            {"headers": [{"name": "x-team", "value": "hunter2"}]},
            {"headers": ["x-project-id"]},
        ]});
        redact(&mut value, &Value::Null);
        let redacted = json!({"telemetry": [
            {"headers": {"x-team": REDACTED, "x-n": REDACTED}},
            {"headers": [{"name": "x-team", "value": REDACTED}]},
            {"headers": ["x-project-id"]},
        ]});
        assert_eq!(value, redacted);
    }
}
