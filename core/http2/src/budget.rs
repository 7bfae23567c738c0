//! What a client may ask for without asking for anything: frames that cost us more than it.
//!
//! Each kind of them has a purse. It holds enough for the busiest honest client, fills with time, and with the requests that such
//! frames belong to. A purse that is empty ends the connection.

use tokio::time::Instant;

/// One purse.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    most: u32,
    each_second: u32,
    filled: Instant,
}

impl Budget {
    pub fn new(most: u32, each_second: u32) -> Self {
        Budget { left: most, most, each_second, filled: Instant::now() }
    }

    /// Takes so much; `false` when there is not so much left. The clock is asked only then.
    pub fn spend(&mut self, cost: u32) -> bool {
        if self.left < cost {
            let seconds = self.filled.elapsed().as_secs_f64();
            let more = (seconds * f64::from(self.each_second)) as u32;
            if more > 0 {
                self.filled = Instant::now();
                self.earn(more);
            }
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    pub fn earn(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_empties_the_purse_and_time_and_requests_fill_it() {
        let mut budget = Budget::new(100, 10);
        assert_eq!((0..1000).filter(|_| budget.spend(1)).count(), 100);
        budget.earn(3);
        assert_eq!((0..1000).filter(|_| budget.spend(1)).count(), 3);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((0..1000).filter(|_| budget.spend(1)).count(), 20);
        tokio::time::advance(Duration::from_secs(2000)).await;
        assert_eq!((0..1000).filter(|_| budget.spend(1)).count(), 100, "never more than it holds");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_slowly_is_taken_for_ever() {
        let mut budget = Budget::new(100, 10);
        for _ in 0..100_000 {
            assert!(budget.spend(1));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
}
