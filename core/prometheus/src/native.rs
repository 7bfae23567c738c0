//! Exponential histograms as Prometheus' native histograms.
//!
//! Both cut the line at powers of 2^(2^-scale); OTLP numbers a bucket by its lower bound, Prometheus by its
//! upper one, so an index grows by one. Prometheus knows scales -4 to 8 only and stores the filled buckets as
//! spans of neighbours, each count as the difference to the one before.

/// The finest scale Prometheus knows.
pub const MAX_SCALE: i32 = 8;
/// The coarsest.
pub const MIN_SCALE: i32 = -4;
/// The width of the zero bucket when the source does not say.
const ZERO_THRESHOLD: f64 = 1e-128;

/// One native histogram sample, as the wire wants it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NativeHistogram {
    /// Time of the observation, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Observations in all buckets.
    pub count: u64,
    /// Sum of the observed values; the stale marker when the series ends here.
    pub sum: f64,
    /// Resolution: -4 to 8.
    pub schema: i32,
    /// Values up to this magnitude are counted as zero.
    pub zero_threshold: f64,
    /// How many were.
    pub zero_count: u64,
    /// Buckets above zero.
    pub positive: Buckets,
    /// Buckets below zero, by magnitude.
    pub negative: Buckets,
}

/// The filled buckets of one sign.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buckets {
    /// Runs of neighbours: the gap to the run before (the first: the bucket's index) and their number.
    pub spans: Vec<(i32, u32)>,
    /// The first count, then differences.
    pub deltas: Vec<i64>,
}

