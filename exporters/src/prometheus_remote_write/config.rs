//! The section of exporter `prometheus_remote_write`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{
    AuthSettings, BreakerSettings, ComponentConfig, DeadLetterSettings, DeliverySettings, Optional,
    QueueSettings, RetrySettings, WhenFull,
};
use streamgauge_prometheus::{Namer, ResourceLabels, Settings};
use streamgauge_transport::{Endpoint, HeaderMap, Headers, Proxy, TlsClient};

use crate::naming::{
    Preset, PresetSettings, ResourceToTelemetry, TranslationStrategy, preset_problems, presets, strategy,
};

/// Settings of exporter `prometheus_remote_write`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteWriteConfig {
    /// The receiver and how to reach it.
    pub http: HttpSettings,
    /// The older place of `http.endpoint`.
    pub endpoint: Option<String>,
    /// The older place of `http.headers`.
    pub headers: Headers,
    /// The older place of `http.tls`.
    pub tls: Option<TlsClient>,
    /// The older place of `http.auth`.
    pub auth: Option<AuthSettings>,
    /// The older place of `http.timeout`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// Put before every metric's name, with `_`.
    pub namespace: String,
    /// Labels for every series, where nothing else has set them.
    pub external_labels: BTreeMap<String, String>,
    /// How names are made; without it `UnderscoreEscapingWithSuffixes`.
    pub translation_strategy: Option<TranslationStrategy>,
    /// The older way to switch suffixes off.
    pub add_metric_suffixes: Option<bool>,
    /// Other programs' names for what is known of Redis, so that their dashboards and rules work.
    pub presets: Vec<Preset>,
    /// Settings of single presets.
    pub preset_settings: PresetSettings,
    /// Sends type, help and unit of each metric too.
    pub send_metadata: bool,
    /// The series `target_info`.
    pub target_info: TargetInfo,
    /// No `otel_scope_*` labels.
    pub disable_scope_info: bool,
    /// Resource attributes that become labels of every series, by pattern: `*` is any text, `?` any character.
    pub resource_constant_labels: Patterns,
    /// The older way to make all resource attributes labels.
    pub resource_to_telemetry_conversion: ResourceToTelemetry,
    /// What waits before the exporter.
    pub remote_write_queue: RemoteWriteQueue,
    /// What happens when the receiver does not take a request now.
    pub retry_on_failure: RetrySettings,
    /// Spares a peer that is down.
    pub circuit_breaker: BreakerSettings,
    /// Where data goes that did not get there for good. On when it is named.
    pub dead_letter: Optional<DeadLetterSettings>,
    /// The most bytes of a message before compression; a single larger series goes alone.
    pub max_batch_size_bytes: usize,
    /// Messages of one request that are under way at the same time; no two hold samples of one series.
    pub max_batch_request_parallelism: Option<usize>,
    /// The message's format; only `prometheus.WriteRequest` is there yet.
    pub protobuf_message: Option<String>,
    /// Explicit histograms as native ones with custom buckets: needs remote write 2.0, not there yet.
    pub convert_explicit_histograms_to_nhcb: bool,
    /// Beside native histograms with custom buckets, the classic ones too: those are always sent.
    pub keep_classic_histograms: bool,
    /// Accepted for files of the Collector, without effect: one message never mixes tenants, since headers are fixed.
    pub include_metadata_keys: Vec<String>,
    /// Accepted for files of the Collector, without effect: `remote_write_queue.storage` keeps what waits on the disk.
    pub wal: Optional<Wal>,
    /// Samples older than this are dropped, because the receiver would refuse them; `0s` is any age.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_sample_age: Duration,
    /// Samples further in the future than this are dropped: one of them makes Prometheus refuse all that follow.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_future: Duration,
    /// Series whose last sample is remembered, so that nothing older is sent. Beyond it the series sent longest ago
    /// are forgotten.
    pub max_series: usize,
    /// Accepted for files of the Collector, without effect: the HTTP stack sizes its buffers itself.
    pub read_buffer_size: u64,
    /// Accepted for files of the Collector, without effect: the HTTP stack sizes its buffers itself.
    pub write_buffer_size: u64,
}

/// `http`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// The receiver's whole URL, such as `https://host:9090/api/v1/write`.
    pub endpoint: Option<String>,
    /// Headers of every request; those of remote write itself cannot be overridden. The values are never shown.
    pub headers: Headers,
    /// The proxy before the receiver: `http://` or `https://`, with `user:password@` where it asks for them. Without it the
    /// one that `HTTP_PROXY` or `HTTPS_PROXY` names, unless `NO_PROXY` exempts the receiver.
    pub proxy_url: Option<String>,
    /// TLS for an `https://` endpoint.
    pub tls: Option<TlsClient>,
    /// As whom messages are sent; without it as nobody.
    pub auth: Option<AuthSettings>,
    /// The longest that one message may take; `0s` is for ever. 5 s without it.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
    /// Accepted for files of the Collector, without effect: the HTTP stack sizes its buffers itself.
    pub read_buffer_size: u64,
    /// Accepted for files of the Collector, without effect: the HTTP stack sizes its buffers itself.
    pub write_buffer_size: u64,
}

