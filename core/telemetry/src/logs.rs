//! The collector's own log: one line an event, for people or machines.
//!
//! Installed once for the process, set as often as wanted: the configuration is read when the log already works,
//! and the level may change while the collector runs.

use std::io::IsTerminal as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{Filtered, Targets};
use tracing_subscriber::layer::{Layer, Layered, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use crate::TelemetryError;
use crate::config::{Encoding, LogLevel, LogsConfig};

mod format;
mod lines;
mod output;
mod sampler;

use format::Format;
use lines::Lines;
use output::Outputs;
use sampler::Sampler;

/// Libraries that say more at info and below than an operator of a collector wants to know.
const QUIET: [&str; 8] =
    ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "opentelemetry", "opentelemetry_sdk"];

/// Why the log could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogError(String);

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LogError {}

type Tracing = Option<OpenTelemetryLayer<Registry, SdkTracer>>;
type Traced = Layered<
    Filtered<reload::Layer<Tracing, Registry>, reload::Layer<LevelFilter, Registry>, Registry>,
    Registry,
>;

/// The process's log. Clones set the same one.
#[derive(Clone)]
pub struct Logs {
    settings: Arc<ArcSwap<Settings>>,
    filter: reload::Handle<Targets, Traced>,
    tracing: reload::Handle<Tracing, Registry>,
    /// Beside the layer, for a filter cannot be exchanged with it: off while there is nothing to trace with.
    traced: reload::Handle<LevelFilter, Registry>,
}

/// What a line is made by.
struct Settings {
    format: Format,
    outputs: Outputs,
    sampler: Option<Sampler>,
}

impl Settings {
    fn new(config: &LogsConfig) -> Result<Self, LogError> {
        let outputs = Outputs::open(&config.output_paths)?;
        let caller = config.development && !config.disable_caller;
        let fields = config.initial_fields.clone();
        let format = match config.encoding {
            Encoding::Console => Format::console(caller, fields),
            Encoding::Json => Format::json(caller, fields),
        };
        let sampler = config.sampling.as_ref().filter(|s| s.enabled).map(Sampler::new);
        Ok(Self { format, outputs, sampler })
    }
}

impl Logs {
    /// Installs the log with its defaults: info and above, for people, on stderr. Once a process.
    ///
    /// # Errors
    /// Somebody else has installed a log already.
    pub fn install() -> Result<Self, LogError> {
        let (logs, subscriber) = Self::build(&LogsConfig::default())?;
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|_| LogError("a log is already installed in this process".to_owned()))?;
        Ok(logs)
    }

    fn build(config: &LogsConfig) -> Result<(Self, impl tracing::Subscriber + Send + Sync), LogError> {
        let settings = Arc::new(ArcSwap::from_pointee(Settings::new(config)?));
        let (filter, filter_handle) = reload::Layer::new(targets(config.level));
        let (tracing, tracing_handle) = reload::Layer::new(None);
        let (traced, traced_handle) = reload::Layer::new(LevelFilter::OFF);
        let lines = Lines::new(settings.clone()).with_filter(filter);
        let subscriber = tracing_subscriber::registry().with(tracing.with_filter(traced)).with(lines);
        let logs = Self { settings, filter: filter_handle, tracing: tracing_handle, traced: traced_handle };
        Ok((logs, subscriber))
    }

    /// Sets the log to what the configuration says, from the next line on.
    ///
    /// # Errors
    /// A file that cannot be opened; the log stays as it was.
    pub fn apply(&self, config: &LogsConfig) -> Result<(), LogError> {
        self.settings.store(Arc::new(Settings::new(config)?));
        self.set_level(config.level)
    }

    /// Changes the level alone, at any time.
    ///
    /// # Errors
    /// The log is gone, which only happens while the process ends.
    pub fn set_level(&self, level: LogLevel) -> Result<(), LogError> {
        self.filter
            .reload(targets(level))
            .map_err(|error| LogError(format!("the log level cannot change: {error}")))
    }

    /// Makes spans of the collector's own go to this tracer.
    pub(crate) fn trace_with(&self, tracer: SdkTracer) -> Result<(), TelemetryError> {
        let layer =
            tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
        self.tracing
            .reload(Some(layer))
            .and_then(|()| self.traced.reload(LevelFilter::INFO))
            .map_err(|error| TelemetryError(format!("own traces cannot be switched on: {error}")))
    }

    /// Makes no more spans.
    pub(crate) fn stop_tracing(&self) {
        // It fails only when the log itself is gone, and the spans with it.
        let _ = self.traced.reload(LevelFilter::OFF);
        let _ = self.tracing.reload(None);
    }
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logs")
    }
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    QUIET.iter().fold(Targets::new().with_default(level), |targets, library| {
        targets.with_target(*library, level.min(LevelFilter::WARN))
    })
}

/// Whether colours help: a person looks, and has not said no.
fn colours(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn stderr_colours() -> bool {
    colours(&std::io::stderr())
}

fn stdout_colours() -> bool {
    std::io::stdout().is_terminal() && colours(&std::io::stdout())
}

#[cfg(test)]
mod tests;
