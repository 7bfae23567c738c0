//! Receiver `redis_stream_metrics`: streams, consumer groups and consumers of a Redis or Valkey deployment,
//! as metrics.
//!
//! - [`config`]: the section.
//! - `metrics`: every metric, declared once.
//! - `catalog`: which streams there are; a slow walk by SCAN where a glob asks for it.
//! - `scrape`: one round over the nodes that serve keys, and the streams that move between them.
//! - `node`: one node's part of it.
//! - `observe`: its questions: the basic numbers of all streams, and details where a number moved, in rotation besides.
//! - `follow`: questions that need more than one answer: counting entries, walking through pending ones (`pending`).
//! - `memory`: what is remembered of streams and groups, and what follows from it: the lag and how well it is known
//!   (`lag`, `offsets`), rates (`history`), entries lost unread (`loss`), states (`state`).
//! - `record`: from answers to points.
//! - `failures`: what hits one stream alone: counted, logged once.

mod absent;
mod catalog;
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
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use streamgauge_component::{
    ComponentError, ConfigType, Description, Host, Outlets, Receiver, ReceiverFactory, Signal, Stability,
};

use crate::scrape::poll::{Poller, limit};
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
    create: |create| Ok(Arc::new(StreamReceiver { config: create.config()?, poller: Poller::default() })),
};

/// The names of all metrics.
pub fn metric_names() -> impl Iterator<Item = &'static str> {
    StreamMetrics::metrics().map(|metric| metric.name)
}

struct StreamReceiver {
    config: Arc<StreamConfig>,
    poller: Poller,
}

#[async_trait]
impl Receiver for StreamReceiver {
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError> {
        let Some(outlet) = outlets.get(Signal::Metrics) else { return Ok(()) };
        let rhythm = self.config.rhythm();
        let limit = limit(self.config.timeout, rhythm.interval);
        let fleet = self.config.keys().fleet(&host, limit, rhythm.interval)?;
        self.poller.start(
            &host,
            outlet.clone(),
            rhythm,
            scrape::StreamScrape::new(self.config.clone(), fleet),
        );
        Ok(())
    }

    async fn stop_intake(&self) {
        self.poller.stop();
    }

    async fn shutdown(&self) {
        self.poller.join().await;
    }
}
