//! Exporter `prometheus`: the last value of every series, for Prometheus to scrape.
//!
//! - [`config`]: the section.
//! - `store`: what is held of each series, how it comes in, and how it ends.
//! - `render`: a snapshot as text.
//! - `serve`: who asks, in which language, and whether they may.
//! - `export`: the exporter.
//!
//! A scrape takes a snapshot, which costs a reference a family, and writes it without holding anybody up.

pub mod config;
mod export;
mod labels;
mod pages;
mod render;
mod serve;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{
    ConfigType, DeliverySettings, Description, ExporterFactory, ExporterParts, Signal, Stability,
};

pub use config::PrometheusConfig;

/// How this exporter is registered.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "prometheus",
        aliases: &[],
        summary: "Serves metrics for Prometheus to scrape, under their own or other programs' names.",
        signals: &[Signal::Metrics],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<PrometheusConfig>(),
    create: |create| {
        let config = create.config::<PrometheusConfig>()?;
        let exporter = Arc::new(export::PrometheusExporter::new(config, create.host));
        Ok(ExporterParts { exporter, delivery: DeliverySettings::direct() })
    },
};
