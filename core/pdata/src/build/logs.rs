//! Log records.

use super::{AttributeList, Logs, Open, Scope, ToValue, put_pair};
use crate::wire;

impl Scope<'_, Logs> {
    /// Opens a log record that was seen at `observed`, in nanoseconds since 1970.
    pub fn record(&mut self, observed: u64) -> LogRecord<'_> {
        LogRecord::new(self.open.item(2), observed)
    }
}

/// An open log record.
#[derive(Debug)]
pub struct LogRecord<'a> {
    open: Open<'a>,
}

impl<'a> LogRecord<'a> {
    pub(super) fn new(mut open: Open<'a>, observed: u64) -> Self {
        wire::put_fixed64(open.buf(), 11, observed);
        LogRecord { open }
    }

    /// When it happened, in nanoseconds since 1970.
    pub fn time(&mut self, nanos: u64) -> &mut Self {
        wire::put_fixed64(self.open.buf(), 1, nanos);
        self
    }

    /// The severity's number (1 TRACE, 5 DEBUG, 9 INFO, 13 WARN, 17 ERROR, 21 FATAL) and text.
    pub fn severity(&mut self, number: u8, text: &str) -> &mut Self {
        wire::put_uint(self.open.buf(), 2, u64::from(number));
        self.open.string(3, text);
        self
    }

    /// What is said.
    pub fn body(&mut self, value: impl ToValue) -> &mut Self {
        let start = wire::open(self.open.buf(), 5);
        value.put(self.open.buf());
        wire::close(self.open.buf(), start);
        self
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, key: &str, value: impl ToValue) -> &mut Self {
        put_pair(self.open.buf(), 6, key, &value);
        self
    }

    /// Adds attributes.
    pub fn attributes(&mut self, attributes: impl AttributeList) -> &mut Self {
        attributes.put(6, self.open.buf());
        self
    }

    /// The trace and the span that the record belongs to, and the W3C trace flags.
    pub fn trace(&mut self, trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> &mut Self {
        wire::put_fixed32(self.open.buf(), 8, u32::from(flags));
        wire::put_len(self.open.buf(), 9, &trace_id);
        wire::put_len(self.open.buf(), 10, &span_id);
        self
    }

    /// The trace that the record belongs to, where no span of it is known.
    pub fn trace_id(&mut self, trace_id: [u8; 16]) -> &mut Self {
        wire::put_len(self.open.buf(), 9, &trace_id);
        self
    }

    /// The class of event that the record is.
    pub fn event_name(&mut self, name: &str) -> &mut Self {
        self.open.string(12, name);
        self
    }
}
