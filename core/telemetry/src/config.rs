//! The section `service.telemetry`, with the Collector's keys and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_config::Secret;
use streamgauge_transport::{Endpoint, header_map};

/// The collector's own telemetry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What the collector logs about itself.
    pub logs: LogsConfig,
    /// What it counts about itself.
    pub metrics: MetricsConfig,
    /// How it traces itself.
    pub traces: TracesConfig,
    /// Resource attributes of all three, as a map or as `attributes: [{name, value}]`; null removes one that is set by itself (`service.name`, `service.version`,
    /// `service.instance.id`).
    pub resource: BTreeMap<String, serde_json::Value>,
}

impl TelemetryConfig {
    /// Checks beyond the types: path below the section and message; all at once.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut problem = |path: String, message: &str| found.push((path, message.to_owned()));
        if self.metrics.level != MetricsLevel::None && self.metrics.readers.is_empty() {
            problem(
                "metrics".into(),
                "collector telemetry metrics reader should exist when metric level is not none",
            );
        }
        for (at, reader) in self.metrics.readers.iter().enumerate() {
            let path = format!("metrics::readers::{at}");
            match (&reader.pull, &reader.periodic) {
                (Some(_), None) => {}
                (None, Some(periodic)) => otlp_problems(&path, &periodic.exporter.otlp, &mut problem),
                _ => problem(path, "must be either `pull` or `periodic`"),
            }
        }
        for (at, processor) in self.traces.processors.iter().enumerate() {
            let path = format!("traces::processors::{at}");
            otlp_problems(&path, &processor.batch.exporter.otlp, &mut problem);
        }
        if self.logs.sampling.as_ref().is_some_and(|s| s.enabled && s.tick.is_zero()) {
            problem("logs::sampling::tick".into(), "must be positive");
        }
        found
    }
}

fn otlp_problems(path: &str, otlp: &OtlpConfig, problem: &mut impl FnMut(String, &str)) {
    let at = |key: &str| format!("{path}::exporter::otlp::{key}");
    if let Err(error) = Endpoint::parse(&otlp.url("/")) {
        problem(at("endpoint"), &error.to_string());
    }
    if otlp.protocol == Protocol::Grpc {
        if otlp.endpoint.as_deref().is_some_and(|url| url.starts_with("https://")) {
            problem(
                at("endpoint"),
                "own telemetry is pushed by grpc without TLS only: use http/protobuf for https://",
            );
        }
        if !otlp.header_pairs().is_empty() {
            problem(at("headers"), "own telemetry is pushed with headers by http/protobuf only");
        }
    }
    if let Err(error) = header_map(otlp.header_pairs()) {
        problem(at("headers"), &error);
    }
    if otlp.temporality_preference.as_deref().is_some_and(|kind| kind != "cumulative") {
        problem(at("temporality_preference"), "own metrics are pushed as `cumulative` only");
    }
}

/// `logs`: what the collector says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogsConfig {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// `console` is for people, `json` for machines: one object a line.
    pub encoding: Encoding,
    /// `stderr`, `stdout` or a file that is appended to.
    pub output_paths: Vec<String>,
    /// Where errors of the logging itself go; they go to stderr, whatever stands here.
    pub error_output_paths: Vec<String>,
    /// Fields that stand in every line.
    pub initial_fields: BTreeMap<String, serde_json::Value>,
    /// Thins out lines that repeat; without it every line is written.
    pub sampling: Option<Sampling>,
    /// Adds file and line of the code that speaks.
    pub development: bool,
    /// No file and line, even when `development` is on.
    pub disable_caller: bool,
    /// No effect: lines never carry a stack trace.
    pub disable_stacktrace: bool,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: Encoding::Console,
            output_paths: vec!["stderr".into()],
            error_output_paths: vec!["stderr".into()],
            initial_fields: BTreeMap::new(),
            sampling: None,
            development: false,
            disable_caller: false,
            disable_stacktrace: false,
        }
    }
}

/// A log level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For finding faults.
    #[serde(alias = "DEBUG")]
    Debug,
    /// What an operator wants to know.
    #[default]
    #[serde(alias = "INFO")]
    Info,
    /// What may need a hand.
    #[serde(alias = "WARN")]
    Warn,
    /// What went wrong.
    #[serde(alias = "ERROR")]
    Error,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// For people.
    #[default]
    Console,
    /// For machines.
    Json,
}

