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

use streamgauge_component::Host;
use streamgauge_transport::{Pages, Sockets};

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
    endpoints: Vec<Pages>,
    pushes: Vec<otlp::MetricsPush>,
    traces: Option<otlp::Traces>,
    logs: Logs,
}

impl Telemetry {
    /// Starts what the section asks for; inside a tokio runtime. The logs are set by [`Logs::apply`], and spans are made
    /// from [`Telemetry::trace`] on. One that runs may be followed by another on the same ports.
    ///
    /// # Errors
    /// A port that is taken, an endpoint that is no address.
    pub async fn start(config: &TelemetryConfig, host: &Host, logs: &Logs) -> Result<Self, TelemetryError> {
        let resource = resource::attributes(&config.resource);
        let source =
            families::Source::new(host.registry().clone(), host.board().clone(), config.metrics.level);
        let sockets = host.shared("", Sockets::default);
        let mut telemetry =
            Self { endpoints: Vec::new(), pushes: Vec::new(), traces: None, logs: logs.clone() };
        if config.metrics.level != MetricsLevel::None {
            for reader in &config.metrics.readers {
                if let Some(prometheus) = reader.pull.as_ref().map(|pull| &pull.exporter.prometheus) {
                    let writer = text::Exposition::new(source.clone(), prometheus, &resource);
                    telemetry.endpoints.push(endpoint::start(prometheus, writer, &sockets).await?);
                }
                if let Some(periodic) = &reader.periodic {
                    telemetry.pushes.push(otlp::MetricsPush::start(periodic, source.clone(), &resource)?);
                }
            }
        }
        if config.traces.level != TracesLevel::None && !config.traces.processors.is_empty() {
            telemetry.traces = Some(otlp::Traces::start(&config.traces.processors, &resource)?);
        }
        Ok(telemetry)
    }

    /// Makes this section's spans from now on, or none when it asks for none.
    ///
    /// # Errors
    /// The log is gone, which only happens while the process ends.
    pub fn trace(&self) -> Result<(), TelemetryError> {
        match &self.traces {
            Some(traces) => self.logs.trace_with(traces.tracer()),
            None => {
                self.logs.stop_tracing();
                Ok(())
            }
        }
    }

    /// Where scrapes are answered; the ports are the real ones when 0 was asked for.
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.endpoints.iter().filter_map(|pages| pages.local_addr().tcp()).collect()
    }

    /// Makes no more spans, and closes.
    pub async fn shutdown(self) {
        self.logs.stop_tracing();
        self.close().await;
    }

    /// Pushes what is left and closes. Never waits longer than the pushes' own timeouts. Spans are not its affair any more:
    /// another section makes them.
    pub async fn close(self) {
        let Self { endpoints, pushes, traces, logs: _ } = self;
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
