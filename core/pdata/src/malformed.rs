//! What is wrong with bytes, and where.

use std::borrow::Cow;
use std::fmt;

/// Bytes that are not what the signal's protobuf says. One word wide, so that results are passed in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(Box<Detail>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    offset: usize,
    what: What,
    place: Cow<'static, str>,
}

impl Malformed {
    /// Bytes from the start of the request to the fault.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The fault.
    pub fn what(&self) -> What {
        self.0.what
    }

    /// Where that is, in words: `resource_logs[0].scope_logs[2].log_records[17]`, or what a view was reading.
    pub fn place(&self) -> &str {
        &self.0.place
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed OTLP at byte {} in {}: {}", self.0.offset, self.0.place, self.0.what)
    }
}

impl std::error::Error for Malformed {}

/// The ways in which protobuf bytes can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The bytes end inside a number.
    Cut,
    /// A varint that does not fit in 64 bits.
    LongVarint,
    /// A field number of 0 or above 2^29 - 1.
    FieldNumber,
    /// A wire type that protobuf does not define (6 or 7).
    WireType(u8),
    /// A length that goes beyond the message it is in; the bytes it claims.
    Overrun(u64),
    /// A group's end without its start, or a group that is not closed.
    Group,
    /// A known field with another wire type than it has.
    Mismatch {
        /// The field's number.
        field: u32,
        /// The wire type found.
        wire: u8,
    },
    /// A string that is not UTF-8.
    Utf8,
    /// Groups or values nested deeper than protobuf readers accept (100).
    Depth,
    /// A request above protobuf's limit of 2 GiB.
    TooLarge,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Cut => f.write_str("the bytes end inside a field"),
            What::LongVarint => f.write_str("a varint does not fit in 64 bits"),
            What::FieldNumber => f.write_str("a field number is out of range"),
            What::WireType(wire) => write!(f, "wire type {wire} does not exist"),
            What::Overrun(len) => write!(f, "a length of {len} goes beyond the end of its message"),
            What::Group => f.write_str("a group's start and end do not match"),
            What::Mismatch { field, wire } => write!(f, "field {field} cannot have wire type {wire}"),
            What::Utf8 => f.write_str("a string is not UTF-8"),
            What::Depth => f.write_str("nested too deep"),
            What::TooLarge => f.write_str("larger than protobuf's limit of 2 GiB"),
        }
    }
}

/// A fault before anyone has said where in the envelope it is.
#[derive(Debug)]
pub(crate) struct Fault(Malformed);

impl Fault {
    #[cold]
    pub(crate) fn new(offset: usize, what: What) -> Self {
        Fault(Malformed(Box::new(Detail { offset, what, place: Cow::Borrowed("") })))
    }

    pub(crate) fn offset(&self) -> usize {
        self.0.offset()
    }

    /// The same fault not beyond `last`.
    pub(crate) fn not_beyond(mut self, last: usize) -> Self {
        self.0.0.offset = self.0.0.offset.min(last);
        self
    }

    #[cold]
    pub(crate) fn within(mut self, place: impl Into<Cow<'static, str>>) -> Malformed {
        self.0.0.place = place.into();
        self.0
    }
}
