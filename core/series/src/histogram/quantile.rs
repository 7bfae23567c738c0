//! Reading a histogram.

use super::Histogram;
use super::index::lower_border;

impl Histogram {
    /// The value at or below which the fraction `q` of all values lies (nearest rank); `None` without values, or
    /// when `q` is not within 0 and 1. Off by at most [`relative_error`](Histogram::relative_error), if the
    /// values themselves were recorded.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank == 1 {
            return Some(self.min);
        }
        if rank == self.count {
            return Some(self.max);
        }
        Some(self.at_rank(rank).clamp(self.min, self.max))
    }

    fn at_rank(&self, rank: u64) -> f64 {
        let mut below = 0u64;
        let mut reached = |count: u64| {
            below = below.saturating_add(count);
            below >= rank
        };
        for (place, count) in self.negative.counts().iter().enumerate().rev() {
            if reached(*count) {
                return -self.middle(self.negative.offset() + place as i32);
            }
        }
        if reached(self.zero_count) {
            return 0.0;
        }
        for (place, count) in self.positive.counts().iter().enumerate() {
            if reached(*count) {
                return self.middle(self.positive.offset() + place as i32);
            }
        }
        self.max
    }

    /// The value that is off by the same fraction of both borders of a bucket.
    fn middle(&self, index: i32) -> f64 {
        let (low, high) = (lower_border(index, self.scale), lower_border(index + 1, self.scale));
        if low == 0.0 { high } else { 2.0 * low / (1.0 + low / high) }
    }

    /// The outer borders of all that is in it.
    pub(super) fn borders(&self) -> (f64, f64) {
        let ends = |buckets: &super::Buckets| {
            let counts = buckets.counts();
            let (first, last) = (counts.iter().position(|n| *n > 0)?, counts.iter().rposition(|n| *n > 0)?);
            let border = |place: usize| lower_border(buckets.offset() + place as i32, self.scale);
            Some((border(first), border(last + 1)))
        };
        let (positive, negative) = (ends(&self.positive), ends(&self.negative));
        let zero = (self.zero_count > 0).then_some(0.0);
        let low = negative.map(|(_, far)| -far).or(zero).or(positive.map(|(near, _)| near));
        let high = positive.map(|(_, far)| far).or(zero).or(negative.map(|(near, _)| -near));
        (low.unwrap_or(0.0), high.unwrap_or(0.0))
    }
}
