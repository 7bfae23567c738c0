//! Metrics of every kind.

use std::marker::PhantomData;

use super::points::{ExponentialHistogramPoint, HistogramPoint, NumberPoint, Point, SummaryPoint};
use super::{Metrics, Open, Scope};
use crate::signal::{EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY};
use crate::view::Temporality;
use crate::wire;

impl Scope<'_, Metrics> {
    /// Opens a gauge.
    pub fn gauge(&mut self, name: &str, unit: &str, description: &str) -> Metric<'_, NumberPoint<'static>> {
        Metric::new(&mut self.open, GAUGE, [name, description, unit], Temporality::Unspecified, false)
    }

    /// Opens a sum.
    pub fn sum(
        &mut self,
        name: &str,
        unit: &str,
        description: &str,
        temporality: Temporality,
        monotonic: bool,
    ) -> Metric<'_, NumberPoint<'static>> {
        Metric::new(&mut self.open, SUM, [name, description, unit], temporality, monotonic)
    }

    /// Opens a histogram with explicit bounds.
    pub fn histogram(
        &mut self,
        name: &str,
        unit: &str,
        description: &str,
        temporality: Temporality,
    ) -> Metric<'_, HistogramPoint<'static>> {
        Metric::new(&mut self.open, HISTOGRAM, [name, description, unit], temporality, false)
    }

    /// Opens an exponential histogram.
    pub fn exponential_histogram(
        &mut self,
        name: &str,
        unit: &str,
        description: &str,
        temporality: Temporality,
    ) -> Metric<'_, ExponentialHistogramPoint<'static>> {
        Metric::new(&mut self.open, EXPONENTIAL_HISTOGRAM, [name, description, unit], temporality, false)
    }

    /// Opens a summary.
    pub fn summary(
        &mut self,
        name: &str,
        unit: &str,
        description: &str,
    ) -> Metric<'_, SummaryPoint<'static>> {
        Metric::new(&mut self.open, SUMMARY, [name, description, unit], Temporality::Unspecified, false)
    }
}

/// An open metric whose points are of type `P`.
#[derive(Debug)]
pub struct Metric<'a, P> {
    metric: Open<'a>,
    /// Where the inside of Gauge, Sum, ... begins.
    data: usize,
    points: PhantomData<P>,
}

impl<'a, P> Metric<'a, P> {
    fn new(
        scope: &'a mut Open<'_>,
        kind: u32,
        [name, description, unit]: [&str; 3],
        temporality: Temporality,
        monotonic: bool,
    ) -> Self {
        let mut metric = scope.nested(2);
        metric.string(1, name);
        metric.string(2, description);
        metric.string(3, unit);
        let data = wire::open(metric.buf(), kind);
        if temporality != Temporality::Unspecified {
            wire::put_uint(metric.buf(), 2, temporality.number());
        }
        if monotonic {
            wire::put_uint(metric.buf(), 3, 1);
        }
        Metric { metric, data, points: PhantomData }
    }
}

impl<P: Point> Metric<'_, P> {
    /// Opens a point that was taken at `time`, in nanoseconds since 1970.
    pub fn point(&mut self, time: u64) -> P::Open<'_> {
        let mut open = self.metric.item(1);
        wire::put_fixed64(open.buf(), 3, time);
        P::open(open)
    }
}

impl<P> Metric<'_, P> {
    /// The place for a point of so many bytes.
    pub(super) fn item_of(&mut self, len: usize) -> &mut Vec<u8> {
        let output = &mut *self.metric.output;
        output.items += 1;
        output.buf.reserve(len + 12);
        wire::put_tag(&mut output.buf, 1, wire::LEN);
        wire::put_varint(&mut output.buf, len as u64);
        &mut output.buf
    }
}

impl<P> Drop for Metric<'_, P> {
    fn drop(&mut self) {
        wire::close(self.metric.buf(), self.data);
    }
}
