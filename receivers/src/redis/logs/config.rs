//! The section `logs`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a logs pipeline gets from the receiver.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogsConfig {
    /// Id of a storage extension, such as `file_storage`, that keeps how far the servers' logs have been delivered: then a
    /// restart skips nothing. Without it, what was written down before the start is not told.
    pub storage: Option<String>,
    /// How the keys in commands are told: `shown`, `hashed` (the same key has the same hash) or `masked`.
    pub keys: Keys,
    /// How all other arguments of commands are told: `masked`, each as `?`, or `shown`.
    pub values: Values,
    /// The entries of the slow log, each once.
    pub slowlog: bool,
    /// The entries of Valkey's logs of large requests and large replies, each once.
    pub commandlog: bool,
    /// Spikes that the servers' latency monitor has seen, each once. It sees none until `latency-monitor-threshold` is set.
    pub latency: bool,
    /// What users were refused, by kind.
    pub acl: bool,
    /// Failovers, restarts, other roles, and settings without secrets that have become others.
    pub changes: bool,
    /// How a server was before and after something went wrong.
    pub flight_recorder: FlightRecorder,
}

impl Default for LogsConfig {
    fn default() -> Self {
        LogsConfig {
            storage: None,
            keys: Keys::default(),
            values: Values::default(),
            slowlog: true,
            commandlog: true,
            latency: true,
            acl: true,
            changes: true,
            flight_recorder: FlightRecorder::default(),
        }
    }
}

/// `flight_recorder`: one record with INFO, slow log, latency and clients, on a failover, when writes are refused for want of
/// memory, and when the server was held up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlightRecorder {
    /// Whether it is on.
    pub enabled: bool,
    /// The least time between two such records of one server for one reason.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_interval: Duration,
    /// A slow command or a spike of at least this long is a reason.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub latency_jump: Duration,
}

impl Default for FlightRecorder {
    fn default() -> Self {
        FlightRecorder {
            enabled: true,
            min_interval: Duration::from_secs(60),
            latency_jump: Duration::from_millis(500),
        }
    }
}

/// How keys are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keys {
    /// As they are.
    #[default]
    Shown,
    /// As the beginning of their SHA-256.
    Hashed,
    /// As `?`.
    Masked,
}

/// How arguments that are no keys are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Values {
    /// As `?`.
    #[default]
    Masked,
    /// As they are.
    Shown,
}
