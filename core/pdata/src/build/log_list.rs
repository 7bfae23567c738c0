//! Log records one after the other, for whoever cannot hold a resource and a scope open.

use bytes::Bytes;

use super::{AttributeList, LogRecord, Open, Output};
use crate::wire;

/// Log records under one resource and one scope.
#[derive(Debug)]
pub struct LogList {
    output: Output,
    /// Where the insides of the resource and of the scope begin.
    resource: usize,
    scope: usize,
}

impl LogList {
    /// No records yet, under a resource with these attributes and a scope of this name.
    pub fn new(resource: impl AttributeList, scope: &str, version: &str) -> Self {
        let mut output = Output::default();
        let buf = &mut output.buf;
        let resource_inside = wire::open(buf, 1);
        let header = wire::open(buf, 1);
        resource.put(1, buf);
        wire::close(buf, header);
        let scope_inside = wire::open(buf, 2);
        let header = wire::open(buf, 1);
        wire::put_len(buf, 1, scope.as_bytes());
        wire::put_len(buf, 2, version.as_bytes());
        wire::close(buf, header);
        LogList { output, resource: resource_inside, scope: scope_inside }
    }

    /// Opens a log record that was seen at `observed`, in nanoseconds since 1970.
    pub fn record(&mut self, observed: u64) -> LogRecord<'_> {
        LogRecord::new(Open::item_of(&mut self.output), observed)
    }

    /// How many records there are.
    pub fn items(&self) -> usize {
        self.output.items
    }

    /// How many bytes there are so far.
    pub fn bytes(&self) -> usize {
        self.output.buf.len()
    }

    /// The request; empty when there are no records.
    pub fn finish(mut self) -> Bytes {
        if self.output.items == 0 {
            return Bytes::new();
        }
        wire::close(&mut self.output.buf, self.scope);
        wire::close(&mut self.output.buf, self.resource);
        self.output.buf.into()
    }
}
