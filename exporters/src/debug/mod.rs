//! Exporter `debug`: shows what arrives, in the collector's own log or on standard output.
//!
//! - `basic`: one line a request, with counts.
//! - `normal`: one line a record: a data point, a log record, a span.
//! - `detailed`: every field of every record.
//!
//! Texts are made from views over the bytes; what cannot be read is shown as such and costs nothing else. It is a sink
//! of its own: no queue, no retry.

mod config;
mod counts;
mod detailed;
mod normal;
mod show;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ConfigType, DeliverySettings, Description, ExportError, Exporter,
    ExporterFactory, ExporterParts, Host, Request, Signal, Stability,
};

pub use config::{Config, Verbosity};
use counts::Counts;

/// What the command line registers.
pub static FACTORY: ExporterFactory = ExporterFactory {
    description: Description {
        name: "debug",
        aliases: &[],
        summary: "Shows what arrives in the collector's own log.",
        signals: &Signal::ALL,
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create: |create| {
        let config = create.config::<Config>()?;
        let exporter = Arc::new(Debug { host: create.host, sampler: Mutex::default(), config });
        Ok(ExporterParts { exporter, delivery: DeliverySettings::direct() })
    },
};

struct Debug {
    host: Host,
    config: Arc<Config>,
    /// Start of the second at hand and requests seen in it.
    sampler: Mutex<Option<(Instant, u64)>>,
}

#[async_trait]
impl Exporter for Debug {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        if self.is_shown(self.host.clock().now().instant) {
            self.show(request);
        }
        Box::pin(std::future::ready(Ok(Accepted::default())))
    }
}

impl Debug {
    /// Of the requests of a second, the first ones and then every n-th.
    fn is_shown(&self, now: Instant) -> bool {
        let (initial, thereafter) = (self.config.sampling_initial, self.config.sampling_thereafter);
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, seen) = sampler.get_or_insert((now, 0));
        if now.duration_since(*since) >= Duration::from_secs(1) {
            (*since, *seen) = (now, 0);
        }
        *seen += 1;
        *seen <= initial || (thereafter > 0 && (*seen - initial).is_multiple_of(thereafter))
    }

    fn show(&self, request: &Request) {
        let id = &**self.host.id();
        let counts = Counts::of(request);
        let mut text = String::new();
        match self.config.verbosity {
            Verbosity::Basic => {}
            Verbosity::Normal => normal::write(request, &mut text),
            Verbosity::Detailed => detailed::write(request, &mut text),
        }
        let text = text.trim_end();
        if !self.config.use_internal_logger {
            let mut line = format!("{id} {counts}");
            if !text.is_empty() {
                let _ = write!(line, "\n{text}");
            }
            line.push('\n');
            // Who reads standard output may be gone; the data was shown as far as anybody could see it.
            let _ = std::io::stdout().lock().write_all(line.as_bytes());
            return;
        }
        match request.signal {
            _ if !text.is_empty() => tracing::info!(exporter = id, "{counts}\n{text}"),
            Signal::Traces => {
                tracing::info!(exporter = id, resources = counts.resources, spans = request.items, "Traces");
            }
            Signal::Metrics => {
                let (resources, metrics) = (counts.resources, counts.metrics);
                tracing::info!(exporter = id, resources, metrics, data_points = request.items, "Metrics");
            }
            Signal::Logs => {
                let resources = counts.resources;
                tracing::info!(exporter = id, resources, log_records = request.items, "Logs");
            }
        }
    }
}

#[cfg(test)]
mod tests;
