//! The section of exporter `otlp_http`.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{
    AuthSettings, BreakerSettings, ComponentConfig, DeadLetterSettings, DeliverySettings, Optional,
    QueueSettings, RetrySettings, Signal,
};
use streamgauge_transport::{
    ClientOptions, Compression, CookieSettings, Cookies, Endpoint, HTTP_ALPN, HeaderMap, Headers,
    KeepaliveClient, KeepaliveHttpClient, Middleware, Proxy, TlsClient, http_path,
};

/// Settings of exporter `otlp_http`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpHttpConfig {
    /// Base URL; `/v1/traces`, `/v1/metrics` or `/v1/logs` is added to its path.
    pub endpoint: Option<String>,
    /// URL for traces, used as it is.
    pub traces_endpoint: Option<String>,
    /// URL for metrics, used as it is.
    pub metrics_endpoint: Option<String>,
    /// URL for logs, used as it is.
    pub logs_endpoint: Option<String>,
    /// Must be absent: profiles are no signal of this collector.
    pub profiles_endpoint: Option<String>,
    /// The proxy before the server: `http://` or `https://`, with `user:password@` where it asks for them. Without it the
    /// one that `HTTP_PROXY` or `HTTPS_PROXY` names, unless `NO_PROXY` exempts the server.
    pub proxy_url: Option<String>,
    /// Encoding of requests: `proto`, which goes out as it came, or `json`, which is written anew.
    pub encoding: Encoding,
    /// How requests are packed: `gzip`, `zstd`, `snappy`, `x-snappy-framed`, `lz4`, `zlib`, `deflate` or `none`.
    pub compression: Compression,
    /// How hard requests are packed.
    pub compression_params: CompressionParams,
    /// As whom requests are sent; without it as nobody.
    pub auth: Optional<AuthSettings>,
    /// Headers of every request: a map, or a list of `name` and `value`. The values are never shown.
    pub headers: Headers,
    /// Shows a server the cookies that it has set, for as long as the collector runs. Off unless it is named.
    pub cookies: Optional<CookieSettings>,
    /// Must be empty: no extension here is a middleware.
    pub middlewares: Vec<Middleware>,
    /// The longest that one attempt may take; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// TLS for `https://` endpoints.
    pub tls: TlsClient,
    /// A connection that was unused for longer is not used again; `0s` is no bound.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub idle_conn_timeout: Duration,
    /// Connections kept for use again; 0 is no bound.
    pub max_idle_conns: usize,
    /// The same for one host, of which there is one; the smaller of both counts, 0 is no bound.
    pub max_idle_conns_per_host: usize,
    /// The most HTTP/1.1 connections at the same time; requests beyond wait. 0 is no bound.
    pub max_conns_per_host: usize,
    /// Opens a connection for every request.
    pub disable_keep_alives: bool,
    /// The newer place of the four settings before.
    pub keepalive: KeepaliveHttpClient,
    /// Offers HTTP/2 in the TLS handshake.
    pub force_attempt_http2: bool,
    /// Silence after which an HTTP/2 server is pinged; `0s` is never.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub http2_read_idle_timeout: Duration,
    /// How long the answer to a ping may take before the connection is closed; `0s` means 15 s.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub http2_ping_timeout: Duration,
    /// Accepted for files of the Collector, without effect: the HTTP stack sizes its buffers itself.
    pub read_buffer_size: u64,
    /// Accepted for files of the Collector, without effect: the HTTP stack sizes its buffers itself.
    pub write_buffer_size: u64,
    /// What waits before the exporter.
    pub sending_queue: QueueSettings,
    /// What happens when the server does not take a request now.
    pub retry_on_failure: RetrySettings,
    /// Spares a peer that is down.
    pub circuit_breaker: BreakerSettings,
    /// Where data goes that did not get there for good. On when it is named.
    pub dead_letter: Optional<DeadLetterSettings>,
}

/// `encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Protobuf.
    #[default]
    Proto,
    /// OTLP/JSON.
    Json,
}

impl Encoding {
    pub(super) fn of_the_wire(self) -> streamgauge_transport::Encoding {
        match self {
            Encoding::Proto => streamgauge_transport::Encoding::Proto,
            Encoding::Json => streamgauge_transport::Encoding::Json,
        }
    }
}

/// `compression_params`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompressionParams {
    /// Level as the packing counts it: 1 to 9 for gzip and zlib, 1 to 22 for zstd. Without it, or with 0, the fast one.
    pub level: i32,
}

impl Default for OtlpHttpConfig {
    fn default() -> Self {
        let delivery = DeliverySettings::default();
        Self {
            endpoint: None,
            traces_endpoint: None,
            metrics_endpoint: None,
            logs_endpoint: None,
            profiles_endpoint: None,
            proxy_url: None,
            encoding: Encoding::Proto,
            compression: Compression::Gzip,
            compression_params: CompressionParams::default(),
            auth: Optional(None),
            headers: Headers::default(),
            cookies: Optional(None),
            middlewares: Vec::new(),
            timeout: Duration::from_secs(30),
            tls: TlsClient::default(),
            idle_conn_timeout: Duration::from_secs(90),
            max_idle_conns: 100,
            max_idle_conns_per_host: 0,
            max_conns_per_host: 0,
            disable_keep_alives: false,
            keepalive: KeepaliveHttpClient::default(),
            force_attempt_http2: true,
            http2_read_idle_timeout: Duration::ZERO,
            http2_ping_timeout: Duration::ZERO,
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
            sending_queue: delivery.queue,
            retry_on_failure: delivery.retry,
            circuit_breaker: delivery.breaker,
            dead_letter: delivery.dead_letter,
        }
    }
}

