//! Configured headers: names and secret values, as a map or as a list.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streamgauge_config::Secret;

use crate::headers::header_map;

/// Headers of every request or answer: `{name: value}`, or `[{name: …, value: …}]` as the Collector has it too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Secret)>);

/// One of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    name: String,
    value: Secret,
}

impl Headers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ready to send.
    ///
    /// # Errors
    /// A name that comes twice, and what [`header_map`] refuses.
    pub fn map(&self) -> Result<http::HeaderMap, String> {
        let headers = header_map(self.0.iter().map(|(name, value)| (name.as_str(), value.expose())))?;
        match self.0.iter().find(|(name, _)| headers.get_all(name).iter().count() > 1) {
            Some((name, _)) => Err(format!("header {name:?} is set twice")),
            None => Ok(headers),
        }
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of headers, or a list of `name` and `value`")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Headers, E> {
                Ok(Headers::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(Headers(headers))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(Pair { name, value }) = list.next_element()? {
                    headers.push((name, value));
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Secret>();
        json_schema!({
            "anyOf": [
                { "type": "object", "additionalProperties": value },
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": { "name": { "type": "string" }, "value": value },
                        "required": ["name", "value"],
                        "additionalProperties": false,
                    },
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Headers, String> {
        let section = streamgauge_config::Section::from_yaml("headers", yaml).unwrap();
        section.read::<Headers>().map_err(|error| error.to_string())
    }

    #[test]
    fn a_map_and_a_list_mean_the_same_and_no_value_is_shown() {
        let (map, list) = (read("X-Key: v1").unwrap(), read("[{name: X-Key, value: v1}]").unwrap());
        assert_eq!(map, list);
        assert_eq!(map.map().unwrap()["x-key"], "v1");
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"X-Key":"[REDACTED]"}"#);
        assert!(!format!("{map:?}").contains("v1"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (yaml, expected) in [
            ("[{name: a, value: b}, {name: A, value: c}]", "is set twice"),
            ("[{name: 'a b', value: c}]", "not a header name"),
        ] {
            assert!(read(yaml).unwrap().map().unwrap_err().contains(expected), "{yaml}");
        }
        assert!(read("[{name: a, valeu: b}]").unwrap_err().contains("valeu"));
    }
}
