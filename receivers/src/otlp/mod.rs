//! Receiver `otlp`: traces, metrics and logs by OTLP over gRPC and HTTP.
//!
//! - [`config`]: the section.
//! - `server`: the listeners and their life.
//! - `door`: one request from body to answer: check, hand over, answer by what the ack says.
//! - `answer`: what an outcome is in the client's terms.
//!
//! A request is checked down to the borders of its records and passed on as the bytes that came; OTLP/JSON becomes
//! protobuf bytes first.

mod answer;
pub mod config;
mod door;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{ConfigType, Description, ReceiverFactory, Signal, Stability};

pub use config::OtlpConfig;

/// How this receiver is registered.
pub static FACTORY: ReceiverFactory = ReceiverFactory {
    description: Description {
        name: "otlp",
        aliases: &[],
        summary: "Takes traces, metrics and logs by OTLP over gRPC and HTTP.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<OtlpConfig>(),
    create: |create| Ok(Arc::new(server::OtlpReceiver::new(create.config::<OtlpConfig>()?))),
};
