//! One data point as Prometheus sees it, before it is taken apart into samples.

use crate::labels::Labels;
use crate::native::Exponential;
use crate::translate::Dropped;
use crate::write::MetadataType;

/// The family that a point belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The name, with unit and type suffixes where the strategy adds them.
    pub name: String,
    /// The type.
    pub kind: MetadataType,
    /// What it tells, for people.
    pub help: String,
    /// The unit as words, such as `bytes`; may be empty.
    pub unit: String,
}

/// A data point of a series (or, for histograms and summaries, of a group of series).
#[derive(Debug)]
pub struct Point<'a> {
    /// Its family.
    pub family: &'a Family,
    /// The labels but for `__name__`, `le` and `quantile`; not finished.
    pub labels: &'a Labels,
    /// The server that it is about, `host:port`; empty when the resource names none.
    pub server: &'a str,
    /// When it was taken, milliseconds since 1970.
    pub time_ms: i64,
    /// Whether the series ends here; the value then only tells its form.
    pub ended: bool,
    /// Whether the value counts from the point before, for sinks that add up.
    pub delta: bool,
    /// The value.
    pub value: Value<'a>,
    /// Measurements that stand for it; gathered only for sinks that ask.
    pub exemplars: &'a [Exemplar],
    /// Its number in the batch: what a drop is accounted by.
    pub number: u32,
}

/// A point's value.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A counter's or a gauge's.
    Number(f64),
    /// A histogram with bounds.
    Histogram(Histogram<'a>),
    /// An exponential histogram.
    Exponential(Exponential<'a>),
    /// Quantiles.
    Summary {
        /// Observations.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Quantile (0 to 1) and value.
        quantiles: &'a [(f64, f64)],
    },
}

/// A histogram with cumulative buckets.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    /// Observations.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// Finite upper bounds, rising.
    pub bounds: &'a [f64],
    /// Observations up to each bound.
    pub below: &'a [u64],
}

/// One measurement, and where it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// When, milliseconds since 1970.
    pub time_ms: i64,
    /// What was measured.
    pub value: f64,
    /// `trace_id`, `span_id` and what else was said; sorted, at most 128 characters in all.
    pub labels: Vec<(String, String)>,
}

/// Takes points.
pub trait Sink {
    /// Whether exemplars are wanted: they cost time to read.
    const EXEMPLARS: bool = false;
    /// Whether it adds up the deltas of sums that only grow and of histograms; else they are dropped.
    const DELTAS: bool = false;

    /// Takes a point.
    ///
    /// # Errors
    /// There is no form for it.
    fn point(&mut self, point: &Point<'_>) -> Result<(), Dropped>;
}
