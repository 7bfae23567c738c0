//! Borrowed views of a request: nothing is decoded before it is asked for, nothing is copied, any bytes are safe.
//!
//! ```text
//! MetricsView -> resources() -> ResourceView -> scopes() -> ScopeView -> records() -> MetricView, LogRecordView, SpanView
//! ```
//!
//! Every iterator yields `Result<_, Malformed>`. What is broken inside a record is an error for that record, and the
//! iterator goes on behind it; what is broken between records (which [`crate::check`] refuses) ends it.
//!
//! Repeated singular fields mean what protobuf says: the last number or string counts, messages are merged.

mod exemplar;
mod logs;
mod metrics;
mod path;
mod points;
mod text;
mod traces;
mod value;

use std::marker::PhantomData;

pub use exemplar::ExemplarView;
pub use logs::LogRecordView;
pub use metrics::{Data, MetricView, Points, Temporality};
pub use points::{
    Buckets, Counts, ExponentialHistogramPoint, HistogramPoint, NO_RECORDED_VALUE, Number, NumberPoint,
    Quantiles, SummaryPoint,
};
pub use traces::{EventView, LinkView, SpanView};
pub use value::{Array, Attributes, Value};
pub(crate) use value::{find_key, plain_pair, value_of};

use crate::malformed::Malformed;
use crate::signal::{HEADER, RESOURCE_ATTRIBUTES};
use crate::wire::Span;
pub(crate) use path::Path;
pub(crate) use path::Reader;
use path::str_of;

/// The request of the traces signal.
pub type TracesView<'a> = RequestView<'a, SpanView<'a>>;
/// The request of the metrics signal.
pub type MetricsView<'a> = RequestView<'a, MetricView<'a>>;
/// The request of the logs signal.
pub type LogsView<'a> = RequestView<'a, LogRecordView<'a>>;

/// A message that can be read from its bytes; the types in this module implement it.
pub trait Message<'a>: Sized {
    #[doc(hidden)]
    fn read(reader: Reader<'a>) -> Result<Self, Malformed>;
}

/// The messages in a repeated field.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a, M> {
    path: Path<'a>,
    place: &'static str,
    of: PhantomData<M>,
}

impl<'a, M> Messages<'a, M> {
    pub(crate) fn new(path: Path<'a>, place: &'static str) -> Self {
        Messages { path, place, of: PhantomData }
    }
}

impl<'a, M: Message<'a>> Iterator for Messages<'a, M> {
    type Item = Result<M, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.path.next_message()? {
            Ok(span) => Some(M::read(Reader::new(self.path.buf, span))),
            Err(fault) => Some(Err(fault.within(self.place))),
        }
    }
}

/// A whole request with records of type `R`.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a, R> {
    resources: Messages<'a, ResourceView<'a, R>>,
}

impl<'a, R: Message<'a>> RequestView<'a, R> {
    /// Views a request. Bytes above [`crate::MAX_REQUEST_BYTES`] are not seen.
    pub fn new(request: &'a [u8]) -> Self {
        let request = request.get(..crate::MAX_REQUEST_BYTES).unwrap_or(request);
        let span = Span { at: 0, end: request.len() as u32 };
        RequestView { resources: Messages::new(Path::new(request, span, &[1]), "the request") }
    }

    /// The ResourceX messages.
    pub fn resources(&self) -> Messages<'a, ResourceView<'a, R>> {
        Messages::new(self.resources.path, self.resources.place)
    }
}

/// A ResourceX message: a resource and the scopes under it.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a, R> {
    reader: Reader<'a>,
    /// The schema that the resource follows; empty when none is named.
    pub schema_url: &'a str,
    of: PhantomData<R>,
}

impl<'a, R> ResourceView<'a, R> {
    /// The resource's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.path(&[HEADER as u8, RESOURCE_ATTRIBUTES as u8]), "a resource attribute")
    }

    /// The ScopeX messages.
    pub fn scopes(&self) -> Messages<'a, ScopeView<'a, R>> {
        Messages::new(self.reader.path(&[2]), "a resource")
    }
}

impl<'a, R> Message<'a> for ResourceView<'a, R> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        let mut schema_url = "";
        let mut rest = reader;
        while let Some(field) = rest.next().map_err(|fault| fault.within("a resource"))? {
            if field.number == 3 {
                schema_url =
                    str_of(reader.buf, &field).map_err(|fault| fault.within("a resource's schema_url"))?;
            }
        }
        Ok(ResourceView { reader, schema_url, of: PhantomData })
    }
}

/// A ScopeX message: an instrumentation scope and the records under it.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a, R> {
    reader: Reader<'a>,
    /// The scope's name.
    pub name: &'a str,
    /// The scope's version.
    pub version: &'a str,
    /// The schema that the records follow; empty when none is named.
    pub schema_url: &'a str,
    of: PhantomData<R>,
}

impl<'a, R> ScopeView<'a, R> {
    /// The scope's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.reader.path(&[HEADER as u8, 3]), "a scope attribute")
    }

    /// The spans, metrics or log records.
    pub fn records(&self) -> Messages<'a, R> {
        Messages::new(self.reader.path(&[2]), "a scope")
    }
}

impl<'a, R> Message<'a> for ScopeView<'a, R> {
    fn read(reader: Reader<'a>) -> Result<Self, Malformed> {
        let mut view = ScopeView { reader, name: "", version: "", schema_url: "", of: PhantomData };
        let within = |fault: crate::malformed::Fault| fault.within("a scope");
        let mut rest = reader;
        while let Some(field) = rest.next().map_err(within)? {
            match field.number {
                HEADER => {
                    let mut scope = reader.inside(&field).map_err(within)?;
                    while let Some(field) = scope.next().map_err(within)? {
                        match field.number {
                            1 => view.name = str_of(reader.buf, &field).map_err(within)?,
                            2 => view.version = str_of(reader.buf, &field).map_err(within)?,
                            _ => {}
                        }
                    }
                }
                3 => view.schema_url = str_of(reader.buf, &field).map_err(within)?,
                _ => {}
            }
        }
        Ok(view)
    }
}
