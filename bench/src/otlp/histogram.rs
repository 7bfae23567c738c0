//! Latencies in buckets that are at most 1/32 wide: small, exact enough, no allocation.

use std::time::Duration;

const SUB: u32 = 5;

/// Counts of durations.
#[derive(Debug)]
pub struct Histogram(Vec<u64>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; (64 << SUB) + 1])
    }
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0[bucket(nanos)] += 1;
    }

    /// The upper end of the bucket that the quantile falls into; zero when nothing was recorded.
    pub fn quantile(&self, q: f64) -> Duration {
        let total: u64 = self.0.iter().sum();
        let rank = ((total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.0.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper(index));
            }
        }
        Duration::ZERO
    }
}

/// Below 64 exact; above, the leading bit and the five below it.
fn bucket(nanos: u64) -> usize {
    let shift = (63 - (nanos | 1).leading_zeros()).saturating_sub(SUB);
    ((shift as usize) << SUB) + (nanos >> shift) as usize
}

fn upper(index: usize) -> u64 {
    let shift = (index >> SUB).saturating_sub(1) as u32;
    let lead = (index - ((shift as usize) << SUB)) as u64;
    ((lead + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_value_and_is_at_most_a_thirty_second_wide() {
        for nanos in (0..200).chain([1000, 4095, 4096, 123_456_789, 59_999_999_999]) {
            let end = upper(bucket(nanos));
            assert!(end >= nanos && end - nanos <= nanos / 32, "{nanos} went to {end}");
        }
    }

    #[test]
    fn quantiles_are_in_order() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for ms in 1..=100 {
            histogram.record(Duration::from_millis(ms));
        }
        let (half, most) = (histogram.quantile(0.5), histogram.quantile(0.99));
        assert!((50..=52).contains(&half.as_millis()) && (99..=103).contains(&most.as_millis()));
    }
}
