//! `fallback`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `fallback`: another exporter that takes what this one does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FallbackSettings {
    /// Id of the other exporter.
    pub exporter: String,
    /// Whether it also takes what this one fails to deliver, at once and instead of retries. Without it only what is not
    /// this one's share goes there.
    pub on_failure: bool,
}

impl Default for FallbackSettings {
    fn default() -> Self {
        FallbackSettings { exporter: String::new(), on_failure: true }
    }
}

/// How data is shared between an exporter and its fall-back.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Which one it is, and when it takes over.
    pub settings: FallbackSettings,
    /// The part of all items that goes there whatever happens, 0 to 1.
    pub share: f64,
}
