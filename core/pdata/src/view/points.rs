//! Data points.

use super::path::{Path, Reader, double_of, fixed64_of, uint_of};
use super::{Attributes, ExemplarView, Message, Messages};
use crate::malformed::{Fault, Malformed};
use crate::wire::{self, Span};

/// The flag of a point that says: this series has no value now.
pub const NO_RECORDED_VALUE: u32 = 1;

/// A number as OTLP has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
}

impl Number {
    /// The nearest floating point number.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Double(number) => number,
        }
    }
}

macro_rules! point {
    ($type:ident, $attributes:literal, $words:literal) => {
        impl<'a> $type<'a> {
            /// The point's attributes.
            pub fn attributes(&self) -> Attributes<'a> {
                Attributes::new(
                    self.reader.narrow(self.attributes).path(&[$attributes]),
                    concat!($words, "'s attribute"),
                )
            }

            /// Whether the point says that its series has no value now.
            pub fn no_recorded_value(&self) -> bool {
                self.flags & NO_RECORDED_VALUE != 0
            }
        }

        impl<'a> Message<'a> for $type<'a> {
            fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
                Self::parse(reader).map_err(|fault| fault.within($words))
            }
        }
    };
}

/// A point of a gauge or a sum. Times are nanoseconds since 1970, 0 when unknown.
#[derive(Clone, Copy, Debug)]
pub struct NumberPoint<'a> {
    reader: Reader<'a>,
    /// Where the attributes are.
    attributes: Span,
    /// What a cumulative value counts from.
    pub start_time: u64,
    /// When the value was taken.
    pub time: u64,
    /// The value; `None` when the point has none.
    pub value: Option<Number>,
    /// See [`NO_RECORDED_VALUE`].
    pub flags: u32,
}

point!(NumberPoint, 7, "a number point");

impl<'a> NumberPoint<'a> {
    /// Single measurements that went into the value.
    pub fn exemplars(&self) -> Messages<'a, ExemplarView<'a>> {
        Messages::new(self.reader.path(&[5]), "a number point")
    }

    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let mut view = NumberPoint {
            reader,
            attributes: Span::default(),
            start_time: 0,
            time: 0,
            value: None,
            flags: 0,
        };
        let mut rest = reader;
        while let Some(field) = rest.next()? {
            match field.number {
                2 => view.start_time = fixed64_of(&field)?,
                3 => view.time = fixed64_of(&field)?,
                4 => view.value = Some(Number::Double(double_of(&field)?)),
                7 => {
                    field.expect(wire::LEN)?;
                    view.attributes.cover(&field);
                }
                5 => field.expect(wire::LEN)?,
                6 => view.value = Some(Number::Int(fixed64_of(&field)? as i64)),
                8 => view.flags = uint_of(&field)? as u32,
                _ => {}
            }
        }
        Ok(view)
    }
}

/// A point of a histogram. Times are nanoseconds since 1970, 0 when unknown.
#[derive(Clone, Copy, Debug)]
pub struct HistogramPoint<'a> {
    reader: Reader<'a>,
    /// Where the attributes are.
    attributes: Span,
    /// What the counts count from.
    pub start_time: u64,
    /// When they were taken.
    pub time: u64,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// The least of them.
    pub min: Option<f64>,
    /// The greatest of them.
    pub max: Option<f64>,
    /// See [`NO_RECORDED_VALUE`].
    pub flags: u32,
}

point!(HistogramPoint, 9, "a histogram point");

