//! The exporters, one folder each.

pub mod debug;
mod identity;
mod naming;
pub mod nop;
pub mod otlp_grpc;
pub mod otlp_http;
pub mod prometheus;
pub mod prometheus_remote_write;
pub mod redis_stream;
