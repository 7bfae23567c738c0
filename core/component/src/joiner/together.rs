//! How many requests whose senders wait come together.
//!
//! A batch of them goes as soon as nobody else is on the way. Who is on the way cannot be known, but senders that wait come
//! in the same number again: as many as came together last time are awaited, and now and then twice as many.

use std::time::Duration;

/// How long a sender that waits for delivery is kept for others: short beside what a delivery takes.
pub(super) const LONGEST: Duration = Duration::from_millis(4);

/// After so many batches that were complete, one waits for more. The delay of that one is all that asking costs.
const ASK_AFTER: u32 = 64;

#[derive(Debug)]
pub(super) struct Together {
    expected: usize,
    complete: u32,
}

impl Together {
    pub(super) fn new() -> Self {
        Together { expected: 1, complete: 0 }
    }

    /// Whether nobody else is on the way when so many requests are here. They go then.
    pub(super) fn are_all(&mut self, here: usize) -> bool {
        if here < self.expected {
            return false;
        }
        self.complete += 1;
        if self.complete >= ASK_AFTER {
            self.complete = 0;
            self.expected = here.saturating_mul(2);
        }
        true
    }

    /// No more than these came in time.
    pub(super) fn were(&mut self, here: usize) {
        self.expected = here.max(1);
        self.complete = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of `senders` requests; how many of the rounds waited for somebody who did not come.
    fn rounds(together: &mut Together, senders: usize, rounds: usize) -> usize {
        let mut waited = 0;
        for _ in 0..rounds {
            let mut here = 0;
            for _ in 0..senders {
                here += 1;
                if together.are_all(here) {
                    here = 0;
                }
            }
            if here > 0 {
                together.were(here);
                waited += 1;
            }
        }
        waited
    }

    #[test]
    fn a_lone_sender_is_kept_for_others_in_few_rounds() {
        assert_eq!(rounds(&mut Together::new(), 1, 6500), 100);
    }

    #[test]
    fn many_senders_soon_go_together_and_fewer_later_are_not_waited_for_twice() {
        let mut together = Together::new();
        rounds(&mut together, 16, 1000);
        assert_eq!(together.expected, 16);
        assert!(rounds(&mut together, 16, 640) <= 10);
        assert_eq!(rounds(&mut together, 3, 1), 1);
        assert_eq!(rounds(&mut together, 3, 20), 0);
    }
}
