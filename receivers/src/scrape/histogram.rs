//! Histograms whose buckets are powers of two.

use streamgauge_pdata::build::ExponentialHistogramPoint;

/// The least and the greatest bucket: what is beyond counts there.
const FIRST: i32 = -32;
const LAST: i32 = 63;

/// An exponential histogram of scale 0: bucket `i` holds the values above 2^i up to 2^(i+1). Two of them add up without loss.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exponential {
    zero: u64,
    /// Bucket and count, rising.
    buckets: std::collections::BTreeMap<i32, u64>,
    sum: Option<f64>,
}

impl Exponential {
    /// Adds a value. What is not above 0 counts as 0.
    pub(crate) fn observe(&mut self, value: f64) {
        *self.sum.get_or_insert(0.0) += value.max(0.0);
        if value > 0.0 {
            self.add(value.log2().ceil() as i32 - 1, 1);
        } else {
            self.zero += 1;
        }
    }

    /// Adds to the bucket with this index.
    pub(crate) fn add(&mut self, bucket: i32, count: u64) {
        let count_there = self.buckets.entry(bucket.clamp(FIRST, LAST)).or_default();
        *count_there = count_there.saturating_add(count);
    }

    /// Adds values that are 0.
    pub(crate) fn add_zero(&mut self, count: u64) {
        self.zero = self.zero.saturating_add(count);
    }

    /// Says what all values come to, where that is known from elsewhere.
    pub(crate) fn set_sum(&mut self, sum: f64) {
        self.sum = Some(sum);
    }

    /// Adds another one. The sum is known when both are.
    pub(crate) fn merge(&mut self, other: &Exponential) {
        let was_empty = self.count() == 0;
        self.sum = match (self.sum, other.sum) {
            (Some(a), Some(b)) => Some(a + b),
            (None, sum) if was_empty => sum,
            _ => None,
        };
        self.add_zero(other.zero);
        other.buckets.iter().for_each(|(bucket, count)| self.add(*bucket, *count));
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.values().fold(self.zero, |all, count| all.saturating_add(*count))
    }

    pub(crate) fn write(&self, point: &mut ExponentialHistogramPoint<'_>) {
        point.count(self.count()).scale(0).zero(self.zero, 0.0);
        if let Some(sum) = self.sum {
            point.sum(sum);
        }
        if let (Some((first, _)), Some((last, _))) =
            (self.buckets.first_key_value(), self.buckets.last_key_value())
        {
            let count = |bucket| self.buckets.get(&bucket).copied().unwrap_or(0);
            point.positive(*first, (*first..=*last).map(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_whose_upper_bound_it_does_not_exceed() {
        let mut histogram = Exponential::default();
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into_iter().for_each(|value| histogram.observe(value));
        let buckets: Vec<_> = histogram.buckets.iter().map(|(bucket, count)| (*bucket, *count)).collect();
        assert_eq!(buckets, [(-1, 1), (0, 1), (1, 2), (2, 1)]);
        assert_eq!((histogram.count(), histogram.zero, histogram.sum), (6, 1, Some(15.0)));
    }

    #[test]
    fn two_add_up_and_a_sum_that_one_lacks_is_not_invented() {
        let (mut a, mut b) = (Exponential::default(), Exponential::default());
        a.observe(3.0);
        b.observe(4.0);
        a.merge(&b);
        assert_eq!((a.count(), a.sum), (2, Some(7.0)));
        let mut unknown = Exponential::default();
        unknown.add(1, 5);
        a.merge(&unknown);
        assert_eq!((a.count(), a.sum), (7, None));
    }
}
