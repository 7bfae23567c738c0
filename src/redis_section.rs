//! The sections of a configuration that name a Redis, and how they say which.

use streamgauge_config::{Component, Config, Diagnostics};
use streamgauge_receivers::{redis, redis_stream, redis_stream_metrics};
use streamgauge_streams::Keys;

/// A section that names a Redis, read by its type.
#[derive(Debug)]
pub(crate) enum RedisSection {
    /// Receiver `redis`.
    Watches(Box<redis::RedisConfig>),
    /// Receiver `redis_stream_metrics`.
    Measures(Box<redis_stream_metrics::StreamConfig>),
    /// Receiver `redis_stream`.
    Consumes(Box<redis_stream::RedisStreamConfig>),
    /// Exporter `redis_stream`.
    Produces(Box<streamgauge_exporters::redis_stream::RedisStreamConfig>),
}

impl RedisSection {
    /// Of a receiver; `None` where it is about something else.
    pub(crate) fn of_receiver(receiver: &Component) -> Result<Option<RedisSection>, Diagnostics> {
        Ok(Some(match receiver.type_name.as_str() {
            "redis" => RedisSection::Watches(receiver.section.read()?),
            "redis_stream_metrics" => RedisSection::Measures(receiver.section.read()?),
            "redis_stream" => RedisSection::Consumes(receiver.section.read()?),
            _ => return Ok(None),
        }))
    }

    /// Of an exporter, likewise.
    pub(crate) fn of_exporter(exporter: &Component) -> Result<Option<RedisSection>, Diagnostics> {
        let writes = exporter.type_name == "redis_stream";
        writes.then(|| exporter.section.read().map(RedisSection::Produces)).transpose()
    }

    /// Which server is meant, and as whom.
    pub(crate) fn keys(&self) -> Keys<'_> {
        match self {
            RedisSection::Watches(config) => config.keys(),
            RedisSection::Measures(config) => config.keys(),
            RedisSection::Consumes(config) => config.keys(),
            RedisSection::Produces(config) => config.keys(),
        }
    }
}

/// All of a configuration, by names such as `receivers::redis`.
pub(crate) fn all(config: &Config) -> Result<Vec<(String, RedisSection)>, Diagnostics> {
    let mut all = Vec::new();
    for receiver in config.receivers.iter() {
        let section = RedisSection::of_receiver(receiver)?;
        all.extend(section.map(|section| (format!("receivers::{}", receiver.id), section)));
    }
    for exporter in config.exporters.iter() {
        let section = RedisSection::of_exporter(exporter)?;
        all.extend(section.map(|section| (format!("exporters::{}", exporter.id), section)));
    }
    Ok(all)
}
