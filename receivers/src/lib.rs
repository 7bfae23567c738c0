//! The receivers, one folder each.

pub mod otlp;
