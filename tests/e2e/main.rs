//! The built binary against real servers, from the outside: configuration in, what arrives out.
//!
//! Each test starts its own servers on free ports. `support` has what they share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: what is not as it should be fails the test at its place"
)]

mod alert_restart;
mod authentication;
mod back_pressure;
mod clients;
mod collector_file;
mod connection_pool;
mod custom;
mod dead_letter;
mod delivered;
mod demo;
mod deployment;
mod doctor;
mod ledger_restart;
mod main_job;
mod otlp_json;
mod own_lag;
mod poison;
mod presets;
mod proxies;
mod queue;
mod ready_configs;
mod redis_exporter;
mod redis_logs;
mod reload;
mod remote_write_restart;
mod routing;
mod servers;
mod stream_transport;
mod support;
mod writers_rules;
