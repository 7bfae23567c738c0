//! The collector's own logs, metrics and traces: the section `service.telemetry`.
//!
//! Nothing here measures. The numbers are plain atomics of the edges and components, and this crate reads them
//! when somebody asks: a scrape, or the timer of an OTLP push.
//!
//! - [`Logs`]: installed once, before the configuration is read, and set anew by it; the level may change at any time.
//! - [`Telemetry`]: the Prometheus endpoint, the OTLP pushes and the traces of one configuration.

mod client;
mod config;
mod endpoint;
mod families;
mod logs;
mod otlp;
mod process;
mod resource;
mod text;

use std::sync::Arc;

use streamgauge_component::{Registry, StatusBoard};

pub use config::{
    Encoding, Header, Headers, LogLevel, LogsConfig, MetricsConfig, MetricsLevel, OtlpConfig, PeriodicReader,
    PrometheusReader, Protocol, PullReader, Reader, Sampling, SpanProcessor, TelemetryConfig, TracesConfig,
    TracesLevel,
};
pub use logs::{LogError, Logs};

/// Why own telemetry could not be started: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryError(String);

impl std::fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TelemetryError {}

/// The running part of `service.telemetry`: what serves, pushes and traces.
#[derive(Debug)]
pub struct Telemetry {
    endpoints: Vec<endpoint::Endpoint>,
    pushes: Vec<otlp::MetricsPush>,
    traces: Option<otlp::Traces>,
    logs: Logs,
}

impl Telemetry {
    /// Starts what the section asks for; inside a tokio runtime. The logs are set by [`Logs::apply`].
    ///
    /// # Errors
    /// A port that is taken, an endpoint that is no address.
    pub async fn start(
        config: &TelemetryConfig,
        registry: Arc<Registry>,
        board: Arc<StatusBoard>,
        logs: &Logs,
    ) -> Result<Self, TelemetryError> {
        let resource = resource::attributes(&config.resource);
        let source = families::Source::new(registry, board, config.metrics.level);
        let mut telemetry =
            Self { endpoints: Vec::new(), pushes: Vec::new(), traces: None, logs: logs.clone() };
        if config.metrics.level != MetricsLevel::None {
            for reader in &config.metrics.readers {
                if let Some(prometheus) = reader.pull.as_ref().map(|pull| &pull.exporter.prometheus) {
                    let writer = text::Exposition::new(source.clone(), prometheus, &resource);
                    telemetry.endpoints.push(endpoint::Endpoint::start(prometheus, writer).await?);
                }
                if let Some(periodic) = &reader.periodic {
                    telemetry.pushes.push(otlp::MetricsPush::start(periodic, source.clone(), &resource)?);
                }
            }
        }
        if config.traces.level != TracesLevel::None && !config.traces.processors.is_empty() {
            let traces = otlp::Traces::start(&config.traces.processors, &resource)?;
            logs.trace_with(traces.tracer())?;
            telemetry.traces = Some(traces);
        }
        Ok(telemetry)
    }

    /// Where scrapes are answered; the ports are the real ones when 0 was asked for.
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.endpoints.iter().map(|e| e.address()).collect()
    }

    /// Pushes what is left and closes. Never waits longer than the pushes' own timeouts.
    pub async fn shutdown(self) {
        let Self { endpoints, pushes, traces, logs } = self;
        logs.stop_tracing();
        // The SDK's shutdown blocks its thread until the last export is through.
        let flushed = tokio::task::spawn_blocking(move || {
            pushes.into_iter().for_each(otlp::MetricsPush::shutdown);
            traces.into_iter().for_each(otlp::Traces::shutdown);
        });
        if flushed.await.is_err() {
            tracing::warn!("the last push of own telemetry failed");
        }
        for endpoint in endpoints {
            endpoint.stop().await;
        }
    }
}