impl OtlpHttpConfig {
    /// What stands before the exporter.
    pub fn delivery(&self) -> DeliverySettings {
        DeliverySettings {
            timeout: self.timeout,
            retry: self.retry_on_failure.clone(),
            queue: self.sending_queue.clone(),
            breaker: self.circuit_breaker.clone(),
            dead_letter: self.dead_letter.clone(),
            fallback: None,
        }
    }

    /// How connections are made and kept, but for TLS and a proxy.
    pub(super) fn client_options(&self) -> ClientOptions {
        let bound = |number: usize| if number == 0 { usize::MAX } else { number };
        let newer = &self.keepalive;
        let kept = bound(newer.max_idle_conns.unwrap_or(self.max_idle_conns))
            .min(bound(newer.max_idle_conns_per_host.unwrap_or(self.max_idle_conns_per_host)));
        let idle = newer.idle_conn_timeout.unwrap_or(self.idle_conn_timeout);
        let timeout = Some(self.http2_ping_timeout).filter(|time| !time.is_zero());
        let keepalive = KeepaliveClient {
            time: self.http2_read_idle_timeout,
            timeout: timeout.unwrap_or(Duration::from_secs(15)),
            permit_without_stream: true,
        };
        ClientOptions {
            server_name: self.tls.server_name_override.clone(),
            idle_timeout: if idle.is_zero() { Duration::MAX } else { idle },
            max_idle: if self.keeps_connections() { kept } else { 0 },
            cookies: self.cookies.as_ref().map(|_| Arc::new(Cookies::default())),
            max_connections: Some(self.max_conns_per_host).filter(|most| *most > 0),
            keepalive: (!self.http2_read_idle_timeout.is_zero()).then_some(keepalive),
            ..ClientOptions::default()
        }
    }

    /// The protocols to offer in the TLS handshake.
    pub(super) fn alpn(&self) -> &'static [&'static str] {
        if self.force_attempt_http2 && self.keeps_connections() { &HTTP_ALPN } else { &HTTP_ALPN[1..] }
    }

    fn keeps_connections(&self) -> bool {
        self.keepalive.enabled && !self.disable_keep_alives
    }

    /// The configured headers, ready to send.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        self.headers.map()
    }

    /// Server and path for a signal; `None` when no endpoint serves it.
    pub(super) fn target(&self, signal: Signal) -> Result<Option<(Endpoint, String)>, String> {
        let (_, own) = self.own_endpoint(signal);
        if let Some(url) = given(own) {
            let endpoint = url_endpoint(url)?;
            let path = endpoint.path().to_owned();
            return Ok(Some((endpoint, path)));
        }
        let Some(url) = given(&self.endpoint) else { return Ok(None) };
        let endpoint = url_endpoint(url)?;
        let path = format!("{}{}", endpoint.path().trim_end_matches('/'), http_path(signal));
        Ok(Some((endpoint, path)))
    }

    fn own_endpoint(&self, signal: Signal) -> (&'static str, &Option<String>) {
        match signal {
            Signal::Traces => ("traces_endpoint", &self.traces_endpoint),
            Signal::Metrics => ("metrics_endpoint", &self.metrics_endpoint),
            Signal::Logs => ("logs_endpoint", &self.logs_endpoint),
        }
    }
}

/// An empty endpoint is as good as none, as in the Collector.
fn given(endpoint: &Option<String>) -> Option<&str> {
    endpoint.as_deref().map(str::trim).filter(|url| !url.is_empty())
}

fn url_endpoint(url: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::parse(url).map_err(|error| error.to_string())?;
    if endpoint.is_http() || endpoint.is_https() {
        return Ok(endpoint);
    }
    Err("endpoint must be a valid URL: http:// or https:// is expected before the host".to_owned())
}

impl ComponentConfig for OtlpHttpConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, message: String| found.push((path.to_owned(), message));
        let own = Signal::ALL.map(|signal| self.own_endpoint(signal));
        let all = [("endpoint", &self.endpoint)].into_iter().chain(own);
        let urls: Vec<_> = all.filter_map(|(key, url)| Some((key, given(url)?))).collect();
        if urls.is_empty() {
            at("", "at least one endpoint must be specified".to_owned());
        }
        for (key, url) in urls {
            if let Err(error) = url_endpoint(url) {
                at(key, error);
            }
        }
        if let Err(error) = self.header_map() {
            at("headers", error);
        }
        if let Some(text) = Middleware::problem(&self.middlewares) {
            at("middlewares", text);
        }
        if let Some(text) = self.compression.level_problem(self.compression_params.level) {
            at("compression_params::level", text);
        }
        if let Some(text) = self.proxy_url.as_deref().and_then(Proxy::problem) {
            at("proxy_url", text);
        }
        if given(&self.profiles_endpoint).is_some() {
            at("profiles_endpoint", "profiles are no signal of this collector: remove it".to_owned());
        }
        self.tls.problems().into_iter().for_each(|(key, text)| at(&format!("tls::{key}"), text));
        self.sending_queue
            .problems()
            .into_iter()
            .for_each(|(k, text)| at(&format!("sending_queue::{k}"), text));
        self.retry_on_failure
            .problems()
            .into_iter()
            .for_each(|(k, text)| at(&format!("retry_on_failure::{k}"), text));
        self.circuit_breaker
            .problems()
            .into_iter()
            .for_each(|(k, text)| at(&format!("circuit_breaker::{k}"), text));
        if let Some(dead_letter) = self.dead_letter.as_ref() {
            let problems = dead_letter.problems().into_iter();
            problems.for_each(|(key, text)| at(&format!("dead_letter::{key}"), text));
        }
        found
    }
}
