//! The section of exporter `redis_stream`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{
    BreakerSettings, ComponentConfig, ComponentError, DeadLetterSettings, DeliverySettings, Fallback,
    FallbackSettings, Host, Optional, QueueSettings, RetrySettings,
};
use streamgauge_config::Secret;
use streamgauge_streams::encoding::{BODY_KEY, Encoding, Format};
use streamgauge_streams::{Keys, Sentinel, Topology, Transport};
use streamgauge_transport::TlsClient;

use super::name::{Namer, Template};
use super::plan::{Bound, Writing};

/// Writes telemetry to Redis streams.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisStreamConfig {
    /// The server: `host:port`, or a URL `redis://`, `rediss://` (TLS) or `unix://`, which may hold user, password and
    /// database. Must be given.
    pub endpoint: String,
    /// `tcp`, or `unix` when the endpoint is the path of a socket. What the endpoint's URL says when it is not given.
    pub transport: Option<Transport>,
    /// ACL user; without it the default user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// File with the user's password. It is read again at every connect, so that a new password needs no restart.
    pub password_file: Option<PathBuf>,
    /// TLS. Without the section only a `rediss://` endpoint speaks TLS.
    pub tls: Option<TlsClient>,
    /// The database with the streams. What the endpoint's URL says when it is not given, else 0.
    pub db: Option<u32>,
    /// `auto` finds the server that has a stream: the master behind a sentinel or of a replica, the node of a cluster.
    /// `single` writes to the one at the endpoint.
    pub topology: Topology,
    /// Where the endpoint is a sentinel: how to log in there, and which master is meant.
    pub sentinel: Option<Sentinel>,
    /// The stream's key, with places for data: `{signal}`, and `{attribute}` or `{attribute:-otherwise}` for an attribute
    /// of the record or its resource. `{{` and `}}` are the signs themselves. Must
    /// be given.
    pub stream: String,
    /// The most streams that data may name, not counting shards; what would make more goes to one whose places say
    /// `overflow`.
    pub max_streams: usize,
    /// Spreads entries over so many streams, `KEY:{0}` and on: in a cluster over its nodes.
    pub shards: u32,
    /// The attribute whose value decides on the shard, so that its entries keep their order. Without it, and without a
    /// value, entries go round.
    pub shard_by: Option<String>,
    /// What an entry holds: `otlp_proto`, `otlp_json`; of logs also `fields`, `json`, `text`, `opsconductor`.
    pub encoding: Encoding,
    /// The field with the body, or with the OTLP request.
    pub body_key: String,
    /// With OTLP encodings: a request above it, in bytes, becomes several entries.
    pub max_entry_bytes: usize,
    /// Entries that a stream keeps. Without it, and without `max_age`, streams are not trimmed.
    pub max_len: Option<u64>,
    /// How old an entry may be that a stream keeps.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub max_age: Option<Duration>,
    /// How the bound is kept: `approximate` (whole nodes of about 100 entries; cheapest), `exact`, or `safe`, which trims
    /// nothing that a consumer group has not acknowledged, whatever the bound.
    pub trim: Trim,
    /// Adds an entry once that had to be sent twice, where the server can (Redis 8.6). Elsewhere a lost answer may make a
    /// duplicate.
    pub idempotent: bool,
    /// The most connections, over all nodes.
    pub max_connections: usize,
    /// The longest that one attempt may take; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Whether entries are written at all. Off, all data goes to the fall-back.
    pub enabled: bool,
    /// The part of all items that is written, in percent; the rest goes to the fall-back.
    pub percentage: f64,
    /// Another exporter, which takes the rest, and what Redis does not take. On when it is named.
    pub fallback: Optional<FallbackSettings>,
    /// What waits before the exporter.
    pub sending_queue: QueueSettings,
    /// What happens when the server does not take entries now.
    pub retry_on_failure: RetrySettings,
    /// Spares a server that is down.
    pub circuit_breaker: BreakerSettings,
    /// Where data goes that did not get there for good. On when it is named.
    pub dead_letter: Optional<DeadLetterSettings>,
}

/// `trim`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trim {
    /// By whole nodes of the stream.
    #[default]
    Approximate,
    /// To the entry.
    Exact,
    /// By whole nodes, and never past what a group has not acknowledged.
    Safe,
}