impl<'a> HistogramPoint<'a> {
    /// Single measurements that went into the counts.
    pub fn exemplars(&self) -> Messages<'a, ExemplarView<'a>> {
        Messages::new(self.reader.path(&[8]), "a histogram point")
    }

    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let mut view = HistogramPoint {
            reader,
            attributes: Span::default(),
            start_time: 0,
            time: 0,
            count: 0,
            sum: None,
            min: None,
            max: None,
            flags: 0,
        };
        let mut rest = reader;
        while let Some(field) = rest.next()? {
            match field.number {
                2 => view.start_time = fixed64_of(&field)?,
                3 => view.time = fixed64_of(&field)?,
                4 => view.count = fixed64_of(&field)?,
                5 => view.sum = Some(double_of(&field)?),
                9 => {
                    field.expect(wire::LEN)?;
                    view.attributes.cover(&field);
                }
                8 => field.expect(wire::LEN)?,
                10 => view.flags = uint_of(&field)? as u32,
                11 => view.min = Some(double_of(&field)?),
                12 => view.max = Some(double_of(&field)?),
                _ => {}
            }
        }
        Ok(view)
    }

    /// The counts of the buckets: one more than there are bounds, or none at all.
    pub fn bucket_counts(&self) -> Counts<'a> {
        Counts::new(self.reader.path(&[6]), wire::FIXED64)
    }

    /// The upper bounds of the buckets, rising; the last bucket has none.
    pub fn explicit_bounds(&self) -> impl Iterator<Item = Result<f64, Malformed>> + use<'a> {
        Counts::new(self.reader.path(&[7]), wire::FIXED64).map(|bits| bits.map(f64::from_bits))
    }
}

/// A point of an exponential histogram. Times are nanoseconds since 1970, 0 when unknown.
#[derive(Clone, Copy, Debug)]
pub struct ExponentialHistogramPoint<'a> {
    reader: Reader<'a>,
    /// Where the attributes are.
    attributes: Span,
    /// What the counts count from.
    pub start_time: u64,
    /// When they were taken.
    pub time: u64,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: Option<f64>,
    /// The base of the buckets is 2^(2^-scale).
    pub scale: i32,
    /// How many values were within `zero_threshold` of 0.
    pub zero_count: u64,
    /// What counts as zero.
    pub zero_threshold: f64,
    /// Buckets of positive values.
    pub positive: Buckets<'a>,
    /// Buckets of negative values.
    pub negative: Buckets<'a>,
    /// The least of the values.
    pub min: Option<f64>,
    /// The greatest of the values.
    pub max: Option<f64>,
    /// See [`NO_RECORDED_VALUE`].
    pub flags: u32,
}

point!(ExponentialHistogramPoint, 1, "an exponential histogram point");

/// A row of exponential buckets: the bucket at place `i` holds values in (base^(offset+i), base^(offset+i+1)].
#[derive(Clone, Copy, Debug)]
pub struct Buckets<'a> {
    /// The index of the first bucket.
    pub offset: i32,
    /// The buckets' counts.
    pub counts: Counts<'a>,
}

impl<'a> ExponentialHistogramPoint<'a> {
    /// Single measurements that went into the value.
    pub fn exemplars(&self) -> Messages<'a, ExemplarView<'a>> {
        Messages::new(self.reader.path(&[11]), "an exponential histogram point")
    }

    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let buckets =
            |field| Buckets { offset: 0, counts: Counts::new(reader.path(&[field, 2]), wire::VARINT) };
        let mut view = ExponentialHistogramPoint {
            reader,
            attributes: Span::default(),
            start_time: 0,
            time: 0,
            count: 0,
            sum: None,
            scale: 0,
            zero_count: 0,
            zero_threshold: 0.0,
            positive: buckets(8),
            negative: buckets(9),
            min: None,
            max: None,
            flags: 0,
        };
        let mut rest = reader;
        while let Some(field) = rest.next()? {
            match field.number {
                1 => {
                    field.expect(wire::LEN)?;
                    view.attributes.cover(&field);
                }
                11 => field.expect(wire::LEN)?,
                2 => view.start_time = fixed64_of(&field)?,
                3 => view.time = fixed64_of(&field)?,
                4 => view.count = fixed64_of(&field)?,
                5 => view.sum = Some(double_of(&field)?),
                6 => view.scale = wire::unzigzag(uint_of(&field)?),
                7 => view.zero_count = fixed64_of(&field)?,
                8 => offset(reader.inside(&field)?, &mut view.positive.offset)?,
                9 => offset(reader.inside(&field)?, &mut view.negative.offset)?,
                10 => view.flags = uint_of(&field)? as u32,
                12 => view.min = Some(double_of(&field)?),
                13 => view.max = Some(double_of(&field)?),
                14 => view.zero_threshold = double_of(&field)?,
                _ => {}
            }
        }
        Ok(view)
    }
}

