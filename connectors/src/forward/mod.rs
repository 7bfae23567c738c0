//! Connector `forward`: leads from pipelines into pipelines of the same signal, and changes nothing.
//!
//! Several pipelines into it are joined, several out of it are a fan-out; the engine does both.

mod config;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ConfigType, ConnectorFactory, Description, Out, Processor, Signal, Stability,
};

pub use config::Config;

/// What the command line registers.
pub static FACTORY: ConnectorFactory = ConnectorFactory {
    description: Description {
        name: "forward",
        aliases: &[],
        summary: "Leads from pipelines into pipelines of the same signal.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    signals: &[
        (Signal::Traces, Signal::Traces),
        (Signal::Metrics, Signal::Metrics),
        (Signal::Logs, Signal::Logs),
    ],
    config: ConfigType::of::<Config>(),
    create: |_| Ok(Arc::new(Forward)),
};

struct Forward;

impl Processor for Forward {
    fn process(&self, batch: Batch, out: &mut Out) {
        out.send(batch);
    }
}

#[cfg(test)]
mod tests;
