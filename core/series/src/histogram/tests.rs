use proptest::collection::vec;
use proptest::prelude::*;

use super::index::lower_border;
use super::*;

fn of(values: &[f64]) -> Histogram {
    let mut histogram = Histogram::new();
    for value in values {
        assert!(histogram.record(*value));
    }
    histogram
}

fn exact(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1]
}

#[test]
fn scale_5_is_good_for_1_1_percent() {
    assert!(relative_error(5) < 0.011 && relative_error(5) > 0.0108);
    assert!((relative_error(3) - 0.0433).abs() < 0.0001);
    assert!((relative_error(0) - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn the_upper_border_belongs_to_its_bucket() {
    assert_eq!(index_of(f64::from_bits(1)), -1074 * 32 - 1, "the least number");
    for exponent in [-1022, -10, -1, 0, 1, 10, 1023] {
        let power = f64::from(exponent).exp2();
        assert_eq!(index_of(power), exponent * 32 - 1, "2^{exponent}");
        assert_eq!(index_of(power.next_up()), exponent * 32, "just above 2^{exponent}");
    }
}

#[test]
fn a_million_between_least_and_greatest_stays_at_scale_5() {
    let mut histogram = of(&[0.000_001_1, 1.0]);
    assert_eq!(histogram.scale(), 5);
    histogram.record(1000.0);
    assert_eq!(histogram.scale(), 4);
    assert!(histogram.positive().counts().len() <= MAX_BUCKETS);
    assert_eq!(of(&[f64::MIN_POSITIVE / 4.0, f64::MAX]).scale(), -2);
}

#[test]
fn what_is_no_measurement_is_refused() {
    let mut histogram = Histogram::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(!histogram.record(value));
    }
    assert_eq!(histogram, Histogram::new());
    assert_eq!((histogram.quantile(0.5), histogram.min()), (None, None));
    assert_eq!(of(&[1.0]).quantile(1.5), None);
    assert_eq!(of(&[1.0]).quantile(f64::NAN), None);
}

#[test]
fn negative_values_and_zero_keep_their_order() {
    let histogram = of(&[-100.0, -1.0, 0.0, 0.0, 1.0, 100.0]);
    assert_eq!(histogram.quantile(0.0), Some(-100.0));
    assert_eq!(histogram.quantile(1.0), Some(100.0));
    assert_eq!(histogram.quantile(0.5), Some(0.0));
    let near = |q: f64, expected: f64| (histogram.quantile(q).unwrap() / expected - 1.0).abs() < 0.011;
    assert!(near(0.33, -1.0) && near(0.75, 1.0));
}

#[test]
fn an_exponential_histogram_of_a_finer_or_coarser_scale_is_taken_exactly() {
    // Scale 0: 3 values in (1, 2], 1 in (4, 8]; two zeros.
    let mut histogram = of(&[1.5]);
    histogram.take_exponential(0, 2, [(0, &[3, 0, 1]), (0, &[])], 12.0, Range::default());
    assert_eq!((histogram.scale(), histogram.count(), histogram.zero_count()), (0, 7, 2));
    assert_eq!((histogram.positive().offset(), histogram.positive().counts()), (0, &[4, 0, 1][..]));
    assert_eq!((histogram.min(), histogram.max(), histogram.sum()), (Some(0.0), Some(8.0), 13.5));
    // Scale 8: eight neighbours make one bucket of ours.
    let mut finer = Histogram::new();
    finer.take_exponential(
        8,
        0,
        [(-8, &[1; 16]), (0, &[])],
        16.0,
        Range { min: Some(0.98), max: Some(1.04) },
    );
    assert_eq!((finer.scale(), finer.positive().offset(), finer.positive().counts()), (5, -1, &[8, 8][..]));
    assert_eq!((finer.min(), finer.max()), (Some(0.98), Some(1.04)));
}

#[test]
fn hostile_buckets_do_no_harm() {
    let mut histogram = Histogram::new();
    histogram.take_exponential(
        i32::MAX,
        0,
        [(i32::MAX, &[1, 1]), (i32::MIN, &[u64::MAX, 1])],
        f64::NAN,
        Range::default(),
    );
    histogram.take_exponential(
        i32::MIN,
        u64::MAX,
        [(i32::MIN, &[1]), (i32::MAX, &[1])],
        0.0,
        Range::default(),
    );
    assert!(histogram.quantile(0.5).is_some());
}

#[test]
fn explicit_buckets_bound_the_error() {
    let mut histogram = Histogram::new();
    let source = Explicit {
        bounds: &[10.0, 20.0, 50.0],
        counts: &[10, 80, 8, 2],
        sum: Some(1700.0),
        range: Range::default(),
    };
    assert!(histogram.take_explicit(source));
    assert_eq!((histogram.count(), histogram.sum()), (100, 1700.0));
    let median = histogram.quantile(0.5).unwrap();
    assert!((median - 15.0).abs() < 0.5, "evenly within (10, 20]: {median}");
    assert!((20.0..=50.0).contains(&histogram.quantile(0.95).unwrap()));
    assert_eq!(histogram.quantile(1.0), Some(50.0), "without a maximum the last bucket ends where it begins");
    let mut known = Histogram::new();
    known.take_explicit(Explicit { range: Range { min: Some(4.0), max: Some(70.0) }, ..source });
    assert_eq!((known.min(), known.max()), (Some(4.0), Some(70.0)));
}

#[test]
fn explicit_buckets_that_do_not_fit_are_refused() {
    let mut histogram = Histogram::new();
    for (bounds, counts) in
        [(&[1.0, 2.0][..], &[1, 2][..]), (&[2.0, 1.0], &[1, 1, 1]), (&[f64::NAN], &[1, 1])]
    {
        let source = Explicit { bounds, counts, sum: None, range: Range::default() };
        assert!(!histogram.take_explicit(source), "{bounds:?}");
    }
    assert_eq!(histogram.count(), 0);
}

fn measurement() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 1e-3f64..1e2, 1 => -1e2f64..-1e-3, 1 => Just(0.0)]
}

