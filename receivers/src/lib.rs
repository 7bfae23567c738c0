//! The receivers, one folder each.

pub mod nop;
pub mod otlp;
