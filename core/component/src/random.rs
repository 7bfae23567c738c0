//! Randomness for jitter: reproducible where time is simulated.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A sequence of numbers that look random. Good for spreading load, for nothing that must stay secret.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    /// The same seed gives the same sequence.
    pub const fn seeded(seed: u64) -> Self {
        Random(AtomicU64::new(seed))
    }

    /// Another sequence in each process.
    pub fn from_system() -> Self {
        Random::seeded(RandomState::new().hash_one(0))
    }

    /// The next number in [0, 1).
    pub fn next(&self) -> f64 {
        // SplitMix64: its constants make every bit of the counter reach every bit of the result.
        let mut z =
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_repeat_with_the_seed_and_fill_the_unit_interval_evenly() {
        let draw = |seed| {
            let random = Random::seeded(seed);
            (0..10_000).map(|_| random.next()).collect::<Vec<_>>()
        };
        let numbers = draw(7);
        assert_eq!(numbers, draw(7));
        assert_ne!(numbers, draw(8));
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
