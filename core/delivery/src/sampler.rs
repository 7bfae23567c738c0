//! Keeps a failing peer from filling the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One line a period; the next one says how many were left out.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<(Option<Instant>, u64)>);

const PERIOD: Duration = Duration::from_secs(10);

impl Sampler {
    /// `Some(left out since the last line)` when a line is due.
    pub(crate) fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.0.is_some_and(|last| now - last < PERIOD) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_period_and_the_next_counts_what_was_left_out() {
        let sampler = Sampler::default();
        assert_eq!(sampler.due(), Some(0));
        assert_eq!(sampler.due(), None);
        assert_eq!(sampler.due(), None);
        tokio::time::advance(PERIOD).await;
        assert_eq!(sampler.due(), Some(2));
    }
}
