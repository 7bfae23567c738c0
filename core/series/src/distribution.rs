//! Cumulative histograms: the values that were added between two points.

use crate::counter::began_anew;
use crate::{Explicit, Histogram, Range};

/// The last point of a cumulative histogram with explicit bounds. Resets are those of a [`Counter`](crate::Counter).
#[derive(Clone, Debug)]
pub struct ExplicitCounter {
    start: u64,
    time: u64,
    bounds: Vec<f64>,
    counts: Vec<u64>,
    sum: Option<f64>,
}

impl ExplicitCounter {
    /// The first point: its values came at unknown times.
    pub fn first(start: u64, time: u64, point: Explicit<'_>) -> Self {
        Self { start, time, bounds: point.bounds.to_vec(), counts: point.counts.to_vec(), sum: point.sum }
    }

    /// Takes the next point, and what was added since the one before into `histogram`. After a reset that is
    /// everything; when the bounds have changed it is unknown, and nothing is added. `false` when the point is not newer.
    pub fn next(&mut self, start: u64, time: u64, point: Explicit<'_>, histogram: &mut Histogram) -> bool {
        if time <= self.time {
            return false;
        }
        let same_bounds = self.bounds == point.bounds && self.counts.len() == point.counts.len();
        let fell = || self.counts.iter().zip(point.counts).any(|(before, now)| now < before);
        if began_anew(self.start, self.time, start) || (same_bounds && fell()) {
            histogram.take_explicit(point);
        } else if same_bounds {
            for (before, now) in self.counts.iter_mut().zip(point.counts) {
                *before = now - *before;
            }
            let sum = point.sum.zip(self.sum).map(|(now, before)| now - before);
            histogram.take_explicit(Explicit { counts: &self.counts, sum, ..point });
        }
        *self = Self::first(start, time, point);
        true
    }
}

/// The last point of a cumulative exponential histogram.
#[derive(Clone, Debug)]
pub struct ExponentialCounter {
    start: u64,
    time: u64,
    total: Histogram,
}

impl ExponentialCounter {
    /// The first point: its values came at unknown times.
    pub fn first(start: u64, time: u64, total: Histogram) -> Self {
        Self { start, time, total }
    }

    /// Takes the next point, and what was added since the one before into `histogram`. `false` when it is not newer.
    pub fn next(&mut self, start: u64, time: u64, total: Histogram, histogram: &mut Histogram) -> bool {
        if time <= self.time {
            return false;
        }
        let anew = began_anew(self.start, self.time, start);
        match if anew { None } else { total.since(&self.total) } {
            Some(added) => histogram.merge(&added),
            None => histogram.merge(&total),
        }
        *self = Self::first(start, time, total);
        true
    }
}

impl Histogram {
    /// What was added since `before`; `None` when something was taken away, which means that it began anew. The
    /// range is that of the buckets, within the range of the whole.
    pub fn since(&self, before: &Histogram) -> Option<Histogram> {
        let (mut now, mut then) = (self.clone(), before.clone());
        let scale = now.scale().min(then.scale());
        now.coarsen(scale);
        then.coarsen(scale);
        let zeros = now.zero_count().checked_sub(then.zero_count())?;
        let row = |now: &crate::Buckets, then: &crate::Buckets| -> Option<(i32, Vec<u64>)> {
            let mut counts = now.counts().to_vec();
            for (place, count) in then.counts().iter().enumerate().filter(|(_, count)| **count > 0) {
                let at = i64::from(then.offset()) + place as i64 - i64::from(now.offset());
                let here = counts.get_mut(usize::try_from(at).ok()?)?;
                *here = here.checked_sub(*count)?;
            }
            Some((now.offset(), counts))
        };
        let (positive, positive_counts) = row(now.positive(), then.positive())?;
        let (negative, negative_counts) = row(now.negative(), then.negative())?;
        let mut added = Histogram::new();
        let rows = [(positive, &positive_counts[..]), (negative, &negative_counts[..])];
        added.take_exponential(scale, zeros, rows, self.sum() - before.sum(), Range::default());
        added.narrow(self.min(), self.max());
        Some(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(counts: &[u64]) -> Explicit<'_> {
        Explicit { bounds: &[1.0, 2.0], counts, sum: None, range: Range::default() }
    }

    fn counts_after(points: &[(u64, u64, [u64; 3])]) -> u64 {
        let mut histogram = Histogram::new();
        let (start, time, counts) = &points[0];
        let mut counter = ExplicitCounter::first(*start, *time, explicit(counts));
        for (start, time, counts) in &points[1..] {
            counter.next(*start, *time, explicit(counts), &mut histogram);
        }
        histogram.count()
    }

    #[test]
    fn only_what_was_added_counts() {
        assert_eq!(counts_after(&[(1, 10, [5, 5, 5])]), 0);
        assert_eq!(counts_after(&[(1, 10, [5, 5, 5]), (1, 20, [6, 5, 7])]), 3);
        assert_eq!(counts_after(&[(1, 10, [5, 5, 5]), (1, 10, [9, 9, 9])]), 0);
        assert_eq!(counts_after(&[(1, 10, [5, 5, 5]), (1, 20, [6, 0, 0])]), 6, "a fall is a reset");
        assert_eq!(counts_after(&[(1, 10, [5, 5, 5]), (15, 20, [6, 6, 6])]), 18, "a new start is a reset");
    }

    #[test]
    fn changed_bounds_start_over() {
        let mut histogram = Histogram::new();
        let mut counter = ExplicitCounter::first(1, 10, explicit(&[1, 1, 1]));
        let other = |counts| Explicit { bounds: &[4.0], counts, sum: None, range: Range::default() };
        assert!(counter.next(1, 20, other(&[9, 9]), &mut histogram));
        assert_eq!(histogram.count(), 0);
        counter.next(1, 30, other(&[9, 10]), &mut histogram);
        assert_eq!(histogram.count(), 1);
    }

    proptest::proptest! {
        #[test]
        fn what_was_added_to_an_exponential_histogram_comes_out(
            before in proptest::collection::vec(-1e3f64..1e3, 0..40),
            after in proptest::collection::vec(1e-6f64..1e9, 0..40),
        ) {
            let mut total = Histogram::new();
            before.iter().for_each(|value| { total.record(*value); });
            let first = total.clone();
            after.iter().for_each(|value| { total.record(*value); });
            let mut added = Histogram::new();
            let mut counter = ExponentialCounter::first(0, 10, first);
            assert!(counter.next(0, 20, total.clone(), &mut added));
            let mut expected = Histogram::new();
            after.iter().for_each(|value| { expected.record(*value); });
            expected.coarsen(total.scale());
            proptest::prop_assert_eq!(added.count(), expected.count());
            for q in [0.1, 0.5, 0.9] {
                let close = |a: f64, b: f64| (a - b).abs() <= 2.1 * total.relative_error() * b.abs();
                match (added.quantile(q), expected.quantile(q)) {
                    (Some(a), Some(b)) => proptest::prop_assert!(close(a, b), "{} instead of {}", a, b),
                    (a, b) => proptest::prop_assert_eq!(a, b),
                }
            }
            // The other way round something was taken away: a reset.
            let mut reset = Histogram::new();
            if added.count() > 0 {
                counter.next(0, 30, Histogram::new(), &mut reset);
                proptest::prop_assert_eq!(reset.count(), 0);
            }
        }
    }
}
