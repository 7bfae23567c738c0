//! Entries one after the other.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `ordering`: the entries of a stream go on strictly one read after the other, whatever replicas there are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ordering {
    /// Whether it is so. Each stream is then read by the one replica that holds its lease, and an entry that is not taken
    /// holds up those behind it. Spread what need not keep its order over several streams (shards). All replicas of the
    /// group must say the same.
    pub enabled: bool,
    /// How long a lease lasts without being renewed, and so about how long the streams of a replica that was killed wait for
    /// another one.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lease: Duration,
}

impl Default for Ordering {
    fn default() -> Self {
        Ordering { enabled: false, lease: Duration::from_secs(15) }
    }
}
