//! Data points as samples.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{
    Attributes, Buckets, Data, ExponentialHistogramPoint, HistogramPoint, MetricView, NumberPoint,
    SummaryPoint, Value,
};

use super::{Dropped, Translated, Translator, kinds};
use crate::labels::{Labels, Rank};
use crate::native::{Exponential, NativeHistogram};
use crate::text::float;
use crate::write::{HistogramSample, Sample};

/// The points of one scope, with what their series have in common.
pub(super) struct Points<'t, 'a> {
    translator: &'t Translator,
    prefix: &'t Labels,
    out: &'t mut Translated,
    /// The labels of the point at hand, unfinished: each of its series finishes a copy.
    point: Labels,
    series: Labels,
    attributes: Vec<(&'a str, Value<'a>)>,
    name: String,
    number: String,
    latest_ms: Option<i64>,
}

/// A point that has no series, and why.
struct NoSeries(Dropped);

impl From<Malformed> for NoSeries {
    fn from(_: Malformed) -> Self {
        NoSeries(Dropped::Malformed)
    }
}

type Step = Result<(), NoSeries>;

impl<'t, 'a> Points<'t, 'a> {
    pub(super) fn new(translator: &'t Translator, prefix: &'t Labels, out: &'t mut Translated) -> Self {
        Self {
            translator,
            prefix,
            out,
            point: Labels::default(),
            series: Labels::default(),
            attributes: Vec::new(),
            name: String::new(),
            number: String::new(),
            latest_ms: None,
        }
    }

    /// The time of the latest point that became a sample.
    pub(super) fn latest_ms(&self) -> Option<i64> {
        self.latest_ms
    }

    pub(super) fn metric(&mut self, metric: &MetricView<'a>) {
        let settings = &self.translator.settings;
        let named = kinds(&metric.data).and_then(|(kind, meta)| {
            let name = settings.namer.metric(metric.name, metric.unit, kind);
            name.map(|name| (name, meta)).ok_or(Dropped::Unsupported)
        });
        let refused = match named {
            Ok((name, meta)) => {
                if settings.metadata {
                    self.out.describe(&name, metric, meta);
                }
                self.name = name;
                None
            }
            Err(reason) => Some(reason),
        };
        match metric.data {
            Data::Empty => {}
            Data::Gauge(points) | Data::Sum { points, .. } => {
                self.each(points, refused, Self::number);
            }
            Data::Histogram { points, .. } => self.each(points, refused, Self::histogram),
            Data::ExponentialHistogram { points, .. } => self.each(points, refused, Self::exponential),
            Data::Summary(points) => self.each(points, refused, Self::summary),
        }
    }

    fn each<P>(
        &mut self,
        points: impl Iterator<Item = Result<P, Malformed>>,
        refused: Option<Dropped>,
        series: impl Fn(&mut Self, &P) -> Step,
    ) {
        for point in points {
            let step = match (refused, point) {
                (Some(reason), _) => Err(NoSeries(reason)),
                (None, Ok(point)) => series(self, &point),
                (None, Err(fault)) => Err(fault.into()),
            };
            if let Err(NoSeries(reason)) = step {
                self.out.drop_points(reason, 1);
            }
            self.out.points += 1;
        }
    }

    /// The labels that all series of a point have.
    fn open(&mut self, attributes: Attributes<'a>) -> Result<(), Malformed> {
        self.point.clone_from(self.prefix);
        self.translator.attributes(attributes, &mut self.attributes, "", &mut self.point)
    }

    /// The finished labels of one series: the name with its suffix, and one label more.
    fn labels(&mut self, suffix: &str, extra: Option<(&str, f64)>) -> &Labels {
        self.series.clone_from(&self.point);
        let name = &self.name;
        self.series.push_with(
            Rank::Series,
            |out| {
                out.push_str("__name__");
                true
            },
            |out| out.extend([name, suffix]),
        );
        if let Some((label, bound)) = extra {
            self.number.clear();
            float(&mut self.number, bound);
            self.series.push(Rank::Series, label, &self.number);
        }
        self.series.finish();
        &self.series
    }

