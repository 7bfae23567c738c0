//! Receiver `redis_stream_metrics`: streams, consumer groups and consumers of a Redis or Valkey deployment,
//! as metrics.
//!
//! - [`config`]: the section.
//! - `metrics`: every metric, declared once.
//! - `catalog`: which streams there are; a slow walk by SCAN where a glob asks for it.
//! - `scrape`: one round over the nodes that serve keys, and the streams that move between them.
//! - `node`: one node's part of it.
//! - `observe`: its questions: the basic numbers of all streams, and details where a number moved, in rotation besides.
//!   `seen`: what it has seen. `claims`: who has taken entries over from whom.
//! - `follow`: questions that need more than one answer: counting entries, walking through pending ones (`pending`).
//! - `memory`: what is remembered of streams and groups, and what follows from it: the lag and how well it is known
//!   (`lag`, `offsets`), rates (`history`), entries lost unread (`loss`), states (`state`).
//! - `record`: from answers to points.
//! - `failures`: what hits one stream alone: counted, logged once.

mod absent;
mod by_name;
mod catalog;
mod claims;
mod clock;
pub mod config;
mod consumers;
mod failures;
mod follow;
mod history;
mod known;
mod lag;
mod loss;
mod memory;
mod metrics;
mod node;
mod observe;
mod offsets;
mod pending;
mod record;
mod scrape;
mod seen;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ReceiverFactory, Signal, Stability};

use crate::scrape::poll::Polled;
use crate::scrape::redis::fleet;
use crate::scrape::table::Table as _;
pub use config::StreamConfig;
pub use metrics::StreamMetrics;

/// How this receiver is registered.
pub static FACTORY: ReceiverFactory = ReceiverFactory {
    description: Description {
        name: "redis_stream_metrics",
        aliases: &[],
        summary: "Watches Redis streams, their consumer groups and consumers, with a lag that is never guessed.",
        signals: &[Signal::Metrics],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<StreamConfig>(),
    create: |create| {
        let config: Arc<StreamConfig> = create.config()?;
        Ok(Polled::new(config.rhythm(), move |host| {
            let fleet = fleet(&config.keys(), config.limits(), host, config.rhythm())?;
            Ok(Box::new(scrape::StreamScrape::new(config.clone(), fleet)))
        }))
    },
};

/// The names of all metrics.
pub fn metric_names() -> impl Iterator<Item = &'static str> {
    StreamMetrics::metrics().map(|metric| metric.name)
}
