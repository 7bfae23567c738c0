//! Points as series of samples: a histogram is one for each bucket, its sum and its count.

use super::{HistogramSample, Sample, SeriesSet};
use crate::labels::{Labels, Rank};
use crate::native::NativeHistogram;
use crate::point::{Point, Sink, Value};
use crate::text::float;
use crate::translate::Dropped;

/// The memory in which one series' labels are finished.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    labels: Labels,
    number: String,
}

impl Scratch {
    /// The finished labels of one series: the name with its suffix, and one label more.
    fn finish(&mut self, point: &Point<'_>, suffix: &str, extra: Option<(&str, f64)>) -> &Labels {
        self.labels.clone_from(point.labels);
        self.labels.push_with(
            Rank::Series,
            |out| {
                out.push_str("__name__");
                true
            },
            |out| out.extend([point.family.name.as_str(), suffix]),
        );
        if let Some((label, bound)) = extra {
            self.number.clear();
            float(&mut self.number, bound);
            self.labels.push(Rank::Series, label, &self.number);
        }
        self.labels.finish();
        &self.labels
    }
}

impl Sink for SeriesSet {
    fn point(&mut self, point: &Point<'_>) -> Result<(), Dropped> {
        let mut scratch = std::mem::take(&mut self.expand);
        let done = self.expand(point, &mut scratch);
        self.expand = scratch;
        done
    }
}

impl SeriesSet {
    fn expand(&mut self, point: &Point<'_>, scratch: &mut Scratch) -> Result<(), Dropped> {
        let mut add = |suffix: &str, extra: Option<(&str, f64)>, value: f64| {
            let value = if point.ended { crate::stale() } else { measured(value) };
            let sample = Sample { timestamp_ms: point.time_ms, value, point: point.number };
            self.sample(scratch.finish(point, suffix, extra), sample);
        };
        match point.value {
            Value::Number(value) => add("", None, value),
            Value::Histogram(h) => {
                if let Some(sum) = h.sum.or(point.ended.then_some(0.0)) {
                    add("_sum", None, sum);
                }
                add("_count", None, h.count as f64);
                for (bound, below) in h.bounds.iter().zip(h.below) {
                    add("_bucket", Some(("le", *bound)), *below as f64);
                }
                add("_bucket", Some(("le", f64::INFINITY)), h.count as f64);
            }
            Value::Summary { count, sum, quantiles } => {
                add("_sum", None, sum);
                add("_count", None, count as f64);
                for (quantile, value) in quantiles {
                    add("", Some(("quantile", *quantile)), *value);
                }
            }
            Value::Exponential(exponential) => {
                let histogram = if point.ended {
                    NativeHistogram::stale(point.time_ms)
                } else {
                    NativeHistogram::from_exponential(point.time_ms, &exponential)
                        .ok_or(Dropped::Unsupported)?
                };
                let sample = HistogramSample { histogram, point: point.number };
                self.histogram(scratch.finish(point, "", None), sample);
            }
        }
        Ok(())
    }
}

/// A measured value: a NaN must not look like the stale marker by accident.
fn measured(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}
