//! Points as sources of values: what is new with each of them.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{
    Attributes, Buckets, Data, ExponentialHistogramPoint, HistogramPoint, NumberPoint, Temporality,
};
use streamgauge_series::{Explicit, ExplicitCounter, ExponentialCounter, Histogram, Range, SeriesMap};

/// The last points of cumulative histograms.
pub(super) type Known = SeriesMap<Option<Cumulative>>;

/// The last point of one cumulative histogram.
pub(super) enum Cumulative {
    Explicit(ExplicitCounter),
    Exponential(ExponentialCounter),
}

/// A point of any kind that has values.
pub(super) enum Point<'a> {
    Number(NumberPoint<'a>),
    Explicit(HistogramPoint<'a>, Temporality),
    Exponential(ExponentialHistogramPoint<'a>, Temporality),
}

/// The values that are new with a point.
pub(super) enum Values {
    None,
    One(f64),
    Many(Histogram),
}

impl Values {
    /// Adds them; `false` when there are none.
    pub fn add_to(&self, histogram: &mut Histogram) -> bool {
        match self {
            Values::None => false,
            Values::One(value) => histogram.record(*value),
            Values::Many(values) => {
                histogram.merge(values);
                values.count() > 0
            }
        }
    }
}

/// The points of a metric, if its kind has values. A counter says how much there was, not what.
pub(super) fn points<'a>(
    data: Data<'a>,
) -> Option<Box<dyn Iterator<Item = Result<Point<'a>, Malformed>> + 'a>> {
    Some(match data {
        Data::Gauge(points) | Data::Sum { points, monotonic: false, .. } => {
            Box::new(points.map(|point| point.map(Point::Number)))
        }
        Data::Histogram { points, temporality } => {
            Box::new(points.map(move |point| point.map(|point| Point::Explicit(point, temporality))))
        }
        Data::ExponentialHistogram { points, temporality } => {
            Box::new(points.map(move |point| point.map(|point| Point::Exponential(point, temporality))))
        }
        Data::Sum { .. } | Data::Summary(_) | Data::Empty => return None,
    })
}

impl<'a> Point<'a> {
    pub fn attributes(&self) -> Attributes<'a> {
        match self {
            Point::Number(point) => point.attributes(),
            Point::Explicit(point, _) => point.attributes(),
            Point::Exponential(point, _) => point.attributes(),
        }
    }

    /// What is new with this point. A cumulative histogram must be `known` for that, and is then; `None` when it
    /// is one too many.
    ///
    /// # Errors
    /// Buckets that cannot be read.
    pub fn values(&self, key: &[u8], known: &mut Known, now: u64) -> Result<Option<Values>, Malformed> {
        match self {
            Point::Number(point) if point.no_recorded_value() => Ok(Some(Values::None)),
            Point::Number(point) => {
                Ok(Some(point.value.map_or(Values::None, |value| Values::One(value.as_f64()))))
            }
            Point::Explicit(point, _) if point.no_recorded_value() => Ok(Some(ended(key, known))),
            Point::Exponential(point, _) if point.no_recorded_value() => Ok(Some(ended(key, known))),
            Point::Explicit(point, temporality) => explicit(point, *temporality, key, known, now),
            Point::Exponential(point, temporality) => exponential(point, *temporality, key, known, now),
        }
    }
}

fn ended(key: &[u8], known: &mut Known) -> Values {
    known.remove(key);
    Values::None
}

fn explicit(
    point: &HistogramPoint<'_>,
    temporality: Temporality,
    key: &[u8],
    known: &mut Known,
    now: u64,
) -> Result<Option<Values>, Malformed> {
    let bounds = point.explicit_bounds().collect::<Result<Vec<_>, _>>()?;
    let counts = point.bucket_counts().collect::<Result<Vec<_>, _>>()?;
    let range = Range { min: point.min, max: point.max };
    let source = Explicit { bounds: &bounds, counts: &counts, sum: point.sum, range };
    let mut values = Histogram::new();
    if temporality == Temporality::Delta {
        values.take_explicit(source);
        return Ok(Some(Values::Many(values)));
    }
    let Some(state) = known.entry(key, now, || None) else { return Ok(None) };
    match state {
        Some(Cumulative::Explicit(last)) => {
            last.next(point.start_time, point.time, source, &mut values);
        }
        _ => {
            *state = Some(Cumulative::Explicit(ExplicitCounter::first(point.start_time, point.time, source)))
        }
    }
    Ok(Some(Values::Many(values)))
}

fn exponential(
    point: &ExponentialHistogramPoint<'_>,
    temporality: Temporality,
    key: &[u8],
    known: &mut Known,
    now: u64,
) -> Result<Option<Values>, Malformed> {
    let row = |buckets: Buckets<'_>| buckets.counts.collect::<Result<Vec<_>, _>>();
    let (positive, negative) = (row(point.positive)?, row(point.negative)?);
    let rows = [(point.positive.offset, &positive[..]), (point.negative.offset, &negative[..])];
    let range = Range { min: point.min, max: point.max };
    let mut total = Histogram::new();
    total.take_exponential(point.scale, point.zero_count, rows, point.sum.unwrap_or_default(), range);
    if temporality == Temporality::Delta {
        return Ok(Some(Values::Many(total)));
    }
    let Some(state) = known.entry(key, now, || None) else { return Ok(None) };
    let mut values = Histogram::new();
    match state {
        Some(Cumulative::Exponential(last)) => {
            last.next(point.start_time, point.time, total, &mut values);
        }
        _ => {
            *state =
                Some(Cumulative::Exponential(ExponentialCounter::first(point.start_time, point.time, total)))
        }
    }
    Ok(Some(Values::Many(values)))
}
