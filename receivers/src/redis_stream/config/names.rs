//! Names that are made of a stream's name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name in which `{stream}` stands for the stream's name, and `{*}` for what the first `*` of its glob stood for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Template(pub String);

impl Template {
    /// The name for a stream. `star` is what the first `*` of its glob stood for.
    pub(in super::super) fn of(&self, stream: &[u8], star: &[u8]) -> Vec<u8> {
        let mut name = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            name.extend_from_slice(before.as_bytes());
            rest = match after {
                _ if after.starts_with("{stream}") => {
                    name.extend_from_slice(stream);
                    &after["{stream}".len()..]
                }
                _ if after.starts_with("{*}") => {
                    name.extend_from_slice(star);
                    &after["{*}".len()..]
                }
                // A hash tag is a brace too.
                _ => {
                    name.push(b'{');
                    &after[1..]
                }
            };
        }
        name.extend_from_slice(rest.as_bytes());
        name
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.0.is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in_and_hash_tags_stay() {
        let of = |text: &str| Template(text.to_owned()).of(b"a:\xff:b", b"\xff");
        assert_eq!(of("{stream}:dlq"), b"a:\xff:b:dlq");
        assert_eq!(of("{*}_processors"), b"\xff_processors");
        assert_eq!(of("{{stream}}:{x}{"), b"{a:\xff:b}:{x}{");
        assert_eq!(of("plain"), b"plain");
    }
}
