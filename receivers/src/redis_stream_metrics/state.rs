//! What is the matter with a group, in one word and one sentence.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `states`: when a group is not well.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct States {
    /// SLOW: the oldest undelivered entry has waited for longer.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub slow_after: Duration,
    /// STALL: nothing was delivered for so long, and entries wait.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub stall_after: Duration,
    /// STOP: no consumer has asked for anything for so long, and entries wait.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub stop_after: Duration,
    /// STUCK_PENDING: the oldest pending entry was delivered last so long ago, and nobody has claimed it since.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub stuck_after: Duration,
    /// PRODUCER_QUIET: nothing was added for so long, and the group has read all there is.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub quiet_after: Duration,
}

impl Default for States {
    fn default() -> Self {
        States {
            slow_after: Duration::from_secs(60),
            stall_after: Duration::from_secs(60),
            stop_after: Duration::from_secs(300),
            stuck_after: Duration::from_secs(300),
            quiet_after: Duration::from_secs(300),
        }
    }
}

/// What is known of a group. Times are in milliseconds; what is not known is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The lag, at any quality.
    pub(crate) lag: Option<u64>,
    pub(crate) lag_time_ms: Option<u64>,
    /// Whether the lag rose all through the window.
    pub(crate) rises: bool,
    /// Whether entries were lost unread within the window.
    pub(crate) loses: bool,
    /// Whether the group was set back within the window.
    pub(crate) rewound: bool,
    /// How long the last delivered id has been the same.
    pub(crate) still_ms: u64,
    pub(crate) consumers: u64,
    /// How long no consumer has asked for anything.
    pub(crate) idle_ms: Option<u64>,
    /// How long ago the oldest pending entry was delivered last.
    pub(crate) oldest_idle_ms: Option<u64>,
    /// How long nothing was added.
    pub(crate) quiet_ms: Option<u64>,
}

/// The state and why, the worst first.
pub(crate) fn judge(facts: &Facts, after: &States) -> (&'static str, &'static str) {
    let long = |ms: Option<u64>, limit: Duration| ms.is_some_and(|ms| u128::from(ms) >= limit.as_millis());
    let Some(lag) = facts.lag else {
        return ("UNKNOWN", "the server does not know the lag, and nothing at hand tells it");
    };
    let waits = lag > 0;
    if facts.loses {
        return ("LOSING", "entries were trimmed or deleted before the group had read them");
    }
    if facts.rewound {
        return (
            "REWIND",
            "the group was set back to an older entry and reads again what it has read before",
        );
    }
    if waits && facts.consumers == 0 {
        return ("STOP", "entries wait and the group has no consumer");
    }
    if waits && long(facts.idle_ms, after.stop_after) {
        return ("STOP", "entries wait and no consumer has asked for anything for longer than stop_after");
    }
    if waits && long(Some(facts.still_ms), after.stall_after) {
        return ("STALL", "entries wait and nothing was delivered for longer than stall_after");
    }
    if long(facts.oldest_idle_ms, after.stuck_after) {
        return ("STUCK_PENDING", "the oldest pending entry is older than stuck_after and nobody claims it");
    }
    if waits && long(facts.lag_time_ms, after.slow_after) {
        return ("SLOW", "the oldest entry that waits has waited for longer than slow_after");
    }
    if waits && facts.rises {
        return ("WARN", "the lag rises all the time");
    }
    if !waits && long(facts.quiet_ms, after.quiet_after) {
        return (
            "PRODUCER_QUIET",
            "nothing was added for longer than quiet_after, and the group has read everything",
        );
    }
    if waits { ("OK", "the group keeps up") } else { ("OK", "the group has read everything") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(change: impl FnOnce(&mut Facts)) -> &'static str {
        let mut facts = Facts { lag: Some(7), consumers: 2, idle_ms: Some(10), ..Facts::default() };
        change(&mut facts);
        let (state, reason) = judge(&facts, &States::default());
        assert!(!reason.is_empty());
        state
    }

    #[test]
    fn each_state_has_its_cause() {
        assert_eq!(state(|_| ()), "OK");
        assert_eq!(state(|f| f.lag = None), "UNKNOWN");
        assert_eq!(state(|f| f.rises = true), "WARN");
        assert_eq!(state(|f| f.lag_time_ms = Some(60_000)), "SLOW");
        assert_eq!(state(|f| f.still_ms = 60_000), "STALL");
        assert_eq!(state(|f| f.idle_ms = Some(300_000)), "STOP");
        assert_eq!(state(|f| f.consumers = 0), "STOP");
        assert_eq!(state(|f| f.oldest_idle_ms = Some(300_000)), "STUCK_PENDING");
        assert_eq!(state(|f| f.rewound = true), "REWIND");
        assert_eq!(state(|f| f.loses = true), "LOSING");
        assert_eq!(state(|f| (f.lag, f.quiet_ms) = (Some(0), Some(300_000))), "PRODUCER_QUIET");
    }

    #[test]
    fn consumers_that_wait_on_a_stream_without_news_are_well() {
        let waiting = |f: &mut Facts| (f.lag, f.idle_ms, f.still_ms) = (Some(0), Some(9_000_000), 9_000_000);
        assert_eq!(state(waiting), "OK");
        assert_eq!(state(|f| (f.lag, f.consumers) = (Some(0), 0)), "OK");
    }

    #[test]
    fn a_loss_goes_before_everything_that_it_may_come_from() {
        let all = |f: &mut Facts| {
            (f.loses, f.consumers, f.still_ms, f.oldest_idle_ms) = (true, 0, 600_000, Some(600_000));
        };
        assert_eq!(state(all), "LOSING");
    }
}
