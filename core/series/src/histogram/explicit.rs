//! Histograms with explicit bounds, taken into exponential ones.

use super::index::{index_of, lower_border};
use super::{Histogram, MAX_SCALE, Range};

/// Counts between explicit bounds, as OTLP has them: one count more than bounds.
#[derive(Clone, Copy, Debug)]
pub struct Explicit<'a> {
    /// The buckets' upper bounds, rising; the last bucket has none.
    pub bounds: &'a [f64],
    /// The buckets' counts.
    pub counts: &'a [u64],
    /// The sum of the values, if known.
    pub sum: Option<f64>,
    /// Their range, as far as known.
    pub range: Range,
}

/// How far below its upper bound the values of a bucket that begins at 0 are spread, as a power of two.
const SPREAD_OCTAVES: i32 = 10;

impl Histogram {
    /// Takes in a histogram with explicit bounds. What is known of a value is its bucket: within it values are taken to
    /// lie evenly, as Prometheus does, so a quantile is off by at most the width of its bucket. The
    /// first bucket is taken to begin at the known minimum, else at 0 (at its bound, if that is below 0); the
    /// last one to end at the known maximum, else where it begins. `false`, with nothing changed, when bounds and counts do not fit.
    pub fn take_explicit(&mut self, source: Explicit<'_>) -> bool {
        let Explicit { bounds, counts, range, .. } = source;
        let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]) && !bounds.iter().any(|b| b.is_nan());
        if counts.len() != bounds.len() + 1 || !rising {
            return false;
        }
        let before = self.sum;
        let (min, max) = (range.min.filter(|min| min.is_finite()), range.max.filter(|max| max.is_finite()));
        for (place, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let upper = bounds.get(place).copied().filter(|bound| bound.is_finite());
            let lower =
                place.checked_sub(1).and_then(|below| bounds.get(below)).copied().filter(|b| b.is_finite());
            let low = match (lower, upper) {
                (Some(lower), _) => min.map_or(lower, |min| min.max(lower)),
                (None, Some(upper)) => min.unwrap_or_else(|| upper.min(0.0)),
                (None, None) => min.or(max).unwrap_or(0.0),
            };
            let high = match upper {
                Some(upper) => max.map_or(upper, |max| max.min(upper)),
                None => max.unwrap_or(low),
            };
            self.spread(low, high.max(low), *count);
        }
        if let Some(sum) = source.sum.filter(|sum| sum.is_finite()) {
            self.sum = before + sum;
        }
        true
    }

    /// Adds `count` values that lie evenly in (low, high].
    fn spread(&mut self, low: f64, high: f64, count: u64) {
        if low < 0.0 && high > 0.0 {
            let negative = share(count, -low / (high - low));
            self.spread(low, 0.0, negative);
            self.spread(0.0, high, count - negative);
        } else if low < 0.0 {
            self.spread_side(true, -high, -low, count);
        } else {
            self.spread_side(false, low, high, count);
        }
    }

    /// The same on one side of zero, by distance from it.
    fn spread_side(&mut self, negative: bool, near: f64, far: f64, count: u64) {
        let sign = if negative { -1.0 } else { 1.0 };
        if near >= far || count == 0 {
            self.record_many(sign * far, count);
            return;
        }
        let last = index_of(far);
        let first = if near > 0.0 { index_of(near) } else { i32::MIN };
        let first = first.max(last - (SPREAD_OCTAVES << MAX_SCALE));
        let mut given = 0;
        for index in first..=last {
            let upto = lower_border(index + 1, MAX_SCALE).min(far);
            let due = if index == last { count } else { share(count, (upto - near) / (far - near)) };
            if due > given {
                let from = lower_border(index, MAX_SCALE).max(near);
                self.record_many(sign * (from + upto) / 2.0, due - given);
                given = due;
            }
        }
        // The borders themselves may have been values.
        let (a, b) = (sign * near, sign * far);
        self.min = self.min.min(a.min(b));
        self.max = self.max.max(a.max(b));
    }
}

fn share(count: u64, fraction: f64) -> u64 {
    ((count as f64 * fraction).round() as u64).min(count)
}
