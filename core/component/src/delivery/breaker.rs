//! `circuit_breaker`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `circuit_breaker`: how a peer that is down is spared. What waits behind an open circuit is no failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Whether there is a circuit breaker. It needs a queue or retries: without both nothing could wait behind it.
    pub enabled: bool,
    /// After so many failed attempts in a row the circuit opens. A peer that names the time to come back is not down.
    pub failures: u32,
    /// How long nobody tries; then one attempt decides.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub open_for: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        BreakerSettings { enabled: true, failures: 5, open_for: Duration::from_secs(5) }
    }
}

impl BreakerSettings {
    /// What cannot work: path below this section, and message.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.enabled && self.failures == 0 {
            found.push(("failures", "'failures' must be positive".to_owned()));
        }
        if self.enabled && self.open_for.is_zero() {
            found.push(("open_for", "'open_for' must be positive".to_owned()));
        }
        found
    }
}
