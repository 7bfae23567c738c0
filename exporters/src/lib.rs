//! The exporters, one folder each.

pub mod otlp_grpc;
pub mod otlp_http;
