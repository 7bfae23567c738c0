//! Exporter `redis_stream`: writes telemetry to Redis streams.
//!
//! - [`config`]: the section.
//! - `name`: which stream an entry goes to: a template, and shards.
//! - `plan`: a request becomes XADD commands, by stream; `sort`: one of OTLP by what its records say.
//! - `export`: one attempt: rounds of commands to the nodes that have the streams, and what their answers mean.
//! - `progress`: which entries of a part are in Redis already: only the others are sent again.
//! - `lines`: connections. `trim`: safe trimming for servers that cannot do it themselves.
//!
//! What an entry holds is `core/streams`' business: `streamgauge_streams::encoding`.

pub mod config;
mod export;
mod lines;
mod name;
mod plan;
mod progress;
mod sort;
#[cfg(test)]
mod tests;
mod trim;

use std::sync::Arc;

use streamgauge_component::{
    ComponentError, ConfigType, Description, ExporterFactory, ExporterParts, Signal, Stability,
};

pub use config::RedisStreamConfig;

/// How this exporter is registered.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "redis_stream",
        aliases: &[],
        summary: "Writes traces, metrics and logs to Redis streams.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<RedisStreamConfig>(),
    create: |create| {
        let config = create.config::<RedisStreamConfig>()?;
        if let Some(signal) = create.signals.iter().find(|signal| !config.encoding.carries(**signal)) {
            let (id, encoding) = (create.host.id(), config.encoding.as_str());
            return Err(ComponentError(format!(
                "{id}: encoding {encoding} carries logs only: set encoding: otlp_proto for {signal}"
            )));
        }
        let exporter = Arc::new(export::RedisStream::new(&config, &create.host)?);
        Ok(ExporterParts { exporter, delivery: config.delivery() })
    },
};
