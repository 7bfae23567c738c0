//! The state of one bound of one series, and its steps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Labels;

/// How long a resolved alert is remembered, as in Prometheus: whoever notifies repeats the end for that long.
pub const RESOLVED_RETENTION: Duration = Duration::from_secs(15 * 60);

/// Where an alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The condition is not met.
    #[default]
    Inactive,
    /// The condition is met, not yet for long enough.
    Pending,
    /// The alert is on.
    Firing,
    /// It fired, and is over.
    Resolved,
}

impl State {
    /// The state in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Inactive => "inactive",
            State::Pending => "pending",
            State::Firing => "firing",
            State::Resolved => "resolved",
        }
    }

    /// Whether the alert is pending or firing.
    pub fn is_active(self) -> bool {
        matches!(self, State::Pending | State::Firing)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The waits of a rule, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Waits {
    pub hold: u64,
    pub keep_firing_for: u64,
}

/// One bound of one series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Track {
    pub state: State,
    /// Since when the condition is met, also while a critical alert holds the transitions back.
    pub since: Option<u64>,
    /// Since when a firing alert misses its condition.
    pub missing: Option<u64>,
    /// When it resolved.
    pub resolved: Option<u64>,
    /// The alert's labels, from when it becomes active until it is forgotten.
    pub labels: Option<Arc<Labels>>,
}

impl Track {
    /// Whether the condition was met at the last look: then it takes the clear threshold to end it.
    pub fn latched(&self) -> bool {
        self.since.is_some() && self.missing.is_none()
    }

    /// Takes the condition into account and moves on, unless `held`. Returns the state before, if it changed.
    pub fn step(&mut self, met: bool, waits: Waits, held: bool, now: u64) -> Option<State> {
        if met {
            self.since.get_or_insert(now);
            self.missing = None;
        } else if self.state == State::Firing {
            self.missing.get_or_insert(now);
        } else {
            self.since = None;
        }
        if held {
            return None;
        }
        let waited = |since: Option<u64>, wait: u64| since.is_some_and(|at| now.saturating_sub(at) >= wait);
        let next = match self.state {
            State::Inactive | State::Resolved if !met => self.state,
            State::Pending if !met => State::Inactive,
            State::Firing if !waited(self.missing, waits.keep_firing_for) => State::Firing,
            State::Firing => State::Resolved,
            _ if waited(self.since, waits.hold) => State::Firing,
            _ => State::Pending,
        };
        if next == self.state {
            return None;
        }
        let before = std::mem::replace(&mut self.state, next);
        self.resolved = (next == State::Resolved).then_some(now);
        if !next.is_active() {
            (self.since, self.missing) = (None, None);
        }
        Some(before)
    }

    /// Forgets a resolved alert whose time is over.
    pub fn forget(&mut self, now: u64) {
        let retention = nanos(RESOLVED_RETENTION);
        if self.resolved.is_some_and(|at| now.saturating_sub(at) >= retention) {
            *self = Self { since: self.since, ..Self::default() };
        }
    }

    /// Whether nothing is worth remembering.
    pub fn is_idle(&self) -> bool {
        self.state == State::Inactive && self.since.is_none()
    }

    /// When time alone will change something here.
    pub fn deadline(&self, waits: Waits, held: bool) -> Option<u64> {
        match self.state {
            State::Pending if !held => self.since.map(|at| at.saturating_add(waits.hold)),
            State::Firing if !held => self.missing.map(|at| at.saturating_add(waits.keep_firing_for)),
            State::Resolved => self.resolved.map(|at| at.saturating_add(nanos(RESOLVED_RETENTION))),
            _ => None,
        }
    }
}

/// A duration in nanoseconds; what does not fit (584 years) is for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
