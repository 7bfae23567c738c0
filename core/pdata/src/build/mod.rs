//! Encoders straight to bytes, for telemetry that is made here.
//!
//! A message is open while its guard lives and closed when the guard is dropped; a resource, scope or metric that got
//! no items is not written at all.
//!
//! ```
//! use streamgauge_pdata::{Signal, build::MetricsBuilder, count};
//!
//! let mut request = MetricsBuilder::new();
//! {
//!     let mut resource = request.resource([("service.name", "shop")]);
//!     let mut scope = resource.scope("example", "1.0");
//!     let mut gauge = scope.gauge("queue.length", "{entry}", "Entries in the queue.");
//!     gauge.point(1_700_000_000_000_000_000).attribute("queue", "orders").int(42);
//! }
//! let bytes = request.finish();
//! assert_eq!(count(Signal::Metrics, &bytes), 1);
//! ```

mod lists;
mod log_list;
mod logs;
mod metrics;
mod points;
mod value;

use std::marker::PhantomData;

use bytes::Bytes;

use crate::wire;
pub use lists::{AttributeLists, EncodedList};
pub use log_list::LogList;
pub use logs::LogRecord;
pub use metrics::Metric;
pub use points::{ExponentialHistogramPoint, HistogramPoint, NumberPoint, SummaryPoint};
pub(crate) use value::put_pair;
pub use value::{AnyValue, AttributeList, EncodedValue, ToValue};

/// Marks the builder of metrics.
#[derive(Debug)]
pub struct Metrics;
/// Marks the builder of logs.
#[derive(Debug)]
pub struct Logs;

/// Builds a request of the metrics signal.
pub type MetricsBuilder = RequestBuilder<Metrics>;
/// Builds a request of the logs signal.
pub type LogsBuilder = RequestBuilder<Logs>;

/// The bytes so far, and the items in them.
#[derive(Debug, Default)]
struct Output {
    buf: Vec<u8>,
    items: usize,
}

/// Builds a request.
#[derive(Debug)]
pub struct RequestBuilder<S> {
    output: Output,
    signal: PhantomData<S>,
}

impl<S> Default for RequestBuilder<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> RequestBuilder<S> {
    /// An empty request.
    pub fn new() -> Self {
        RequestBuilder { output: Output::default(), signal: PhantomData }
    }

    /// How many items were written.
    pub fn items(&self) -> usize {
        self.output.items
    }

    /// Opens a resource with these attributes.
    pub fn resource(&mut self, attributes: impl AttributeList) -> Resource<'_, S> {
        let open = Open::new(&mut self.output, 1);
        let header = wire::open(&mut open.output.buf, 1);
        attributes.put(1, &mut open.output.buf);
        wire::close(&mut open.output.buf, header);
        Resource { open, signal: PhantomData }
    }

    /// The same with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        RequestBuilder { output: Output { buf: Vec::with_capacity(bytes), items: 0 }, signal: PhantomData }
    }

    /// The request's bytes.
    pub fn finish(self) -> Bytes {
        self.output.buf.into()
    }
}

/// An open message. Closed when dropped, or taken back when no item came into it.
#[derive(Debug)]
struct Open<'a> {
    output: &'a mut Output,
    /// Where the field began, and where its inside does.
    begin: usize,
    start: usize,
    items: usize,
}

impl<'a> Open<'a> {
    fn new(output: &'a mut Output, number: u32) -> Self {
        let (begin, items) = (output.buf.len(), output.items);
        let start = wire::open(&mut output.buf, number);
        Open { output, begin, start, items }
    }

    fn nested(&mut self, number: u32) -> Open<'_> {
        Open::new(self.output, number)
    }

    /// An open message that is itself an item.
    fn item(&mut self, number: u32) -> Open<'_> {
        let open = Open::new(self.output, number);
        open.output.items += 1;
        open
    }

    /// The same of an output whose open messages are closed by somebody else; field 2, as records are.
    fn item_of(output: &'a mut Output) -> Self {
        let open = Open::new(output, 2);
        open.output.items += 1;
        open
    }

    fn buf(&mut self) -> &mut Vec<u8> {
        &mut self.output.buf
    }

    fn string(&mut self, number: u32, text: &str) {
        if !text.is_empty() {
            wire::put_len(self.buf(), number, text.as_bytes());
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.output.items == self.items {
            self.output.buf.truncate(self.begin);
        } else {
            wire::close(&mut self.output.buf, self.start);
        }
    }
}

/// An open resource.
#[derive(Debug)]
pub struct Resource<'a, S> {
    open: Open<'a>,
    signal: PhantomData<S>,
}

impl<S> Resource<'_, S> {
    /// Opens an instrumentation scope.
    pub fn scope(&mut self, name: &str, version: &str) -> Scope<'_, S> {
        self.scope_with(name, version, ())
    }

    /// Opens an instrumentation scope that has attributes.
    pub fn scope_with(&mut self, name: &str, version: &str, attributes: impl AttributeList) -> Scope<'_, S> {
        let mut open = self.open.nested(2);
        let header = wire::open(open.buf(), 1);
        open.string(1, name);
        open.string(2, version);
        attributes.put(3, open.buf());
        wire::close(open.buf(), header);
        Scope { open, signal: PhantomData }
    }
}

/// An open scope.
#[derive(Debug)]
pub struct Scope<'a, S> {
    open: Open<'a>,
    signal: PhantomData<S>,
}
