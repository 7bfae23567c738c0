//! The section of `batch`, with the Collector's keys, defaults and checks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

/// Settings of the `batch` processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Spans, data points or log records after which a batch is sent, whatever the timeout; 0 waits for nothing.
    pub send_batch_size: usize,
    /// How long the first of a batch waits for more; `0s` waits for nothing.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Items that a batch never exceeds: what is larger is cut. 0 is no limit.
    pub send_batch_max_size: usize,
    /// Request headers, in any case: data with different values of them is kept apart.
    pub metadata_keys: Vec<String>,
    /// How many different values of them may wait at the same time; what comes with a further one is given back to
    /// its source. 0 is no limit.
    pub metadata_cardinality_limit: usize,
}

impl Default for BatchConfig {
    fn default() -> Self {
        BatchConfig {
            send_batch_size: 8192,
            timeout: Duration::from_millis(200),
            send_batch_max_size: 0,
            metadata_keys: Vec::new(),
            metadata_cardinality_limit: 1000,
        }
    }
}

impl ComponentConfig for BatchConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            let text = "send_batch_max_size must be greater or equal to send_batch_size";
            found.push(("send_batch_max_size".to_owned(), text.to_owned()));
        }
        for (at, key) in self.metadata_keys.iter().enumerate() {
            if self.metadata_keys.iter().take(at).any(|other| other.eq_ignore_ascii_case(key)) {
                let text = format!("duplicate entry in metadata_keys: {key:?} (case-insensitive)");
                found.push(("metadata_keys".to_owned(), text));
            }
        }
        found
    }
}
