//! Exponential histograms with bounds, for formats that know no native histograms.
//!
//! The bounds are powers of two (of a coarser base when the source's is), so that they are the same in every scrape
//! and for every scale: the range of filled buckets only grows.

use crate::native::Exponential;

/// A histogram with cumulative buckets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Classic {
    /// Finite upper bounds, rising.
    pub bounds: Vec<f64>,
    /// Observations up to each bound.
    pub below: Vec<u64>,
}

/// Counts by index at a scale of 0 or coarser.
struct Coarse {
    first: i64,
    counts: Vec<u64>,
}

impl Coarse {
    /// Only the filled buckets and those between them.
    fn new((offset, counts): (i32, &[u64]), shift: u32) -> Self {
        let filled = |count: &u64| *count > 0;
        let (Some(from), Some(to)) = (counts.iter().position(filled), counts.iter().rposition(filled)) else {
            return Coarse { first: 0, counts: Vec::new() };
        };
        let index = |at: usize| (i64::from(offset) + at as i64) >> shift.min(62);
        let first = index(from);
        let mut coarse = vec![0_u64; usize::try_from(index(to) - first).unwrap_or(0) + 1];
        for (at, count) in counts.iter().enumerate().take(to + 1).skip(from) {
            if let Some(sum) = coarse.get_mut(usize::try_from(index(at) - first).unwrap_or(0)) {
                *sum = sum.saturating_add(*count);
            }
        }
        Coarse { first, counts: coarse }
    }
}

impl Classic {
    /// The buckets of a point.
    #[must_use]
    pub fn from_exponential(point: &Exponential<'_>) -> Self {
        let shift = u32::try_from(point.scale).unwrap_or(0);
        // The base is 2^(2^-scale): with a scale of -1 every bound is the square of a power of two.
        let step = f64::from(point.scale.clamp(-20, 0).unsigned_abs()).exp2();
        let bound = |index: i64| (index as f64 * step).exp2();
        let (negative, positive) = (Coarse::new(point.negative, shift), Coarse::new(point.positive, shift));
        let mut out = Classic::default();
        let mut sum = 0_u64;
        let mut add = |bound: f64, count: u64| {
            sum = sum.saturating_add(count);
            if bound.is_finite() && out.bounds.last().is_none_or(|last| *last < bound) {
                out.bounds.push(bound);
                out.below.push(sum);
            }
        };
        // From the greatest magnitude down: that is how negative numbers rise.
        for (at, count) in negative.counts.iter().enumerate().rev() {
            add(-bound(negative.first + at as i64), *count);
        }
        if point.zero_count > 0 || !negative.counts.is_empty() {
            add(point.zero_threshold.max(0.0), point.zero_count);
        }
        for (at, count) in (positive.first..).zip(&positive.counts) {
            add(bound(at + 1), *count);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Classic;
    use crate::native::Exponential;

    fn point<'a>(scale: i32, positive: (i32, &'a [u64]), negative: (i32, &'a [u64])) -> Exponential<'a> {
        let count = positive.1.iter().chain(negative.1).sum::<u64>() + 2;
        Exponential { count, sum: None, scale, zero_count: 2, zero_threshold: 0.0, positive, negative }
    }

    #[test]
    fn powers_of_two_bound_what_was_counted_below_them() {
        let classic = Classic::from_exponential(&point(0, (10, &[3, 0, 4]), (0, &[])));
        assert_eq!(classic.bounds, [0.0, 2048.0, 4096.0, 8192.0]);
        assert_eq!(classic.below, [2, 5, 5, 9]);
    }

    #[test]
    fn finer_scales_have_the_same_bounds_and_coarser_ones_their_own() {
        // Scale 2: four buckets between two powers of two, the first of them just above 1/2.
        let classic = Classic::from_exponential(&point(2, (-4, &[1, 1, 1, 1, 5]), (0, &[])));
        assert_eq!((classic.bounds, classic.below), (vec![0.0, 1.0, 2.0], vec![2, 6, 11]));
        let classic = Classic::from_exponential(&point(-1, (0, &[1, 1]), (0, &[])));
        assert_eq!((classic.bounds, classic.below), (vec![0.0, 4.0, 16.0], vec![2, 3, 4]));
    }

    #[test]
    fn negative_values_come_first() {
        let classic = Classic::from_exponential(&point(0, (0, &[1]), (0, &[3, 4])));
        assert_eq!((classic.bounds, classic.below), (vec![-2.0, -1.0, 0.0, 2.0], vec![4, 7, 9, 10]));
    }

    #[test]
    fn bounds_beyond_all_numbers_are_left_to_infinity() {
        let classic = Classic::from_exponential(&point(0, (1022, &[1, 1, 1]), (0, &[])));
        assert_eq!((classic.bounds.len(), classic.below.last()), (2, Some(&3)));
        let far = Classic::from_exponential(&point(-30, (i32::MAX, &[1]), (i32::MIN, &[1])));
        assert!(far.bounds.iter().all(|bound| bound.is_finite()));
    }
}
