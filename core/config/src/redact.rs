//! Secrets taken out of a configuration before it is printed.

use serde_json::Value;

use crate::REDACTED;

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

/// Takes out what the schema calls a secret, what a key's name calls one, and the passwords in URLs.
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
                }
            }
        }
        Value::Array(list) => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            list.iter_mut().for_each(|item| redact(item, items));
        }
        Value::String(text) => *text = without_password(text),
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

/// `redis://user:password@host` without the password.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold a slash that nobody escaped: the last @ of all decides then.
    let Some(at) = rest[..end].rfind('@').or_else(|| rest.rfind('@')) else { return text.to_owned() };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{REDACTED}{}", &rest[at..]),
        None => text.to_owned(),
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
}