fn offset(mut buckets: Reader<'_>, offset: &mut i32) -> Result<(), Fault> {
    while let Some(field) = buckets.next()? {
        if field.number == 1 {
            *offset = wire::unzigzag(uint_of(&field)?);
        }
    }
    Ok(())
}

/// A point of a summary. Times are nanoseconds since 1970, 0 when unknown.
#[derive(Clone, Copy, Debug)]
pub struct SummaryPoint<'a> {
    reader: Reader<'a>,
    /// Where the attributes are.
    attributes: Span,
    /// What count and sum count from.
    pub start_time: u64,
    /// When they were taken.
    pub time: u64,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// See [`NO_RECORDED_VALUE`].
    pub flags: u32,
}

point!(SummaryPoint, 7, "a summary point");

impl<'a> SummaryPoint<'a> {
    fn parse(reader: Reader<'a>) -> Result<Self, Fault> {
        let mut view = SummaryPoint {
            reader,
            attributes: Span::default(),
            start_time: 0,
            time: 0,
            count: 0,
            sum: 0.0,
            flags: 0,
        };
        let mut rest = reader;
        while let Some(field) = rest.next()? {
            match field.number {
                2 => view.start_time = fixed64_of(&field)?,
                3 => view.time = fixed64_of(&field)?,
                4 => view.count = fixed64_of(&field)?,
                5 => view.sum = double_of(&field)?,
                7 => {
                    field.expect(wire::LEN)?;
                    view.attributes.cover(&field);
                }
                6 => field.expect(wire::LEN)?,
                8 => view.flags = uint_of(&field)? as u32,
                _ => {}
            }
        }
        Ok(view)
    }

    /// The quantiles, as pairs of quantile (0 to 1) and value.
    pub fn quantiles(&self) -> Quantiles<'a> {
        Quantiles { path: self.reader.path(&[6]) }
    }
}

/// The quantiles of a summary point.
#[derive(Clone, Copy, Debug)]
pub struct Quantiles<'a> {
    path: Path<'a>,
}

impl Iterator for Quantiles<'_> {
    type Item = Result<(f64, f64), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.path.next_message()?.and_then(|mut span| {
            let mut pair = (0.0, 0.0);
            while let Some(field) = span.next(self.path.buf)? {
                match field.number {
                    1 => pair.0 = double_of(&field)?,
                    2 => pair.1 = double_of(&field)?,
                    _ => {}
                }
            }
            Ok(pair)
        });
        Some(pair.map_err(|fault| fault.within("a summary point's quantile")))
    }
}

/// The numbers of a repeated field, packed or not.
#[derive(Clone, Copy, Debug)]
pub struct Counts<'a> {
    path: Path<'a>,
    packed: Span,
    wire: u8,
}

impl<'a> Counts<'a> {
    fn new(path: Path<'a>, wire: u8) -> Self {
        Counts { path, packed: Span::default(), wire }
    }

    fn packed(&mut self) -> Result<u64, Fault> {
        let mut pos = self.packed.at as usize;
        let value = wire::number(self.packed.upto(self.path.buf), &mut pos, self.wire);
        self.packed.at = if value.is_ok() { pos as u32 } else { self.packed.end };
        value
    }
}

impl Iterator for Counts<'_> {
    type Item = Result<u64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = loop {
            if self.packed.at < self.packed.end {
                break self.packed();
            }
            match self.path.next()? {
                Ok(field) if field.wire == wire::LEN => self.packed = field.span(),
                Ok(field) => break field.expect(self.wire).map(|()| field.value),
                Err(fault) => break Err(fault),
            }
        };
        Some(number.map_err(|fault| fault.within("a row of buckets")))
    }
}
