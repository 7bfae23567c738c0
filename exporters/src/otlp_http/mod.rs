//! Exporter `otlp_http` (alias `otlphttp`): sends traces, metrics and logs by OTLP/HTTP.
//!
//! - [`config`]: the section.
//! - `export`: one attempt: pack, post, and what the answer means for delivery.
//!
//! The parts of a request go out as they are, in a row: nothing is decoded. With `encoding: json` they are written anew.
//! Queue, retry and timeout stand before this exporter; one attempt either ends in an answer or says whether another try
//! may help.

pub mod config;
mod export;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ExporterFactory, ExporterParts, Signal, Stability};

pub use config::OtlpHttpConfig;

/// How this exporter is registered.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "otlp_http",
        aliases: &["otlphttp"],
        summary: "Sends traces, metrics and logs by OTLP/HTTP.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<OtlpHttpConfig>(),
    create: |create| {
        let config = create.config::<OtlpHttpConfig>()?;
        let exporter = Arc::new(export::OtlpHttp::new(&config)?);
        Ok(ExporterParts { exporter, delivery: config.delivery() })
    },
};
