//! The message's bytes. Field numbers are those of prometheus.WriteRequest (remote.proto, types.proto).

use super::{Buckets, Labels, NativeHistogram, Series};

const TIMESERIES: u32 = 1;
const METADATA: u32 = 3;
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// What a family is, for receivers that keep metadata.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// Its type.
    pub kind: MetadataType,
    /// The family's name.
    pub name: String,
    /// What it tells, for people.
    pub help: String,
    /// The unit as words.
    pub unit: String,
}

/// The wire numbers of metric types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetadataType {
    /// A counter.
    Counter = 1,
    /// A gauge.
    Gauge = 2,
    /// A histogram, classic or native.
    Histogram = 3,
    /// A summary.
    Summary = 5,
    /// Facts as labels, value 1.
    Info = 6,
}

/// Puts series into messages of bounded size.
#[derive(Debug)]
pub struct Writer {
    max_bytes: usize,
    message: Vec<u8>,
    one: Vec<u8>,
}

impl Writer {
    /// A writer whose messages hold at most `max_bytes` before compression; a single larger series goes alone.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { max_bytes, message: Vec::new(), one: Vec::new() }
    }

    /// Adds a series; gives the message before it when the two together are too large.
    pub fn series(&mut self, series: &Series) -> Option<Vec<u8>> {
        message(&mut self.one, TIMESERIES, |out| {
            out.extend_from_slice(&series.labels);
            for s in &series.samples {
                message(out, 2, |out| {
                    double(out, 1, s.value);
                    int(out, 2, s.timestamp_ms.cast_unsigned());
                });
            }
            for h in &series.histograms {
                message(out, 4, |out| histogram(out, &h.histogram));
            }
        });
        self.take_one()
    }

    /// Adds a family's metadata; gives the message before it when the two together are too large.
    pub fn metadata(&mut self, metadata: &Metadata) -> Option<Vec<u8>> {
        message(&mut self.one, METADATA, |out| {
            int(out, 1, metadata.kind as u64);
            text(out, 2, &metadata.name);
            text(out, 4, &metadata.help);
            text(out, 5, &metadata.unit);
        });
        self.take_one()
    }

    fn take_one(&mut self) -> Option<Vec<u8>> {
        let full = !self.message.is_empty() && self.message.len() + self.one.len() > self.max_bytes;
        let done = full.then(|| std::mem::take(&mut self.message));
        self.message.append(&mut self.one);
        done
    }

    /// The last message, if there is one.
    #[must_use]
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.message.is_empty()).then_some(self.message)
    }
}

/// A message as it goes out: one snappy block (never the framed format).
///
/// # Errors
/// A message too long for the format: 4 GiB.
pub fn compress(message: &[u8]) -> Result<Vec<u8>, snap::Error> {
    snap::raw::Encoder::new().compress_vec(message)
}

/// Labels as the fields of a TimeSeries.
pub(super) fn labels(labels: &Labels, out: &mut Vec<u8>) {
    for (name, value) in labels.iter() {
        message(out, 1, |out| {
            text(out, 1, name);
            text(out, 2, value);
        });
    }
}

fn histogram(out: &mut Vec<u8>, h: &NativeHistogram) {
    // The counts are members of a oneof: written even when 0, it says that they are integers.
    tag(out, 1, VARINT);
    varint(out, h.count);
    double(out, 3, h.sum);
    int(out, 4, zigzag(i64::from(h.schema)));
    double(out, 5, h.zero_threshold);
    tag(out, 6, VARINT);
    varint(out, h.zero_count);
    buckets(out, 8, 9, &h.negative);
    buckets(out, 11, 12, &h.positive);
    // Field 14, the reset hint, stays at its default: unknown, the receiver looks for resets itself.
    int(out, 15, h.timestamp_ms.cast_unsigned());
}

fn buckets(out: &mut Vec<u8>, spans: u32, deltas: u32, buckets: &Buckets) {
    for (offset, length) in &buckets.spans {
        message(out, spans, |out| {
            int(out, 1, zigzag(i64::from(*offset)));
            int(out, 2, u64::from(*length));
        });
    }
    if !buckets.deltas.is_empty() {
        message(out, deltas, |out| buckets.deltas.iter().for_each(|d| varint(out, zigzag(*d))));
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn int(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(out, field, VARINT);
        varint(out, value);
    }
}

fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        tag(out, field, FIXED64);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        tag(out, field, BYTES);
        varint(out, value.len() as u64);
        out.extend_from_slice(value.as_bytes());
    }
}

/// Writes a length-delimited field whose length is known only when its body stands: the body is moved up.
fn message(out: &mut Vec<u8>, field: u32, body: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    let start = out.len();
    body(out);
    let length = out.len() - start;
    varint(out, length as u64);
    let prefix = out.len() - start - length;
    out[start..].rotate_right(prefix);
}
