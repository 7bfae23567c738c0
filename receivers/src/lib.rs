//! The receivers, one folder each.

pub mod nop;
pub mod otlp;
pub mod redis;
mod scrape;