/// `logs.sampling`: of lines from one place, the first ones of a tick and then every n-th.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Whether lines are thinned out.
    pub enabled: bool,
    /// The length of a tick.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub tick: Duration,
    /// Lines a tick that are written in any case.
    pub initial: u64,
    /// Of the lines after them every n-th is written; 0 is none.
    pub thereafter: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { enabled: true, tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

/// `metrics`: the collector's own numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// How much is shown: `basic` what went through and the process, `normal` the ledger too, `detailed` every edge.
    pub level: MetricsLevel,
    /// Who reads them.
    pub readers: Vec<Reader>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        let pull = PullReader::default();
        Self { level: MetricsLevel::Normal, readers: vec![Reader { pull: Some(pull), periodic: None }] }
    }
}

/// How many of the own metrics are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// None, and no reader runs.
    None,
    /// What went through, and the process.
    Basic,
    /// The ledger and the components' own numbers too.
    #[default]
    Normal,
    /// Every edge too.
    Detailed,
}

/// One reader: exactly one of its keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reader {
    /// Answers scrapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullReader>,
    /// Pushes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periodic: Option<PeriodicReader>,
}

/// `pull`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullReader {
    /// What is answered.
    pub exporter: PullExporter,
}

/// `pull.exporter`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullExporter {
    /// Prometheus' text format on `/metrics`.
    pub prometheus: PrometheusReader,
}

/// `pull.exporter.prometheus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusReader {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// No labels of the instrumentation scope; there are none in any case.
    pub without_scope_info: bool,
    /// No units in names.
    pub without_units: bool,
    /// No `_total` in counters' names.
    pub without_type_suffix: bool,
    /// Resource attributes that become labels of every metric.
    pub with_resource_constant_labels: IncludeExclude,
}

impl Default for PrometheusReader {
    fn default() -> Self {
        Self {
            host: "localhost".into(),
            port: 8888,
            without_scope_info: true,
            without_units: true,
            without_type_suffix: true,
            with_resource_constant_labels: IncludeExclude::default(),
        }
    }
}

/// Keys by pattern; `*` is any text, `?` any character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IncludeExclude {
    /// Chosen keys.
    pub included: Vec<String>,
    /// Keys that are not, though included.
    pub excluded: Vec<String>,
}

/// `periodic`: pushes all metrics again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeriodicReader {
    /// Milliseconds from push to push.
    pub interval: u64,
    /// Milliseconds a push may take.
    pub timeout: u64,
    /// Where to.
    pub exporter: PushExporter,
}

impl Default for PeriodicReader {
    fn default() -> Self {
        Self { interval: 60_000, timeout: 30_000, exporter: PushExporter::default() }
    }
}

/// `exporter` of a push.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PushExporter {
    /// By OTLP.
    pub otlp: OtlpConfig,
}

/// `otlp`: an OTLP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// `grpc` or `http/protobuf`.
    pub protocol: Protocol,
    /// The server's URL; without it `http://localhost` with the protocol's port, 4317 or 4318. Over HTTP a URL
    /// without a path gets the signal's, such as `/v1/metrics`.
    pub endpoint: Option<String>,
    /// Headers of every push, as a map or as a list of names and values; over HTTP only. The values are never shown.
    pub headers: Headers,
    /// Milliseconds that a push may take, in place of the reader's or processor's timeout.
    pub timeout: Option<u64>,
    /// `cumulative`: there is no other kind.
    pub temporality_preference: Option<String>,
    /// Accepted for what Collector files say; pushes are small and go unpacked.
    pub compression: Option<String>,
    /// Accepted for what Collector files say: the URL's scheme decides about TLS.
    pub insecure: bool,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// gRPC, without TLS.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// Protobuf over HTTP, with TLS for `https://`.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// Headers by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Headers {
    /// `{name: value}`.
    Map(BTreeMap<String, Secret>),
    /// `[{name: n, value: v}]`.
    List(Vec<Header>),
}

/// One header of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
}

impl Default for Headers {
    fn default() -> Self {
        Headers::Map(BTreeMap::new())
    }
}

impl OtlpConfig {
    /// Names and values.
    pub(crate) fn header_pairs(&self) -> Vec<(&str, &str)> {
        match &self.headers {
            Headers::Map(map) => map.iter().map(|(name, value)| (name.as_str(), value.expose())).collect(),
            Headers::List(list) => list.iter().map(|h| (h.name.as_str(), h.value.expose())).collect(),
        }
    }

