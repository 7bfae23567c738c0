//! Receiver `redis`: what the Redis or Valkey servers of a deployment tell about themselves, as metrics and as logs.
//!
//! - [`config`]: the section.
//! - `metrics`: every metric, declared once; `rows`: those that the Collector lacks.
//! - `scrape`: one round over all nodes of the deployment.
//! - `node`: one node's part of it, one INFO of everything and a PING (CLUSTER INFO where its metrics are on).
//! - `info`: from the answer to points; `unknown`: numbers that no metric names.
//! - [`custom`]: metrics and checks that the configuration declares.
//! - `receiver`: the half for each signal; `logs`: that of logs.
//! - `time`: what the main thread did since the last round.
//! - `detail`: what other commands tell, `clients` and `settings` among it, sent only for metrics that are on.
//!
//! A restart or CONFIG RESETSTAT moves the start time of the counters. A server that is down is `redis.up` 0; no other
//! number is invented.

mod clients;
pub mod config;
pub mod custom;
mod detail;
mod info;
mod logs;
mod metrics;
mod node;
mod receiver;
mod rows;
mod scrape;
mod settings;
#[cfg(test)]
mod tests;
mod time;
mod unknown;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ReceiverFactory, Signal, Stability};

use crate::scrape::table::Table as _;
pub use config::RedisConfig;
pub use logs::config::LogsConfig;
pub use metrics::RedisMetrics;

/// How this receiver is registered.
pub static FACTORY: ReceiverFactory = ReceiverFactory {
    description: Description {
        name: "redis",
        aliases: &[],
        summary: "Watches all Redis or Valkey servers of a deployment by one INFO a round, and tells what they log.",
        signals: &[Signal::Metrics, Signal::Logs],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<RedisConfig>(),
    create: |create| {
        let config: Arc<RedisConfig> = create.config()?;
        Ok(Arc::new(receiver::Halves::new(config)))
    },
};

/// The names of all metrics.
pub fn metric_names() -> impl Iterator<Item = &'static str> {
    RedisMetrics::metrics().map(|metric| metric.name)
}

/// The metrics that are collected only when they are asked for, by name.
pub fn metrics_off_by_default() -> impl Iterator<Item = &'static str> {
    RedisMetrics::metrics().filter(|metric| !metric.enabled).map(|metric| metric.name)
}
