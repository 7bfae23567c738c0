//! The section of exporter `otlp_grpc`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{
    AuthSettings, BreakerSettings, ComponentConfig, DeadLetterSettings, DeliverySettings, Optional,
    QueueSettings, RetrySettings,
};
use streamgauge_transport::{
    Compression, Endpoint, HeaderMap, HeaderName, HeaderValue, Headers, KeepaliveClient, Middleware,
    TlsClient,
};

/// Settings of exporter `otlp_grpc`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpGrpcConfig {
    /// The server: `host:port`, `http(s)://host:port`, `dns:///host:port` or `unix:///path`. Needed.
    /// `https://` switches TLS on whatever `tls.insecure` says; `http://` does not switch it off.
    pub endpoint: String,
    /// TLS; on unless `insecure` is set.
    pub tls: TlsClient,
    /// How requests are packed: `gzip`, `zstd`, `snappy` or `none`.
    pub compression: Compression,
    /// As whom requests are sent; without it as nobody. Needs TLS: credentials are not sent in plain text.
    pub auth: Optional<AuthSettings>,
    /// Headers of every request: a map, or a list of `name` and `value`. The values are never shown.
    pub headers: Headers,
    /// The `user-agent` of requests, in place of this collector's own.
    pub user_agent: String,
    /// The longest that one attempt may take; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Pings on a silent connection; off unless it is named.
    pub keepalive: Optional<KeepaliveClient>,
    /// The `:authority` of requests, in place of the endpoint's host and port.
    pub authority: Option<String>,
    /// `round_robin` (also without it): connections go to the addresses of the endpoint's name in turn; `pick_first`: one
    /// connection, to the first address that answers.
    pub balancer_name: Option<Balancer>,
    /// The most connections; a request takes the one with the fewest under way. 0 means one for each CPU, at most 8.
    pub connections: usize,
    /// A request that finds no server waits for one within its `timeout`, in place of failing at once.
    pub wait_for_ready: bool,
    /// Must be empty: no extension here is a middleware.
    pub middlewares: Vec<Middleware>,
    /// Must be absent, as `middlewares`.
    pub dialer: Option<Middleware>,
    /// Accepted for files of the Collector, without effect: the HTTP/2 stack sizes its buffers itself.
    pub read_buffer_size: u64,
    /// Accepted for files of the Collector, without effect: the HTTP/2 stack sizes its buffers itself.
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

/// `balancer_name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Balancer {
    /// One connection, to the first address.
    PickFirst,
    /// The addresses in turn; the Collector's default.
    RoundRobin,
}

/// A server's connections are its memory: nobody should need more without asking for it.
const MOST_BY_DEFAULT: usize = 8;

impl Default for OtlpGrpcConfig {
    fn default() -> Self {
        let delivery = DeliverySettings::default();
        Self {
            endpoint: String::new(),
            tls: TlsClient::default(),
            compression: Compression::Gzip,
            auth: Optional(None),
            headers: Headers::default(),
            user_agent: String::new(),
            timeout: delivery.timeout,
            keepalive: Optional(None),
            authority: None,
            balancer_name: None,
            connections: 0,
            wait_for_ready: false,
            middlewares: Vec::new(),
            dialer: None,
            read_buffer_size: 0,
            write_buffer_size: 512 << 10,
            sending_queue: delivery.queue,
            retry_on_failure: delivery.retry,
            circuit_breaker: delivery.breaker,
            dead_letter: delivery.dead_letter,
        }
    }
}

impl OtlpGrpcConfig {
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

    /// The most connections of the client.
    pub(super) fn most_connections(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(MOST_BY_DEFAULT));
        match (self.balancer_name, self.connections) {
            (Some(Balancer::PickFirst), _) => 1,
            (_, 0) => cpus(),
            (_, connections) => connections,
        }
    }

    /// The configured headers, ready to send.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        let mut headers = self.headers.map()?;
        if !self.user_agent.is_empty() {
            let value = HeaderValue::try_from(&self.user_agent);
            let value = value.map_err(|_| "user_agent has characters that a header cannot have")?;
            headers.insert(HeaderName::from_static("user-agent"), value);
        }
        Ok(headers)
    }
}

impl ComponentConfig for OtlpGrpcConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, message: String| found.push((path.to_owned(), message));
        if self.endpoint.trim().is_empty() {
            at("endpoint", "requires a non-empty \"endpoint\"".to_owned());
        } else {
            match Endpoint::parse(&self.endpoint) {
                Err(error) => at("endpoint", error.to_string()),
                Ok(endpoint) if self.auth.as_ref().is_some() && self.tls.insecure && !endpoint.is_https() => {
                    let text = "the credentials require transport level security: remove tls.insecure";
                    at("auth", text.to_owned());
                }
                Ok(_) => {}
            }
        }
        if let Some(text) = Middleware::problem(self.middlewares.iter().chain(&self.dialer)) {
            at(if self.middlewares.is_empty() { "dialer" } else { "middlewares" }, text);
        }
        if let Err(error) = self.compression.grpc() {
            at("compression", error);
        }
        if let Err(error) = self.header_map() {
            at("headers", error);
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
