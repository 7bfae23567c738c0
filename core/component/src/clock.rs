//! Time, handed in so that tests can simulate it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic: for intervals.
    pub instant: Instant,
    /// Wall clock, nanoseconds since the Unix epoch: for stamps.
    pub unix_nanos: u64,
}

impl Now {
    /// The same moment, later on both clocks.
    #[must_use]
    pub fn after(self, by: Duration) -> Now {
        Now { instant: self.instant + by, unix_nanos: self.unix_nanos + by.as_nanos() as u64 }
    }
}

/// Where a component gets the time from. On tokio's paused clock it is simulated time.
#[derive(Clone, Debug)]
pub struct Clock {
    simulated: Option<(tokio::time::Instant, SystemTime)>,
}

impl Clock {
    /// The machine's clocks.
    pub const fn system() -> Self {
        Clock { simulated: None }
    }

    /// A wall clock that starts at `start` and moves with tokio's clock, for tests that pause it.
    pub fn simulated(start: SystemTime) -> Self {
        Clock { simulated: Some((tokio::time::Instant::now(), start)) }
    }

    /// Whether the wall clock is a test's.
    pub fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { instant: tokio::time::Instant::now().into_std(), unix_nanos: unix_nanos(self.wall()) }
    }

    /// The wall clock.
    pub fn wall(&self) -> SystemTime {
        match self.simulated {
            None => SystemTime::now(),
            Some((anchor, start)) => start + anchor.elapsed(),
        }
    }
}

fn unix_nanos(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}
