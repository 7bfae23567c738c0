//! The section of exporter `prometheus`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{ComponentConfig, Optional};
use streamgauge_prometheus::{Namer, Settings};
use streamgauge_transport::{HeaderMap, Headers, HttpAuthSettings, TlsServer};

use crate::naming::{
    Preset, PresetSettings, ResourceToTelemetry, TranslationStrategy, preset_problems, presets, strategy,
};

/// Settings of exporter `prometheus`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusConfig {
    /// Where to listen, `host:port`. Must be given.
    pub endpoint: String,
    /// The path that is scraped.
    pub path: String,
    /// Serves TLS; off unless it is named.
    pub tls: Optional<TlsServer>,
    /// Who may scrape; without it everybody.
    pub auth: Optional<HttpAuthSettings>,
    /// Headers of every answer: a map, or a list of `name` and `value`. The values are never shown.
    pub response_headers: Headers,
    /// Put before every metric's name, with `_`; not before presets' names.
    pub namespace: String,
    /// Labels for every series, where nothing else has set them.
    pub const_labels: BTreeMap<String, String>,
    /// Whether samples carry the time they were taken at. Prometheus then shows a series that has ended for 5 minutes more.
    pub send_timestamps: bool,
    /// How long a series that is not updated is shown.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub metric_expiration: Duration,
    /// Whether OpenMetrics, which has exemplars, is answered to who asks for it.
    pub enable_open_metrics: bool,
    /// How names are made; without it `UnderscoreEscapingWithSuffixes`.
    pub translation_strategy: Option<TranslationStrategy>,
    /// The older way to switch suffixes off.
    pub add_metric_suffixes: Option<bool>,
    /// Makes resource attributes labels of every series.
    pub resource_to_telemetry_conversion: ResourceToTelemetry,
    /// No `otel_scope_*` labels.
    pub without_scope_info: bool,
    /// Other programs' names for what is known of Redis, so that their dashboards and rules work.
    pub presets: Vec<Preset>,
    /// Settings of single presets.
    pub preset_settings: PresetSettings,
    /// The most series to hold, a histogram counted as one; further ones are dropped and counted.
    pub max_series: usize,
}

impl Default for PrometheusConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            path: "/metrics".to_owned(),
            tls: Optional(None),
            auth: Optional(None),
            response_headers: Headers::default(),
            namespace: String::new(),
            const_labels: BTreeMap::new(),
            send_timestamps: false,
            metric_expiration: Duration::from_secs(300),
            enable_open_metrics: false,
            translation_strategy: None,
            add_metric_suffixes: None,
            resource_to_telemetry_conversion: ResourceToTelemetry::default(),
            without_scope_info: false,
            presets: Vec::new(),
            preset_settings: PresetSettings::default(),
            max_series: 200_000,
        }
    }
}

impl PrometheusConfig {
    /// How metrics are translated.
    pub(super) fn translation(&self) -> Settings {
        let strategy = strategy(self.translation_strategy, self.add_metric_suffixes);
        Settings {
            namer: Namer::new(strategy, &self.namespace),
            external_labels: self.const_labels.clone().into_iter().collect(),
            scope_labels: !self.without_scope_info,
            target_info: true,
            resource_labels: self.resource_to_telemetry_conversion.labels(),
            metadata: false,
            presets: presets(&self.presets, &self.preset_settings),
        }
    }

    /// The settings that what is held depends on, the others as by default.
    pub(super) fn of_the_store(&self) -> Self {
        let door = Self::default();
        Self {
            endpoint: door.endpoint,
            path: door.path,
            tls: door.tls,
            auth: door.auth,
            response_headers: door.response_headers,
            send_timestamps: door.send_timestamps,
            enable_open_metrics: door.enable_open_metrics,
            ..self.clone()
        }
    }

    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        self.response_headers.map()
    }
}

impl ComponentConfig for PrometheusConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, message: String| found.push((path.to_owned(), message));
        let port = self.endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if self.endpoint.is_empty() {
            at("endpoint", "requires a non-empty \"endpoint\": host:port to listen on".to_owned());
        } else if port.is_none() {
            let text = format!("{:?} is not an address to listen on: host:port is expected", self.endpoint);
            at("endpoint", text);
        }
        if !self.path.starts_with('/') {
            at("path", "path must start with /".to_owned());
        }
        if let Some(tls) = self.tls.as_ref() {
            tls.problems().into_iter().for_each(|(key, text)| at(&format!("tls::{key}"), text));
        }
        if let Err(error) = self.header_map() {
            at("response_headers", error);
        }
        preset_problems(&self.presets).into_iter().for_each(|(key, text)| at(&key, text));
        if self.metric_expiration.is_zero() {
            at("metric_expiration", "must be more than 0s".to_owned());
        }
        if self.max_series == 0 {
            at("max_series", "must be at least 1".to_owned());
        }
        found
    }
}