impl Default for RedisStreamConfig {
    fn default() -> Self {
        let delivery = DeliverySettings::default();
        Self {
            endpoint: String::new(),
            transport: None,
            username: None,
            password: None,
            password_file: None,
            tls: None,
            db: None,
            topology: Topology::default(),
            sentinel: None,
            stream: String::new(),
            max_streams: 1000,
            shards: 1,
            shard_by: None,
            encoding: Encoding::OtlpProto,
            body_key: BODY_KEY.to_owned(),
            max_entry_bytes: 1 << 20,
            max_len: None,
            max_age: None,
            trim: Trim::default(),
            idempotent: true,
            max_connections: 10,
            timeout: Duration::from_secs(5),
            enabled: true,
            percentage: 100.0,
            fallback: Optional(None),
            sending_queue: delivery.queue,
            retry_on_failure: delivery.retry,
            circuit_breaker: delivery.breaker,
            dead_letter: delivery.dead_letter,
        }
    }
}

impl RedisStreamConfig {
    /// What stands before the exporter.
    pub fn delivery(&self) -> DeliverySettings {
        DeliverySettings {
            timeout: self.timeout,
            retry: self.retry_on_failure.clone(),
            queue: self.sending_queue.clone(),
            breaker: self.circuit_breaker.clone(),
            dead_letter: self.dead_letter.clone(),
            fallback: self.fallback.as_ref().map(|settings| Fallback {
                settings: settings.clone(),
                share: if self.enabled { 1.0 - self.percentage / 100.0 } else { 1.0 },
            }),
        }
    }

    /// Which server is meant.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            endpoint: &self.endpoint,
            transport: self.transport,
            username: self.username.as_deref(),
            password: self.password.as_ref(),
            tls: self.tls.as_ref(),
            db: self.db,
            password_file: self.password_file.as_deref(),
            sentinel: self.sentinel.as_ref(),
            topology: self.topology,
        }
    }

    /// How entries are written.
    pub(super) fn writing(&self, host: &Host) -> Result<Writing, ComponentError> {
        let template: Template =
            self.stream.parse().map_err(|error| ComponentError(format!("{}: stream {error}", host.id())))?;
        // Another number in each process.
        let number = (host.random().next() * f64::from(u32::MAX)) as u32;
        Ok(Writing {
            format: Format { encoding: self.encoding, body_key: self.body_key.clone() },
            namer: Namer::new(template, u64::from(self.shards), self.shard_by.clone(), self.max_streams),
            bound: self.bound(),
            exact: self.trim == Trim::Exact,
            safe: self.trim == Trim::Safe,
            producer: self.idempotent.then(|| format!("{}-{number:08x}", host.id())),
            max_entry_bytes: self.max_entry_bytes,
        })
    }

    fn bound(&self) -> Bound {
        match (self.max_len, self.max_age) {
            (Some(most), _) => Bound::Length(most),
            (None, Some(age)) => Bound::Age(age),
            (None, None) => Bound::None,
        }
    }
}

impl ComponentConfig for RedisStreamConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, message: &str| found.push((path.to_owned(), message.to_owned()));
        if let Err(error) = self.stream.parse::<Template>() {
            at("stream", &error);
        }
        if self.shards == 0 {
            at("shards", "`shards` must be positive");
        }
        if self.shard_by.is_some() && self.shards == 1 {
            at("shard_by", "`shard_by` needs `shards` above 1");
        }
        if self.body_key.is_empty() {
            at("body_key", "`body_key` must not be empty");
        }
        if self.max_connections == 0 {
            at("max_connections", "`max_connections` must be positive");
        }
        if self.max_entry_bytes == 0 {
            at("max_entry_bytes", "`max_entry_bytes` must be positive");
        }
        if self.max_len.is_some() && self.max_age.is_some() {
            at("max_age", "only one of `max_len` and `max_age` can be set: XADD takes one");
        }
        if self.trim != Trim::Approximate && self.bound() == Bound::None {
            at("trim", "`trim` needs `max_len` or `max_age`");
        }
        if !(0.0..=100.0).contains(&self.percentage) {
            at("percentage", "`percentage` must be within 0 and 100");
        }
        match self.fallback.as_ref() {
            Some(fallback) if fallback.exporter.is_empty() => {
                at("fallback::exporter", "`exporter` must name another exporter");
            }
            None if !self.enabled => at("enabled", "without a `fallback` the data would go nowhere"),
            None if self.percentage < 100.0 => {
                at("percentage", "without a `fallback` the rest would go nowhere");
            }
            _ => {}
        }
        found.extend(self.keys().problems());
        let below = |key: &str, problems: Vec<(&'static str, String)>| {
            let path = key.to_owned();
            problems.into_iter().map(move |(inner, text)| (format!("{path}::{inner}"), text))
        };
        found.extend(below("sending_queue", self.sending_queue.problems()));
        found.extend(below("retry_on_failure", self.retry_on_failure.problems()));
        found.extend(below("circuit_breaker", self.circuit_breaker.problems()));
        if let Some(dead_letter) = self.dead_letter.as_ref() {
            found.extend(below("dead_letter", dead_letter.problems()));
        }
        found
    }
}