    /// The URL that a signal is pushed to; `path` is the signal's own, such as `/v1/traces`.
    pub(crate) fn url(&self, path: &str) -> String {
        match (self.protocol, self.endpoint.as_deref()) {
            (Protocol::Grpc, endpoint) => endpoint.unwrap_or("http://localhost:4317").to_owned(),
            (Protocol::HttpProtobuf, endpoint) => {
                let url = endpoint.unwrap_or("http://localhost:4318");
                let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
                let bare = rest.trim_end_matches('/');
                if bare.contains('/') {
                    url.to_owned()
                } else {
                    format!("{}{path}", url.trim_end_matches('/'))
                }
            }
        }
    }
}

/// `traces`: the collector's spans about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// `none` switches traces off.
    pub level: TracesLevel,
    /// Formats of trace headers: `tracecontext`.
    pub propagators: Vec<String>,
    /// Where spans go. Without any there are none.
    pub processors: Vec<SpanProcessor>,
}

/// Whether the collector traces itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TracesLevel {
    /// Not at all.
    None,
    /// As `normal`.
    Basic,
    /// When a processor is configured.
    #[default]
    Normal,
    /// As `normal`.
    Detailed,
}

/// One entry of `traces.processors`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpanProcessor {
    /// Sends spans in batches.
    pub batch: BatchSpans,
}

/// `batch` of a span processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSpans {
    /// Milliseconds that a span waits for others.
    pub schedule_delay: u64,
    /// Milliseconds that a push may take.
    pub export_timeout: u64,
    /// Spans that may wait; more are dropped.
    pub max_queue_size: usize,
    /// Spans in one push.
    pub max_export_batch_size: usize,
    /// Where to.
    pub exporter: PushExporter,
}

impl Default for BatchSpans {
    fn default() -> Self {
        Self {
            schedule_delay: 5_000,
            export_timeout: 30_000,
            max_queue_size: 2_048,
            max_export_batch_size: 512,
            exporter: PushExporter::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MetricsLevel, OtlpConfig, Protocol, Reader, TelemetryConfig};

    #[test]
    fn the_defaults_are_the_collectors() {
        let config = TelemetryConfig::default();
        let prometheus = &config.metrics.readers[0].pull.as_ref().unwrap().exporter.prometheus;
        assert_eq!((prometheus.host.as_str(), prometheus.port), ("localhost", 8888));
        assert!(config.problems().is_empty());
    }

    #[test]
    fn a_level_without_reader_is_refused_in_the_collectors_words() {
        let mut config = TelemetryConfig::default();
        config.metrics.readers.clear();
        let text = "collector telemetry metrics reader should exist when metric level is not none";
        assert_eq!(config.problems(), [("metrics".to_owned(), text.to_owned())]);
        config.metrics.level = MetricsLevel::None;
        assert!(config.problems().is_empty());
    }

    #[test]
    fn what_cannot_be_pushed_is_told_with_its_place() {
        let mut config = TelemetryConfig::default();
        let mut reader = Reader { pull: None, periodic: Some(super::PeriodicReader::default()) };
        let headers =
            super::Headers::List(vec![super::Header { name: "a".into(), value: "b".to_owned().into() }]);
        let otlp = OtlpConfig { endpoint: Some("https://x".into()), headers, ..OtlpConfig::default() };
        reader.periodic.as_mut().unwrap().exporter.otlp = otlp;
        config.metrics.readers = vec![reader, Reader::default()];
        let paths: Vec<_> = config.problems().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "metrics::readers::0::exporter::otlp::endpoint",
                "metrics::readers::0::exporter::otlp::headers",
                "metrics::readers::1"
            ]
        );
    }

    #[test]
    fn a_bare_url_gets_the_signals_path_over_http_only() {
        for (protocol, endpoint, expected) in [
            (Protocol::HttpProtobuf, Some("http://h:4318"), "http://h:4318/v1/metrics"),
            (Protocol::HttpProtobuf, Some("https://h/"), "https://h/v1/metrics"),
            (Protocol::HttpProtobuf, Some("https://h/otlp/v1/metrics"), "https://h/otlp/v1/metrics"),
            (Protocol::HttpProtobuf, None, "http://localhost:4318/v1/metrics"),
            (Protocol::Grpc, Some("http://h:1"), "http://h:1"),
            (Protocol::Grpc, None, "http://localhost:4317"),
        ] {
            let config =
                OtlpConfig { protocol, endpoint: endpoint.map(str::to_owned), ..OtlpConfig::default() };
            assert_eq!(config.url("/v1/metrics"), expected);
        }
    }
}