/// What an OTLP point says, without its attributes.
#[derive(Debug, Clone, Copy)]
pub struct Exponential<'a> {
    /// Observations.
    pub count: u64,
    /// Their sum, when the source knows it.
    pub sum: Option<f64>,
    /// OTLP scale.
    pub scale: i32,
    /// Observations at zero.
    pub zero_count: u64,
    /// 0 when the source does not say.
    pub zero_threshold: f64,
    /// First index and counts above zero.
    pub positive: (i32, &'a [u64]),
    /// First index and counts below zero.
    pub negative: (i32, &'a [u64]),
}

impl NativeHistogram {
    /// Translates a point. `None` when it has no sum or its scale is coarser than Prometheus can say; a finer one is
    /// merged down.
    #[must_use]
    pub fn from_exponential(timestamp_ms: i64, point: &Exponential<'_>) -> Option<Self> {
        let sum = point.sum.map(|sum| if sum.is_nan() { f64::NAN } else { sum })?;
        if point.scale < MIN_SCALE {
            return None;
        }
        let shift = u32::try_from(point.scale - MAX_SCALE).unwrap_or(0);
        Some(Self {
            timestamp_ms,
            count: point.count,
            sum,
            schema: point.scale.min(MAX_SCALE),
            zero_threshold: if point.zero_threshold > 0.0 { point.zero_threshold } else { ZERO_THRESHOLD },
            zero_count: point.zero_count,
            positive: Buckets::new(point.positive, shift),
            negative: Buckets::new(point.negative, shift),
        })
    }

    /// The end of a series.
    #[must_use]
    pub fn stale(timestamp_ms: i64) -> Self {
        Self { timestamp_ms, sum: crate::stale(), zero_threshold: ZERO_THRESHOLD, ..Self::default() }
    }
}

impl Buckets {
    fn new((offset, counts): (i32, &[u64]), shift: u32) -> Self {
        let mut out = Self::default();
        let mut open: Option<(i64, u64)> = None; // the bucket being summed: its index and its count
        let mut last_index: Option<i64> = None;
        let mut last_count: i64 = 0;
        let mut close = |open: Option<(i64, u64)>| {
            let Some((index, count)) = open.filter(|(_, count)| *count > 0) else { return };
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            match (last_index, out.spans.last_mut()) {
                (Some(last), Some(span)) if last + 1 == index => span.1 += 1,
                (last, _) => {
                    let gap = last.map_or(index, |last| index - last - 1);
                    out.spans.push((i32::try_from(gap).unwrap_or(i32::MAX), 1));
                }
            }
            out.deltas.push(count - last_count);
            (last_index, last_count) = (Some(index), count);
        };
        for (at, &count) in (0_i64..).zip(counts) {
            // An arithmetic shift halves below zero as it does above: the bucket that holds the finer one.
            let index = ((i64::from(offset) + at) >> shift.min(62)) + 1;
            match &mut open {
                Some((open_index, sum)) if *open_index == index => *sum = sum.saturating_add(count),
                _ => close(open.replace((index, count))),
            }
        }
        close(open);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Buckets, Exponential, NativeHistogram};
    use proptest::prelude::*;

    fn point<'a>(scale: i32, positive: (i32, &'a [u64])) -> Exponential<'a> {
        let count = positive.1.iter().sum();
        Exponential {
            count,
            sum: Some(1.0),
            scale,
            zero_count: 0,
            zero_threshold: 0.0,
            positive,
            negative: (0, &[]),
        }
    }

    /// Index and count of every filled bucket.
    fn unpack(buckets: &Buckets) -> Vec<(i64, i64)> {
        let (mut index, mut count, mut deltas) = (0_i64, 0, buckets.deltas.iter());
        let mut out = Vec::new();
        for (gap, length) in &buckets.spans {
            index += i64::from(*gap);
            for _ in 0..*length {
                count += deltas.next().unwrap();
                out.push((index, count));
                index += 1;
            }
        }
        assert!(deltas.next().is_none());
        out
    }

    #[test]
    fn the_specifications_worked_example_comes_out_exactly() {
        let buckets = Buckets::new((3, &[10, 0, 0, 20, 5, 2]), 0);
        assert_eq!(buckets.spans, [(4, 1), (2, 3)]);
        assert_eq!(buckets.deltas, [10, 10, -15, -3]);
    }

    #[test]
    fn a_scale_finer_than_eight_is_merged_down() {
        let native = NativeHistogram::from_exponential(1, &point(10, (-5, &[1, 2, 3, 4, 5, 6, 7]))).unwrap();
        assert_eq!(native.schema, 8);
        // Indices -5 to 1 shifted by two: -2 | -1 -1 -1 -1 | 0 0, then the upper bound's number.
        assert_eq!(unpack(&native.positive), [(-1, 1), (0, 14), (1, 13)]);
    }

    #[test]
    fn a_scale_coarser_than_minus_four_is_refused() {
        assert!(NativeHistogram::from_exponential(1, &point(-5, (0, &[1]))).is_none());
        assert_eq!(NativeHistogram::from_exponential(1, &point(-4, (0, &[1]))).unwrap().schema, -4);
    }

    #[test]
    fn the_stale_histogram_is_empty_and_carries_the_marker_as_its_sum() {
        let stale = NativeHistogram::stale(7);
        assert_eq!((stale.sum.to_bits(), stale.count, stale.timestamp_ms), (crate::STALE_BITS, 0, 7));
        assert!(stale.positive.spans.is_empty());
    }

    proptest! {
        #[test]
        fn every_count_lands_in_the_bucket_whose_upper_bound_is_one_further(
            offset in -40_i32..40, counts in prop::collection::vec(0_u64..5, 0..60)) {
            let buckets = Buckets::new((offset, &counts), 0);
            let expected: Vec<(i64, i64)> = (i64::from(offset) + 1..).zip(&counts)
                .filter(|(_, c)| **c > 0).map(|(i, c)| (i, *c as i64)).collect();
            prop_assert_eq!(unpack(&buckets), expected);
        }

        #[test]
        fn merging_down_loses_no_count(
            offset in -300_i32..300, shift in 0_u32..6, counts in prop::collection::vec(0_u64..5, 0..60)) {
            let buckets = Buckets::new((offset, &counts), shift);
            let total: i64 = unpack(&buckets).iter().map(|(_, c)| c).sum();
            prop_assert_eq!(total as u64, counts.iter().sum::<u64>());
        }
    }
}