    fn sample(&mut self, suffix: &str, extra: Option<(&str, f64)>, time: u64, value: f64) {
        self.labels(suffix, extra);
        let timestamp_ms = millis(time);
        self.latest_ms = self.latest_ms.max(Some(timestamp_ms));
        let sample = Sample { timestamp_ms, value, point: self.out.points };
        self.out.series.sample(&self.series, sample);
    }

    fn number(&mut self, point: &NumberPoint<'a>) -> Step {
        let value = match (point.no_recorded_value(), point.value) {
            (true, _) => crate::stale(),
            (false, Some(value)) => measured(value.as_f64()),
            (false, None) => return Err(NoSeries(Dropped::Unsupported)),
        };
        self.open(point.attributes())?;
        self.sample("", None, point.time, value);
        Ok(())
    }

    fn histogram(&mut self, point: &HistogramPoint<'a>) -> Step {
        let bounds = point.explicit_bounds().collect::<Result<Vec<_>, _>>()?;
        let counts = point.bucket_counts().collect::<Result<Vec<_>, _>>()?;
        self.open(point.attributes())?;
        let end = point.no_recorded_value();
        let or_stale = |value: f64| if end { crate::stale() } else { measured(value) };
        if let Some(sum) = point.sum.or(end.then_some(0.0)) {
            self.sample("_sum", None, point.time, or_stale(sum));
        }
        self.sample("_count", None, point.time, or_stale(point.count as f64));
        let mut below: u64 = 0;
        for (at, bound) in bounds.iter().enumerate().filter(|(_, bound)| bound.is_finite()) {
            below = below.saturating_add(counts.get(at).copied().unwrap_or(0));
            self.sample("_bucket", Some(("le", *bound)), point.time, or_stale(below as f64));
        }
        self.sample("_bucket", Some(("le", f64::INFINITY)), point.time, or_stale(point.count as f64));
        Ok(())
    }

    fn summary(&mut self, point: &SummaryPoint<'a>) -> Step {
        let quantiles = point.quantiles().collect::<Result<Vec<_>, _>>()?;
        self.open(point.attributes())?;
        let end = point.no_recorded_value();
        let or_stale = |value: f64| if end { crate::stale() } else { measured(value) };
        self.sample("_sum", None, point.time, or_stale(point.sum));
        self.sample("_count", None, point.time, or_stale(point.count as f64));
        for (quantile, value) in quantiles {
            self.sample("", Some(("quantile", quantile)), point.time, or_stale(value));
        }
        Ok(())
    }

    fn exponential(&mut self, point: &ExponentialHistogramPoint<'a>) -> Step {
        let timestamp_ms = millis(point.time);
        let histogram = if point.no_recorded_value() {
            NativeHistogram::stale(timestamp_ms)
        } else {
            let row = |buckets: Buckets<'a>| buckets.counts.collect::<Result<Vec<_>, _>>();
            let (positive, negative) = (row(point.positive)?, row(point.negative)?);
            let sum = point.sum.ok_or(NoSeries(Dropped::Unsupported))?;
            NativeHistogram::from_exponential(&Exponential {
                timestamp_ms,
                count: point.count,
                sum: measured(sum),
                scale: point.scale,
                zero_count: point.zero_count,
                zero_threshold: point.zero_threshold,
                positive: (point.positive.offset, &positive),
                negative: (point.negative.offset, &negative),
            })
            .ok_or(NoSeries(Dropped::Unsupported))?
        };
        self.open(point.attributes())?;
        self.labels("", None);
        self.latest_ms = self.latest_ms.max(Some(timestamp_ms));
        let sample = HistogramSample { histogram, point: self.out.points };
        self.out.series.histogram(&self.series, sample);
        Ok(())
    }
}

/// A measured value: a NaN must not look like the stale marker by accident.
fn measured(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

fn millis(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}
