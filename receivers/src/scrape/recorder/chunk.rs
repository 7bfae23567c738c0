//! Points that are not written yet, and how they are.

use bytes::Bytes;
use streamgauge_pdata::build::Metrics;
use streamgauge_pdata::build::{AttributeLists, Metric as OpenMetric, MetricsBuilder, NumberPoint, Scope};
use streamgauge_pdata::view::{self, Temporality};

use super::names::Place;
use super::{Number, Resource};
use crate::scrape::histogram::Exponential;
use crate::scrape::table::{Kind, Metric};

/// A point.
pub(super) struct Point {
    /// Number of the metric in the table.
    pub(super) metric: u16,
    pub(super) place: Place,
    /// Number of its attributes in the chunk.
    attributes: u32,
    /// `None` where the series ends. Of a histogram, how many values it has.
    pub(super) value: Option<Number>,
    pub(super) histogram: Option<Box<Exponential>>,
    /// What it counts from, where it counts.
    pub(super) start: Option<u64>,
}

/// Points in the order in which they came.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) points: Vec<Point>,
    lists: AttributeLists,
    /// The attributes that were encoded last: of the metrics about one thing all have the same.
    last: Option<(Place, &'static [&'static str], u32)>,
    /// How large the last request was.
    size: usize,
}

impl Chunk {
    pub(super) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Adds a point; `path` tells the values of its attributes.
    pub(super) fn push<'a>(
        &mut self,
        metric: (u16, &'static Metric),
        place: Place,
        path: impl FnOnce() -> Vec<&'a str>,
        value: Option<Number>,
        histogram: Option<Box<Exponential>>,
    ) {
        let (metric, Metric { attributes: keys, .. }) = metric;
        let attributes = match self.last {
            Some((last, with, number)) if last == place && std::ptr::eq(with, *keys) => number,
            _ => {
                let number = self.lists.add(keys.iter().copied().zip(path()));
                self.last = Some((place, keys, number));
                number
            }
        };
        self.points.push(Point { metric, place, attributes, value, histogram, start: None });
    }

    /// The point of this series, if it is among these.
    pub(super) fn find(&mut self, metric: u16, place: Place) -> Option<&mut Point> {
        self.points.iter_mut().rev().find(|point| point.metric == metric && point.place == place)
    }

    /// Writes all points as a request and keeps the room.
    pub(super) fn write(
        &mut self,
        metrics: &[&'static Metric],
        resource: &Resource,
        scope: &str,
        now: u64,
    ) -> (Bytes, usize) {
        let mut request = MetricsBuilder::with_capacity(self.size);
        {
            let mut resource = request.resource(resource);
            let mut scope = resource.scope(scope, env!("CARGO_PKG_VERSION"));
            let mut of_metric = vec![Vec::<u32>::new(); metrics.len()];
            for (n, point) in self.points.iter().enumerate() {
                of_metric[point.metric as usize].push(n as u32);
            }
            for (metric, points) in metrics.iter().zip(of_metric).filter(|(_, points)| !points.is_empty()) {
                let points = points.iter().map(|n| &self.points[*n as usize]);
                self.write_metric(metric, points, &mut scope, now);
            }
        }
        let items = request.items();
        let bytes = request.finish();
        self.size = bytes.len() + bytes.len() / 16;
        self.points.clear();
        self.lists.clear();
        self.last = None;
        (bytes, items)
    }

    fn write_metric<'a>(
        &self,
        metric: &Metric,
        points: impl Iterator<Item = &'a Point>,
        scope: &mut Scope<'_, Metrics>,
        now: u64,
    ) {
        let Metric { name, unit, about, kind, .. } = metric;
        let mut open = match kind {
            Kind::Gauge => scope.gauge(name, unit, about),
            Kind::UpDown => scope.sum(name, unit, about, Temporality::Cumulative, false),
            Kind::Counter(_) => scope.sum(name, unit, about, Temporality::Cumulative, true),
            Kind::Histogram(_) | Kind::Snapshot => {
                let mut open = scope.exponential_histogram(name, unit, about, Temporality::Cumulative);
                for point in points {
                    let mut written = open.point(now);
                    written.attributes(self.lists.get(point.attributes));
                    match (&point.histogram, point.value) {
                        (Some(histogram), Some(_)) => {
                            point.start.map(|start| written.start(start));
                            histogram.write(&mut written);
                        }
                        _ => drop(written.no_recorded_value()),
                    }
                }
                return;
            }
        };
        for point in points {
            self.write_number(point, &mut open, now);
        }
    }

    fn write_number(&self, point: &Point, open: &mut OpenMetric<'_, NumberPoint<'static>>, now: u64) {
        let value = point.value.map(|value| match value {
            Number::Int(value) => view::Number::Int(value),
            Number::Double(value) => view::Number::Double(value),
        });
        open.write(now, point.start.filter(|_| value.is_some()), self.lists.get(point.attributes), value);
    }
}
