//! Changing the attributes of spans, log records and data points.

use std::marker::PhantomData;

use super::{Edited, Editor, Outcome, Splice};
use crate::body::Body;
use crate::check::{is_child, locate};
use crate::malformed::{Fault, Malformed};
use crate::signal::{Level, Signal};
use crate::view::{
    Attributes, LogRecordView, Message, MetricView, Reader, ResourceView, ScopeView, SpanView,
};
use crate::wire::{self, Field};

/// A resource without its records.
pub type ResourceHeader<'a> = ResourceView<'a, ()>;
/// A scope without its records.
pub type ScopeHeader<'a> = ScopeView<'a, ()>;

/// Hears, before the records, what they are under.
pub trait Headers {
    /// The records that follow are under this resource.
    fn resource(&mut self, _resource: Unread<'_, ResourceHeader<'_>>) {}
    /// The records that follow are under this scope.
    fn scope(&mut self, _scope: Unread<'_, ScopeHeader<'_>>) {}
    /// The data points that follow are of this metric.
    fn metric(&mut self, _metric: Unread<'_, MetricView<'_>>) {}
}

/// A message that costs nothing before it is read.
#[derive(Clone, Copy, Debug)]
pub struct Unread<'a, M> {
    reader: Reader<'a>,
    of: PhantomData<M>,
}

impl<'a, M> Unread<'a, M> {
    pub(crate) fn new(reader: Reader<'a>) -> Self {
        Unread { reader, of: PhantomData }
    }
}

impl<'a, M: Message<'a>> Unread<'a, M> {
    /// Reads it.
    ///
    /// # Errors
    /// What is malformed in it.
    pub fn read(self) -> Result<M, Malformed> {
        M::read(self.reader)
    }
}

/// Changes the attributes of records.
pub trait RecordEditor: Headers {
    /// Changes the attributes of one record.
    fn edit(&mut self, record: &Record<'_>, attributes: &mut Editor<'_>);
}

/// A span, log record or data point, unread.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    signal: Signal,
    /// The field of Metric that it came in.
    holder: u32,
    reader: Reader<'a>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(signal: Signal, holder: u32, buf: &'a [u8], field: &Field) -> Self {
        Record { signal, holder, reader: Reader::new(buf, field.span()) }
    }

    /// The record's attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        let number = self.signal.attributes_field(self.holder);
        Attributes::new(self.reader.path(&[number as u8]), "a record's attribute")
    }

    /// The span, if it is one.
    ///
    /// # Errors
    /// The span is malformed.
    pub fn span(&self) -> Result<Option<SpanView<'a>>, Malformed> {
        (self.signal == Signal::Traces).then(|| SpanView::read(self.reader)).transpose()
    }

    /// The log record, if it is one.
    ///
    /// # Errors
    /// The log record is malformed.
    pub fn log_record(&self) -> Result<Option<LogRecordView<'a>>, Malformed> {
        (self.signal == Signal::Logs).then(|| LogRecordView::read(self.reader)).transpose()
    }
}

/// Lets `editor` change the attributes of every record.
///
/// # Errors
/// A fault at a border, as in [`check`](crate::check()): the request is as it was.
pub fn edit_records(
    signal: Signal,
    request: &mut Body,
    editor: &mut impl RecordEditor,
) -> Result<Edited, Malformed> {
    let mut splice = Splice::new(request);
    let whole = Field { number: 0, wire: wire::LEN, start: 0, body: 0, end: request.len(), value: 0 };
    let walked = splice.records(signal, signal.request(), &whole, editor);
    walked.map_err(|fault| locate(signal, request, fault))?;
    Ok(splice.done().write(request))
}

impl Splice<'_> {
    /// Writes the inside of the message in `outer`, its records edited. Tells whether any changed.
    fn records(
        &mut self,
        signal: Signal,
        level: &'static Level,
        outer: &Field,
        editor: &mut impl RecordEditor,
    ) -> Result<bool, Fault> {
        let request = self.request;
        let (mut pos, before) = (outer.body, self.changed);
        while let Some(field) = wire::next_field(request, &mut pos, outer.end)? {
            if !is_child(level, &field)? {
                self.rope.old(field.start, field.end);
                continue;
            }
            let mark = self.rope.mark();
            let changed = match level.below(field.number) {
                Some(below) => {
                    announce(signal, level, request, &field, editor);
                    self.rope.open(field.number);
                    self.records(signal, below, &field, editor)?
                }
                None => self.record(signal, outer.number, &field, editor),
            };
            if changed {
                self.rope.close();
            } else {
                self.rope.back_to(mark);
                self.rope.old(field.start, field.end);
            }
        }
        Ok(self.changed > before)
    }

    fn record(&mut self, signal: Signal, holder: u32, field: &Field, editor: &mut impl RecordEditor) -> bool {
        let record = Record::new(signal, holder, self.request, field);
        self.spans.clear();
        self.spans.push(field.span());
        let mut edit = |attributes: &mut Editor<'_>| editor.edit(&record, attributes);
        let outcome = self.attributes(signal.attributes_field(holder), &mut edit);
        self.broken += usize::from(outcome == Outcome::Broken);
        if outcome == Outcome::Changed {
            self.rope.open(field.number);
            super::editor::write(&self.entries, &self.spans, &mut self.rope);
            self.changed += 1;
        }
        outcome == Outcome::Changed
    }
}

/// Tells what the walk is about to enter: `field`, a child of a message of this level.
pub(crate) fn announce(signal: Signal, level: &Level, buf: &[u8], field: &Field, to: &mut impl Headers) {
    let reader = Reader::new(buf, field.span());
    let request = signal.request();
    if std::ptr::eq(level, request) {
        to.resource(Unread::new(reader));
    } else if request.below(field.number).is_some_and(|resource| std::ptr::eq(level, resource)) {
        to.scope(Unread::new(reader));
    } else if level.below(field.number).is_some_and(Level::is_oneof) {
        to.metric(Unread::new(reader));
    }
}