/// `target_info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetInfo {
    /// Whether a resource's attributes are sent as a series of their own.
    pub enabled: bool,
}

impl Default for TargetInfo {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// `resource_constant_labels`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patterns {
    /// Attributes that become labels; none given and some excluded means all others.
    pub included: Vec<String>,
    /// Attributes that do not, though included.
    pub excluded: Vec<String>,
}

/// `remote_write_queue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteWriteQueue {
    /// Whether there is a queue. Without one a request is sent while its sender waits.
    pub enabled: bool,
    /// How many requests may wait.
    pub queue_size: usize,
    /// Messages under way at the same time, unless `max_batch_request_parallelism` says it.
    pub num_consumers: usize,
    /// What a full queue does. Without it `refuse`.
    pub when_full: Option<WhenFull>,
    /// Id of a storage extension that makes the queue survive a restart. What waits is then tried for as long as it takes,
    /// in order, whatever `max_elapsed_time` says.
    pub storage: Option<String>,
}

impl Default for RemoteWriteQueue {
    fn default() -> Self {
        Self { enabled: true, queue_size: 10_000, num_consumers: 5, when_full: None, storage: None }
    }
}

/// `wal`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wal {
    /// Without effect.
    pub directory: String,
    /// Without effect.
    pub buffer_size: usize,
    /// Without effect.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub truncate_frequency: Duration,
    /// Without effect.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub lag_record_frequency: Duration,
}

impl Default for Wal {
    fn default() -> Self {
        Self {
            directory: String::new(),
            buffer_size: 300,
            truncate_frequency: Duration::from_secs(60),
            lag_record_frequency: Duration::from_secs(15),
        }
    }
}

impl Default for RemoteWriteConfig {
    fn default() -> Self {
        Self {
            http: HttpSettings::default(),
            endpoint: None,
            headers: Headers::default(),
            tls: None,
            auth: None,
            timeout: None,
            namespace: String::new(),
            external_labels: BTreeMap::new(),
            translation_strategy: None,
            add_metric_suffixes: None,
            presets: Vec::new(),
            preset_settings: PresetSettings::default(),
            send_metadata: false,
            target_info: TargetInfo::default(),
            disable_scope_info: false,
            resource_constant_labels: Patterns::default(),
            resource_to_telemetry_conversion: ResourceToTelemetry::default(),
            remote_write_queue: RemoteWriteQueue::default(),
            retry_on_failure: RetrySettings {
                initial_interval: Duration::from_millis(50),
                ..RetrySettings::default()
            },
            circuit_breaker: BreakerSettings {
                open_for: Duration::from_secs(1),
                ..BreakerSettings::default()
            },
            dead_letter: Optional(None),
            max_batch_size_bytes: 3_000_000,
            max_batch_request_parallelism: None,
            protobuf_message: None,
            convert_explicit_histograms_to_nhcb: false,
            keep_classic_histograms: false,
            include_metadata_keys: Vec::new(),
            wal: Optional(None),
            max_sample_age: Duration::ZERO,
            max_future: Duration::from_secs(600),
            max_series: 1_000_000,
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
        }
    }
}

impl RemoteWriteConfig {
    /// What stands before the exporter. One request at a time keeps samples in order; the timeout is each message's own.
    pub fn delivery(&self) -> DeliverySettings {
        let queue = &self.remote_write_queue;
        let mut retry = self.retry_on_failure.clone();
        if queue.enabled && queue.storage.is_some() {
            // Given up, a request would come again after those behind it, and its samples too late.
            retry.max_elapsed_time = Duration::ZERO;
        }
        DeliverySettings {
            timeout: Duration::ZERO,
            retry,
            queue: QueueSettings {
                enabled: queue.enabled,
                queue_size: queue.queue_size,
                num_consumers: 1,
                when_full: queue.when_full,
                storage: queue.storage.clone(),
                ..QueueSettings::default()
            },
            breaker: self.circuit_breaker.clone(),
            dead_letter: self.dead_letter.clone(),
            fallback: None,
        }
    }

    /// Messages under way at the same time.
    pub(super) fn parallelism(&self) -> usize {
        self.max_batch_request_parallelism.unwrap_or(self.remote_write_queue.num_consumers).max(1)
    }

    /// The longest that one message may take.
    pub(super) fn message_timeout(&self) -> Option<Duration> {
        let timeout = self.http.timeout.or(self.timeout).unwrap_or(Duration::from_secs(5));
        Some(timeout).filter(|timeout| !timeout.is_zero())
    }

