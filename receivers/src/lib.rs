//! The receivers, one folder each.

pub mod nop;
pub mod otlp;
pub mod redis;
pub mod redis_stream;
pub mod redis_stream_metrics;
mod scrape;
