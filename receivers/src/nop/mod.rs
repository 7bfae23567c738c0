//! Receiver `nop`: takes nothing in. For pipelines that exist only to be started.

mod config;

use std::sync::Arc;

use async_trait::async_trait;
use streamgauge_component::{
    ComponentError, ConfigType, Description, Host, Outlets, Receiver, ReceiverFactory, Signal, Stability,
};

pub use config::Config;

/// What the command line registers.
pub static FACTORY: ReceiverFactory = ReceiverFactory {
    description: Description {
        name: "nop",
        aliases: &[],
        summary: "Takes nothing in.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create: |_| Ok(Arc::new(Nop)),
};

struct Nop;

#[async_trait]
impl Receiver for Nop {
    async fn start(&self, _: Host, _: Outlets) -> Result<(), ComponentError> {
        Ok(())
    }

    async fn stop_intake(&self) {}

    async fn shutdown(&self) {}
}
