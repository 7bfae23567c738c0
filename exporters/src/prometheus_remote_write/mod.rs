//! Exporter `prometheus_remote_write` (alias `prometheusremotewrite`): metrics to Prometheus, Mimir, Thanos and others by
//! remote write 1.0.
//!
//! - [`config`]: the section.
//! - `prepare`: a request as messages that a receiver can take: times checked, series in order.
//! - `sent`: what was last sent of each series.
//! - `answer`: what a status asks for.
//! - `export`: one attempt: messages side by side, each series in one of them; what is refused for its content is
//!   halved until the sample at fault stands alone.
//!
//! One request at a time is under way, so the samples of a series never overtake one another.

mod answer;
pub mod config;
mod export;
mod prepare;
mod sent;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ExporterFactory, ExporterParts, Signal, Stability};

pub use config::RemoteWriteConfig;

/// How this exporter is registered.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "prometheus_remote_write",
        aliases: &["prometheusremotewrite"],
        summary: "Sends metrics by Prometheus remote write 1.0.",
        signals: &[Signal::Metrics],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<RemoteWriteConfig>(),
    create: |create| {
        let config = create.config::<RemoteWriteConfig>()?;
        let exporter = Arc::new(export::RemoteWrite::new(&config, create.host)?);
        Ok(ExporterParts { exporter, delivery: config.delivery() })
    },
};
