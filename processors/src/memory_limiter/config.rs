//! The section of `memory_limiter`, with the Collector's keys, defaults and checks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{ComponentConfig, ComponentError, MemoryBounds, SystemMemory};

/// Settings of the `memory_limiter` processor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryLimiterConfig {
    /// How old what is known of the process's memory may be; data in flight is counted at every request. Must be given.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub check_interval: Duration,
    /// Hard limit in MiB: of the data in flight, and of the process.
    pub limit_mib: u32,
    /// How far below the hard limit the soft one is, in MiB; 0 is a fifth of the hard limit.
    pub spike_limit_mib: u32,
    /// Hard limit in percent of the memory that there is: the control group's limit, else the machine's. `limit_mib` goes first.
    pub limit_percentage: u32,
    /// How far below it the soft one is, in percent of the same memory; 0 is a fifth of the hard limit.
    pub spike_limit_percentage: u32,
    /// Accepted and without effect: there is no garbage collector.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_gc_interval_when_soft_limited: Duration,
    /// Accepted and without effect: there is no garbage collector.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_gc_interval_when_hard_limited: Duration,
    /// Accepted and without effect: there is no garbage collector.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_gc_interval_when_soft_limited: Duration,
    /// Accepted and without effect: there is no garbage collector.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_gc_interval_when_hard_limited: Duration,
}

impl MemoryLimiterConfig {
    /// The bounds in bytes, on this system.
    pub(super) fn bounds(&self, system: &SystemMemory) -> Result<MemoryBounds, ComponentError> {
        let (hard, spike) = match self.limit_mib {
            0 => {
                let total = system.total().ok_or_else(|| {
                    ComponentError(
                        "failed to get total memory, use fixed memory settings (limit_mib)".to_owned(),
                    )
                })?;
                let part = |percentage: u32| total / 100 * u64::from(percentage);
                (part(self.limit_percentage), part(self.spike_limit_percentage))
            }
            mib => (u64::from(mib) << 20, u64::from(self.spike_limit_mib) << 20),
        };
        let spike = if spike == 0 { hard / 5 } else { spike };
        Ok(MemoryBounds { hard, soft: hard - spike, check_interval: self.check_interval })
    }
}

impl ComponentConfig for MemoryLimiterConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut say = |key: &str, text: &str| found.push((key.to_owned(), text.to_owned()));
        if self.check_interval.is_zero() {
            say("check_interval", "'check_interval' must be greater than zero, such as 1s");
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            say("", "'limit_mib' or 'limit_percentage' must be greater than zero");
        }
        if self.limit_percentage > 100 || self.spike_limit_percentage > 100 {
            say(
                "",
                "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
            );
        }
        if self.limit_mib > 0 && self.limit_mib <= self.spike_limit_mib {
            say("spike_limit_mib", "'spike_limit_mib' must be smaller than 'limit_mib'");
        }
        if self.limit_mib == 0
            && self.limit_percentage > 0
            && self.limit_percentage <= self.spike_limit_percentage
        {
            say("spike_limit_percentage", "'spike_limit_percentage' must be smaller than 'limit_percentage'");
        }
        found
    }
}
