//! Who speaks: the resource of the collector's own telemetry.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

/// The resource attributes as text, sorted: what is known, overridden and added to by the configuration.
pub(crate) fn attributes(configured: &BTreeMap<String, serde_json::Value>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::from([
        ("service.name".to_owned(), "streamgauge".to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id".to_owned(), instance_id()),
    ]);
    let listed = configured.get("attributes").and_then(serde_json::Value::as_array).into_iter().flatten();
    let listed =
        listed.filter_map(|entry| Some((entry.get("name")?.as_str()?.to_owned(), entry.get("value")?)));
    let plain =
        configured.iter().filter(|(_, value)| !value.is_array()).map(|(key, value)| (key.clone(), value));
    for (key, value) in plain.chain(listed) {
        match value {
            serde_json::Value::Null => drop(attributes.remove(&key)),
            serde_json::Value::String(text) => drop(attributes.insert(key, text.clone())),
            other => drop(attributes.insert(key, other.to_string())),
        }
    }
    attributes
}

/// A random id (UUID version 4) for this process.
fn instance_id() -> String {
    // The standard library seeds its hash maps from the system's randomness: two of them are 128 random bits.
    let (high, low) = (RandomState::new().hash_one(1), RandomState::new().hash_one(2));
    let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff | 0x4000);
    let (d, e) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

#[cfg(test)]
mod tests {
    use super::{attributes, instance_id};

    #[test]
    fn the_configuration_overrides_adds_and_removes() {
        let configured = [
            ("service.name".to_owned(), serde_json::json!("mine")),
            ("service.version".to_owned(), serde_json::Value::Null),
            ("shard".to_owned(), serde_json::json!(3)),
            ("attributes".to_owned(), serde_json::json!([{"name": "zone", "value": "z1"}])),
        ];
        let got = attributes(&configured.into_iter().collect());
        assert_eq!(got["service.name"], "mine");
        assert_eq!((got["shard"].as_str(), got["zone"].as_str()), ("3", "z1"));
        assert!(!got.contains_key("service.version") && got.contains_key("service.instance.id"));
    }

    #[test]
    fn instance_ids_are_version_4_and_differ() {
        let id = instance_id();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert_ne!(id, instance_id());
    }
}