    pub(super) fn tls_settings(&self) -> TlsClient {
        self.http.tls.clone().or_else(|| self.tls.clone()).unwrap_or_default()
    }

    pub(super) fn auth_settings(&self) -> Option<AuthSettings> {
        self.http.auth.clone().or_else(|| self.auth.clone())
    }

    pub(super) fn url(&self) -> Result<Endpoint, String> {
        let given = |url: &Option<String>| url.as_deref().map(str::trim).map(str::to_owned);
        let url = given(&self.http.endpoint).or_else(|| given(&self.endpoint)).unwrap_or_default();
        if url.is_empty() {
            return Err("requires a non-empty \"endpoint\": the receiver's URL, such as \
                        http://localhost:9090/api/v1/write"
                .to_owned());
        }
        let endpoint = Endpoint::parse(&url).map_err(|error| error.to_string())?;
        if endpoint.is_http() || endpoint.is_https() {
            return Ok(endpoint);
        }
        Err("endpoint must be a valid URL: http:// or https:// is expected before the host".to_owned())
    }

    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        if self.headers.is_empty() { self.http.headers.map() } else { self.headers.map() }
    }

    /// How metrics are translated.
    pub(super) fn translation(&self) -> Settings {
        let Patterns { included, excluded } = self.resource_constant_labels.clone();
        let mut resource_labels = ResourceLabels { included, excluded };
        if resource_labels == ResourceLabels::default() {
            resource_labels = self.resource_to_telemetry_conversion.labels();
        }
        let strategy = strategy(self.translation_strategy, self.add_metric_suffixes);
        Settings {
            namer: Namer::new(strategy, &self.namespace),
            external_labels: self.external_labels.clone().into_iter().collect(),
            scope_labels: !self.disable_scope_info,
            target_info: self.target_info.enabled,
            resource_labels,
            metadata: self.send_metadata,
            presets: presets(&self.presets, &self.preset_settings),
        }
    }
}

impl ComponentConfig for RemoteWriteConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, message: String| found.push((path.to_owned(), message));
        let http = &self.http;
        for (key, twice) in [
            ("endpoint", self.endpoint.is_some() && http.endpoint.is_some()),
            ("headers", !self.headers.is_empty() && !http.headers.is_empty()),
            ("tls", self.tls.is_some() && http.tls.is_some()),
            ("auth", self.auth.is_some() && http.auth.is_some()),
            ("timeout", self.timeout.is_some() && http.timeout.is_some()),
        ] {
            if twice {
                at(key, format!("is set twice: keep http::{key}"));
            }
        }
        let prefix = if self.endpoint.is_some() { "" } else { "http::" };
        if let Err(error) = self.url() {
            at(&format!("{prefix}endpoint"), error);
        }
        if let Err(error) = self.header_map() {
            at(if self.headers.is_empty() { "http::headers" } else { "headers" }, error);
        }
        if let Some(text) = http.proxy_url.as_deref().and_then(Proxy::problem) {
            at("http::proxy_url", text);
        }
        let prefix = if self.tls.is_some() { "tls" } else { "http::tls" };
        self.tls_settings()
            .problems()
            .into_iter()
            .for_each(|(key, text)| at(&format!("{prefix}::{key}"), text));
        if self.remote_write_queue.enabled && self.remote_write_queue.queue_size == 0 {
            at("remote_write_queue::queue_size", "`queue_size` must be positive".to_owned());
        }
        self.retry_on_failure
            .problems()
            .into_iter()
            .for_each(|(key, text)| at(&format!("retry_on_failure::{key}"), text));
        self.circuit_breaker
            .problems()
            .into_iter()
            .for_each(|(key, text)| at(&format!("circuit_breaker::{key}"), text));
        if let Some(dead_letter) = self.dead_letter.as_ref() {
            let problems = dead_letter.problems().into_iter();
            problems.for_each(|(key, text)| at(&format!("dead_letter::{key}"), text));
        }
        preset_problems(&self.presets).into_iter().for_each(|(key, text)| at(&key, text));
        if self.max_batch_size_bytes == 0 {
            at("max_batch_size_bytes", "max_batch_byte_size must be greater than 0".to_owned());
        }
        if self.max_batch_request_parallelism == Some(0) {
            at("max_batch_request_parallelism", "must be positive".to_owned());
        }
        if self.max_series < 2 {
            at("max_series", "must be at least 2".to_owned());
        }
        if self.protobuf_message.as_deref().is_some_and(|name| name != "prometheus.WriteRequest") {
            at("protobuf_message", "only prometheus.WriteRequest (remote write 1.0) is supported".to_owned());
        }
        if self.convert_explicit_histograms_to_nhcb {
            let text = "needs remote write 2.0, which is not supported yet: remove it";
            at("convert_explicit_histograms_to_nhcb", text.to_owned());
        }
        found
    }
}
