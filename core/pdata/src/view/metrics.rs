//! Metrics and their kinds; the points are in [`super::points`].

use super::path::{ANY, Reader, str_of, uint_of};
use super::points::{ExponentialHistogramPoint, HistogramPoint, NumberPoint, SummaryPoint};
use super::{Attributes, Message, Messages};
use crate::malformed::{Fault, Malformed};
use crate::signal::{EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY};
use crate::wire;

/// A metric: a name and its points.
#[derive(Clone, Copy, Debug)]
pub struct MetricView<'a> {
    reader: Reader<'a>,
    /// The name.
    pub name: &'a str,
    /// What is measured, for people.
    pub description: &'a str,
    /// The unit, in UCUM.
    pub unit: &'a str,
    /// The kind of metric, and its points.
    pub data: Data<'a>,
}

/// Data points of type `P`.
pub type Points<'a, P> = Messages<'a, P>;

/// What kind of metric it is, and its points.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// No kind that this version knows.
    Empty,
    /// The last value.
    Gauge(Points<'a, NumberPoint<'a>>),
    /// A sum over time.
    Sum {
        /// The points.
        points: Points<'a, NumberPoint<'a>>,
        /// What a point's value counts from.
        temporality: Temporality,
        /// Whether it never falls.
        monotonic: bool,
    },
    /// Counts in explicit buckets.
    Histogram {
        /// The points.
        points: Points<'a, HistogramPoint<'a>>,
        /// What a point's counts count from.
        temporality: Temporality,
    },
    /// Counts in exponential buckets.
    ExponentialHistogram {
        /// The points.
        points: Points<'a, ExponentialHistogramPoint<'a>>,
        /// What a point's counts count from.
        temporality: Temporality,
    },
    /// Quantiles that the source computed.
    Summary(Points<'a, SummaryPoint<'a>>),
}

/// What a sum or histogram counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Temporality {
    /// Not given.
    #[default]
    Unspecified,
    /// The point before.
    Delta,
    /// The start time.
    Cumulative,
}

impl Temporality {
    fn from_number(number: u64) -> Self {
        match number as i32 {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        }
    }

    /// The enum's number on the wire.
    pub(crate) fn number(self) -> u64 {
        match self {
            Temporality::Unspecified => 0,
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        }
    }
}

impl<'a> MetricView<'a> {
    /// What is known about the metric beyond its name; not the points' attributes.
    pub fn metadata(&self) -> Attributes<'a> {
        Attributes::new(self.reader.path(&[12]), "a metric's metadata")
    }

    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let mut view = MetricView { reader, name: "", description: "", unit: "", data: Data::Empty };
        // The data is a oneof: the last kind counts, and neighbours of that kind are merged.
        let (mut kind, mut first) = (0, None);
        let mut rest = reader;
        while let Some(field) = rest.next()? {
            match field.number {
                1 => view.name = str_of(reader.buf, &field)?,
                2 => view.description = str_of(reader.buf, &field)?,
                3 => view.unit = str_of(reader.buf, &field)?,
                GAUGE | SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM | SUMMARY => {
                    field.expect(wire::LEN)?;
                    if kind != field.number {
                        (kind, first) = (field.number, Some(field));
                    }
                }
                12 => field.expect(wire::LEN)?,
                _ => {}
            }
        }
        let Some(first) = first else { return Ok(view) };
        let mut live = reader;
        live.span.at = first.start as u32;
        let (mut temporality, mut monotonic) = (Temporality::Unspecified, false);
        let mut settings = live.path(&[kind as u8, ANY]);
        while let Some(field) = settings.next() {
            let field = field?;
            match (field.number, kind) {
                (2, SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM) => {
                    temporality = Temporality::from_number(uint_of(&field)?);
                }
                (3, SUM) => monotonic = uint_of(&field)? != 0,
                _ => {}
            }
        }
        view.data = data(kind, live, temporality, monotonic);
        Ok(view)
    }
}

fn data(kind: u32, live: Reader<'_>, temporality: Temporality, monotonic: bool) -> Data<'_> {
    let path = live.path(&[kind as u8, 1]);
    const PLACE: &str = "a metric";
    match kind {
        GAUGE => Data::Gauge(Messages::new(path, PLACE)),
        SUM => Data::Sum { points: Messages::new(path, PLACE), temporality, monotonic },
        HISTOGRAM => Data::Histogram { points: Messages::new(path, PLACE), temporality },
        EXPONENTIAL_HISTOGRAM => {
            Data::ExponentialHistogram { points: Messages::new(path, PLACE), temporality }
        }
        _ => Data::Summary(Messages::new(path, PLACE)),
    }
}

impl<'a> Message<'a> for MetricView<'a> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        Self::parse(reader).map_err(|fault| fault.within("a metric"))
    }
}
