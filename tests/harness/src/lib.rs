//! Real servers for tests: Redis and Valkey of several versions, alone, in a Sentinel set or in a Cluster, Prometheus,
//! OTLP sinks, and the collector itself.
//!
//! Everything here blocks and belongs to the value that started it: a server listens on a free loopback
//! port, is polled until it answers, and is killed through its own child handle when the value is dropped.
//! Sinks run on a thread of their own, so a test may be a plain `#[test]` or a `#[tokio::test]`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support: a broken harness must fail the test at the place that broke"
)]

mod certs;
mod collector;
mod deployment;
mod h2spec;
pub mod http;
mod matrix;
mod points;
mod poll;
mod process;
mod prometheus;
mod publisher;
mod redis_server;
mod replies;
mod sink;
mod sink_grpc;
mod sink_http;
mod wire;

pub use certs::Certs;
pub use collector::{Collector, CollectorBuilder};
pub use deployment::{Cluster, SentinelSet};
pub use h2spec::h2spec;
pub use matrix::Server;
pub use points::Point;
pub use poll::{poll_until, poll_until_async};
pub use process::free_port;
pub use prometheus::{Prometheus, PrometheusBuilder, Sample};
pub use publisher::Publisher;
pub use redis_server::{Redis, RedisBuilder, Valkey};
pub use replies::Reply;
pub use sink::{OtlpSink, Received, Telemetry};
pub use wire::{Fault, Wire};
