//! When a component that went down is made anew.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// A component that was up for longer than this starts over with short waits.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Doubling waits. The first new instance comes at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    next: Duration,
    last: Option<Instant>,
}

impl Backoff {
    /// The wait before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) > FORGIVEN_AFTER + self.next) {
            self.next = Duration::ZERO;
        }
        self.last = Some(now);
        let wait = self.next;
        self.next = if wait.is_zero() { FIRST } else { (wait * 2).min(LONGEST) };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_double_and_a_long_good_time_forgives() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..4).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [0, 200, 400, 800]);
        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(backoff.next(), Duration::ZERO);
    }
}
