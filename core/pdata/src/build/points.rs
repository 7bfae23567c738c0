//! Data points of every kind.

use super::{AttributeList, Open, ToValue, put_pair};
use crate::view::NO_RECORDED_VALUE;
use crate::wire;

/// A kind of point.
pub trait Point {
    /// The point while it is open.
    type Open<'a>;
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn open(open: Open<'_>) -> Self::Open<'_>;
}

macro_rules! point {
    ($(#[$doc:meta])* $type:ident, attributes: $attributes:literal, flags: $flags:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type<'a> {
            open: Open<'a>,
        }

        impl Point for $type<'static> {
            type Open<'a> = $type<'a>;
            #[allow(private_interfaces)]
            fn open(open: Open<'_>) -> $type<'_> {
                $type { open }
            }
        }

        impl $type<'_> {
            /// What a cumulative value counts from, in nanoseconds since 1970.
            pub fn start(&mut self, nanos: u64) -> &mut Self {
                wire::put_fixed64(self.open.buf(), 2, nanos);
                self
            }

            /// Adds an attribute.
            pub fn attribute(&mut self, key: &str, value: impl ToValue) -> &mut Self {
                put_pair(self.open.buf(), $attributes, key, &value);
                self
            }

            /// Adds attributes.
            pub fn attributes(&mut self, attributes: impl AttributeList) -> &mut Self {
                attributes.put($attributes, self.open.buf());
                self
            }

            /// Sets the flags.
            pub fn flags(&mut self, flags: u32) -> &mut Self {
                wire::put_uint(self.open.buf(), $flags, u64::from(flags));
                self
            }

            /// Says that the series has no value now: it ends here.
            pub fn no_recorded_value(&mut self) -> &mut Self {
                self.flags(NO_RECORDED_VALUE)
            }

            #[allow(dead_code)] // not every kind of point has such a field
            fn fixed(&mut self, number: u32, value: u64) -> &mut Self {
                wire::put_fixed64(self.open.buf(), number, value);
                self
            }
        }
    };
}

point!(
    /// An open point of a gauge or a sum.
    NumberPoint, attributes: 7, flags: 8
);

impl NumberPoint<'_> {
    /// Adds a measurement that went into the point, and the span it was made in.
    pub fn exemplar(&mut self, nanos: u64, value: f64, trace_id: [u8; 16], span_id: [u8; 8]) -> &mut Self {
        exemplar(self.open.buf(), 5, nanos, value, trace_id, span_id);
        self
    }

    /// The value, as a whole number.
    pub fn int(&mut self, value: i64) -> &mut Self {
        self.fixed(6, value as u64)
    }

    /// The value, as a floating point number.
    pub fn double(&mut self, value: f64) -> &mut Self {
        self.fixed(4, value.to_bits())
    }
}

point!(
    /// An open point of a histogram.
    HistogramPoint, attributes: 9, flags: 10
);

impl HistogramPoint<'_> {
    /// Adds a measurement that went into the point, and the span it was made in.
    pub fn exemplar(&mut self, nanos: u64, value: f64, trace_id: [u8; 16], span_id: [u8; 8]) -> &mut Self {
        exemplar(self.open.buf(), 8, nanos, value, trace_id, span_id);
        self
    }

    /// How many values there were.
    pub fn count(&mut self, count: u64) -> &mut Self {
        self.fixed(4, count)
    }

    /// Their sum.
    pub fn sum(&mut self, sum: f64) -> &mut Self {
        self.fixed(5, sum.to_bits())
    }

    /// The least of them.
    pub fn min(&mut self, min: f64) -> &mut Self {
        self.fixed(11, min.to_bits())
    }

    /// The greatest of them.
    pub fn max(&mut self, max: f64) -> &mut Self {
        self.fixed(12, max.to_bits())
    }

    /// The upper bounds of the buckets, rising, and the buckets' counts, which are one more.
    pub fn buckets(&mut self, bounds: &[f64], counts: &[u64]) -> &mut Self {
        packed64(self.open.buf(), 6, counts.iter().copied());
        packed64(self.open.buf(), 7, bounds.iter().map(|bound| bound.to_bits()));
        self
    }
}

fn exemplar(out: &mut Vec<u8>, field: u32, nanos: u64, value: f64, trace_id: [u8; 16], span_id: [u8; 8]) {
    let start = wire::open(out, field);
    wire::put_fixed64(out, 2, nanos);
    wire::put_fixed64(out, 3, value.to_bits());
    wire::put_len(out, 4, &span_id);
    wire::put_len(out, 5, &trace_id);
    wire::close(out, start);
}

fn packed64(out: &mut Vec<u8>, number: u32, values: impl Iterator<Item = u64>) {
    let start = wire::open(out, number);
    out.extend(values.flat_map(u64::to_le_bytes));
    wire::close(out, start);
}

point!(
    /// An open point of an exponential histogram.
    ExponentialHistogramPoint, attributes: 1, flags: 10
);

impl ExponentialHistogramPoint<'_> {
    /// How many values there were.
    pub fn count(&mut self, count: u64) -> &mut Self {
        self.fixed(4, count)
    }

    /// Their sum.
    pub fn sum(&mut self, sum: f64) -> &mut Self {
        self.fixed(5, sum.to_bits())
    }

    /// The least of them.
    pub fn min(&mut self, min: f64) -> &mut Self {
        self.fixed(12, min.to_bits())
    }

    /// The greatest of them.
    pub fn max(&mut self, max: f64) -> &mut Self {
        self.fixed(13, max.to_bits())
    }

    /// The base of the buckets is 2^(2^-scale).
    pub fn scale(&mut self, scale: i32) -> &mut Self {
        wire::put_uint(self.open.buf(), 6, wire::zigzag(scale));
        self
    }

    /// How many values were within `threshold` of 0.
    pub fn zero(&mut self, count: u64, threshold: f64) -> &mut Self {
        self.fixed(7, count);
        if threshold != 0.0 {
            self.fixed(14, threshold.to_bits());
        }
        self
    }

    /// The buckets of positive values, the first one's index first.
    pub fn positive(&mut self, offset: i32, counts: impl IntoIterator<Item = u64>) -> &mut Self {
        buckets(self.open.buf(), 8, offset, counts);
        self
    }

    /// The buckets of negative values, the first one's index first.
    pub fn negative(&mut self, offset: i32, counts: impl IntoIterator<Item = u64>) -> &mut Self {
        buckets(self.open.buf(), 9, offset, counts);
        self
    }
}

fn buckets(out: &mut Vec<u8>, number: u32, offset: i32, counts: impl IntoIterator<Item = u64>) {
    let start = wire::open(out, number);
    wire::put_uint(out, 1, wire::zigzag(offset));
    let packed = wire::open(out, 2);
    for count in counts {
        wire::put_varint(out, count);
    }
    wire::close(out, packed);
    wire::close(out, start);
}

point!(
    /// An open point of a summary.
    SummaryPoint, attributes: 7, flags: 8
);

impl SummaryPoint<'_> {
    /// How many values there were.
    pub fn count(&mut self, count: u64) -> &mut Self {
        self.fixed(4, count)
    }

    /// Their sum.
    pub fn sum(&mut self, sum: f64) -> &mut Self {
        self.fixed(5, sum.to_bits())
    }

    /// The value at a quantile (0 to 1).
    pub fn quantile(&mut self, quantile: f64, value: f64) -> &mut Self {
        let start = wire::open(self.open.buf(), 6);
        self.fixed(1, quantile.to_bits());
        self.fixed(2, value.to_bits());
        wire::close(self.open.buf(), start);
        self
    }
}
