//! `dead_letter`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `dead_letter`: where data goes that the peer refuses for good, or that ran out of retries when its source could not
/// send it again. Either an exporter or a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterSettings {
    /// Id of another exporter.
    pub exporter: Option<String>,
    /// Path of a file that gets a line of OTLP/JSON for each request.
    pub file: Option<String>,
    /// What the file may grow to, in bytes. Beyond it nothing is written, and data is dropped and counted.
    pub max_bytes: u64,
}

impl Default for DeadLetterSettings {
    fn default() -> Self {
        DeadLetterSettings { exporter: None, file: None, max_bytes: 100 << 20 }
    }
}

impl DeadLetterSettings {
    /// What cannot work: path below this section, and message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.exporter.is_some() == self.file.is_some() {
            found.push(("", "exactly one of `exporter` and `file` must be set".to_owned()));
        }
        if self.file.as_deref() == Some("") {
            found.push(("file", "`file` must not be empty".to_owned()));
        }
        if self.max_bytes == 0 {
            found.push(("max_bytes", "`max_bytes` must be positive".to_owned()));
        }
        found
    }
}