proptest! {
    #[test]
    fn every_quantile_is_within_the_relative_error(values in vec(measurement(), 1..300), q in 0.0f64..=1.0) {
        let histogram = of(&values);
        prop_assert_eq!(histogram.scale(), 5);
        let (found, expected) = (histogram.quantile(q).unwrap(), exact(&values, q));
        prop_assert!((found - expected).abs() <= 0.011 * expected.abs(), "{} instead of {}", found, expected);
    }

    #[test]
    fn merging_gives_what_all_values_together_give(a in vec(any::<f64>(), 0..100), b in vec(measurement(), 0..100)) {
        let a: Vec<f64> = a.into_iter().filter(|v| v.is_finite()).collect();
        let mut merged = of(&a);
        merged.merge(&of(&b));
        let mut all = of(&[a, b].concat());
        // Only the order in which the sum was added up may differ.
        prop_assert!(merged.sum == all.sum || (merged.sum / all.sum - 1.0).abs() < 1e-6 || !all.sum.is_finite()
            || (merged.sum - all.sum).abs() < 1e-6);
        all.sum = merged.sum;
        if all.sum.is_nan() {
            (all.sum, merged.sum) = (0.0, 0.0);
        }
        prop_assert_eq!(merged, all);
    }

    #[test]
    fn coarsening_gives_what_a_coarser_histogram_counts(values in vec(1e-6f64..1e6, 1..200), scale in -4i32..5) {
        let mut coarse = of(&values);
        coarse.coarsen(scale);
        let scale = coarse.scale();
        for value in &values {
            let place = (coarse.positive().offset()..).zip(coarse.positive().counts()).find(|(index, _)| {
                let (low, high) = (lower_border(*index, scale), lower_border(index + 1, scale));
                // Borders that are no powers of two are rounded.
                *value > low * (1.0 - 1e-12) && *value <= high * (1.0 + 1e-12)
            });
            prop_assert!(place.is_some_and(|(_, count)| *count > 0));
        }
        prop_assert_eq!(coarse.positive().counts().iter().sum::<u64>(), values.len() as u64);
    }

    #[test]
    fn an_explicit_histogram_keeps_its_counts(counts in vec(0u64..1000, 4..5), q in 0.0f64..=1.0) {
        let bounds = [-5.0, 1.0, 7.5];
        let mut histogram = Histogram::new();
        let range = Range { min: Some(-9.0), max: Some(20.0) };
        histogram.take_explicit(Explicit { bounds: &bounds, counts: &counts, sum: None, range });
        let total: u64 = counts.iter().sum();
        prop_assert_eq!(histogram.count(), total);
        let Some(found) = histogram.quantile(q) else { return Ok(()) };
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
        let mut below = 0;
        let bucket = counts.iter().position(|n| { below += n; below >= rank }).unwrap();
        let borders = [-9.0, -5.0, 1.0, 7.5, 20.0];
        // One bucket of ours may lie across a border of theirs.
        let slack = |border: f64| border.abs() * 0.022;
        let (low, high) = (borders[bucket], borders[bucket + 1]);
        prop_assert!(found >= low - slack(low) && found <= high + slack(high), "{} is not in {}..{}", found, low, high);
    }
}
