//! The base-2 exponential histogram: OTLP's, and the one form in which distributions are held here.
//!
//! At scale `s` the bucket with index `i` holds values in (b^i, b^(i+1)] with b = 2^(2^-s). A quantile is off by at
//! most (b-1)/(b+1) of its value: 1.1 % at scale 5, with which every histogram begins, then 2.2 %, 4.3 % and so on.
//! A histogram whose buckets would be more than [`MAX_BUCKETS`] on one side of zero becomes coarser, one
//! scale at a time; so does one that takes in a coarser one. Merging and coarsening are exact: they give the very
//! histogram that the values would have given.

mod buckets;
mod explicit;
mod index;
mod quantile;

pub use buckets::{Buckets, MAX_BUCKETS};
pub use explicit::Explicit;
pub use index::{MAX_SCALE, MIN_SCALE, relative_error};

use index::{clamp_index, index_of};

/// A distribution of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    scale: i32,
    count: u64,
    zero_count: u64,
    sum: f64,
    min: f64,
    max: f64,
    positive: Buckets,
    negative: Buckets,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            scale: MAX_SCALE,
            count: 0,
            zero_count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            positive: Buckets::default(),
            negative: Buckets::default(),
        }
    }
}

impl Histogram {
    /// Nothing yet, at the finest scale.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a value. NaN and infinities are no measurements: `false`, and nothing changes.
    pub fn record(&mut self, value: f64) -> bool {
        self.record_many(value, 1)
    }

    /// Takes the same value `times` times.
    pub fn record_many(&mut self, value: f64, times: u64) -> bool {
        if !value.is_finite() {
            return false;
        }
        if times == 0 {
            return true;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value * times as f64;
        self.count = self.count.saturating_add(times);
        if value == 0.0 {
            self.zero_count = self.zero_count.saturating_add(times);
        } else {
            self.add(value < 0.0, i64::from(index_of(value.abs())), MAX_SCALE, times);
        }
        true
    }

    /// How many values it has taken.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them were 0, or too near to it for their source.
    pub fn zero_count(&self) -> u64 {
        self.zero_count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The least of them; `None` without values. For values out of another histogram it may be a bucket's border.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest of them, as [`min`](Self::min).
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// The scale it has come to.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// Buckets of the values above 0.
    pub fn positive(&self) -> &Buckets {
        &self.positive
    }

    /// Buckets of the values below 0, by their distance from it.
    pub fn negative(&self) -> &Buckets {
        &self.negative
    }

    /// By how much a quantile may be off, as a fraction of its value.
    pub fn relative_error(&self) -> f64 {
        relative_error(self.scale)
    }

    /// Takes in all values of another.
    pub fn merge(&mut self, other: &Histogram) {
        if other.count == 0 {
            return;
        }
        self.coarsen(other.scale);
        for (negative, buckets) in [(false, &other.positive), (true, &other.negative)] {
            self.add_row(negative, buckets.offset(), other.scale, buckets.counts());
        }
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Takes in the buckets of a source's exponential histogram: `rows` are its positive and its negative buckets, as offset
    /// and counts. Its minimum and maximum are used if it knows them, else its buckets' borders.
    pub fn take_exponential(
        &mut self,
        scale: i32,
        zero_count: u64,
        rows: [(i32, &[u64]); 2],
        sum: f64,
        range: Range,
    ) {
        let scale = scale.max(MIN_SCALE);
        let mut taken = Histogram::new();
        taken.coarsen(scale.min(MAX_SCALE));
        taken.zero_count = zero_count;
        taken.count = zero_count;
        for (negative, (offset, counts)) in [false, true].into_iter().zip(rows) {
            taken.add_row(negative, offset, scale, counts);
            taken.count = counts.iter().fold(taken.count, |sum, n| sum.saturating_add(*n));
        }
        if taken.count == 0 {
            return;
        }
        let (low, high) = taken.borders();
        taken.sum = sum;
        taken.min = range.min.filter(|min| min.is_finite()).unwrap_or(low);
        taken.max = range.max.filter(|max| max.is_finite()).unwrap_or(high);
        self.merge(&taken);
    }

    /// Narrows the range of the values by what else is known of it.
    pub(crate) fn narrow(&mut self, min: Option<f64>, max: Option<f64>) {
        self.min = min.map_or(self.min, |min| self.min.max(min));
        self.max = max.map_or(self.max, |max| self.max.min(max));
    }

    /// Makes it coarser, down to `scale`; never finer.
    pub fn coarsen(&mut self, scale: i32) {
        let by = self.scale - scale.max(MIN_SCALE);
        if by > 0 {
            self.positive.coarsen(by.unsigned_abs());
            self.negative.coarsen(by.unsigned_abs());
            self.scale -= by;
        }
    }

    /// Adds to a bucket whose index is given at `scale`, coarsening when it would be too far from the others.
    fn add(&mut self, negative: bool, index: i64, scale: i32, times: u64) {
        loop {
            let index = clamp_index(index >> (scale - self.scale).clamp(0, 63), self.scale);
            let buckets = if negative { &mut self.negative } else { &mut self.positive };
            if buckets.add(index, times) {
                return;
            }
            self.coarsen(self.scale - 1);
        }
    }

    fn add_row(&mut self, negative: bool, offset: i32, scale: i32, counts: &[u64]) {
        for (index, times) in (i64::from(offset)..).zip(counts).filter(|(_, times)| **times > 0) {
            self.add(negative, index, scale, *times);
        }
    }
}

/// The range of a source's values, as far as it knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
}

#[cfg(test)]
mod tests;
