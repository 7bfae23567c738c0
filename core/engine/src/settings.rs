//! The settings of `service` that are about running: stop, reload, what a fall means.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of the section `service` beside `extensions`, `pipelines` and `telemetry`. None of them is the Collector's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// How long a stop may take: what the exporters have not delivered by then goes back to its source, or is counted as lost.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub shutdown_timeout: Duration,
    /// As the Collector does: one component that does not start ends the collector, and so does one that panics. Without
    /// it the others run on, and the one is made anew until it runs.
    pub fail_fast: bool,
    /// When the configuration is read again. SIGHUP always does that.
    pub reload: ReloadSettings,
}

/// `service.reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReloadSettings {
    /// Whether the configuration's files are watched, by their directories: a ConfigMap's change counts.
    pub watch: bool,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        ServiceSettings {
            shutdown_timeout: Duration::from_secs(30),
            fail_fast: false,
            reload: ReloadSettings::default(),
        }
    }
}
