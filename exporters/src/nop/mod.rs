//! Exporter `nop`: takes everything, keeps nothing.

mod config;

use std::sync::Arc;

use async_trait::async_trait;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ConfigType, DeliverySettings, Description, ExportError, Exporter,
    ExporterFactory, ExporterParts, Host, Request, Signal, Stability,
};

pub use config::Config;

/// What the command line registers.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "nop",
        aliases: &[],
        summary: "Takes everything and keeps nothing.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create: |_| Ok(ExporterParts { exporter: Arc::new(Nop), delivery: DeliverySettings::direct() }),
};

struct Nop;

#[async_trait]
impl Exporter for Nop {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    fn export<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(std::future::ready(Ok(Accepted::default())))
    }
}
