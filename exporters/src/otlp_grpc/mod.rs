//! Exporter `otlp_grpc` (alias `otlp`): sends traces, metrics and logs by OTLP/gRPC.
//!
//! - [`config`]: the section.
//! - `export`: one attempt: pack, call, and what the answer means for delivery.
//!
//! The parts of a request go out as they are, in a row: nothing is decoded. Queue, retry and timeout stand before this
//! exporter; one attempt either ends in an answer or says whether another try may help.

pub mod config;
mod export;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ExporterFactory, ExporterParts, Signal, Stability};

pub use config::OtlpGrpcConfig;

/// How this exporter is registered.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "otlp_grpc",
        aliases: &["otlp"],
        summary: "Sends traces, metrics and logs by OTLP/gRPC.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<OtlpGrpcConfig>(),
    create: |create| {
        let config = create.config::<OtlpGrpcConfig>()?;
        let exporter = Arc::new(export::OtlpGrpc::new(&config)?);
        Ok(ExporterParts { exporter, delivery: config.delivery() })
    },
};
