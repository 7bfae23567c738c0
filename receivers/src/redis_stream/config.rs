//! The section of receiver `redis_stream`.

mod names;
mod ordering;
mod sections;
mod size;
mod streams;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_config::Secret;
use streamgauge_streams::encoding::{BODY_KEY, Encoding, Format};
use streamgauge_streams::{Keys, Sentinel, Topology, Transport};
use streamgauge_transport::TlsClient;

pub use names::Template;
pub use ordering::Ordering;
pub use sections::{
    Ack, AckOn, Backoff, Claim, Consumer, DeadLetter, Group, Mode, OnUndecodable, Priority, Read, Release,
    Retry, Shutdown, Start, Weights,
};
pub use size::Size;
pub(super) use streams::Meant;
pub use streams::{Level, SignalName, StreamChoice, StreamSettings};

/// Consumes Redis streams as a member of a consumer group.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisStreamConfig {
    /// The server: `host:port`, or a URL `redis://`, `rediss://` (TLS) or `unix://`, which may hold user, password and
    /// database. A node of a cluster or a sentinel leads to the others. Must be given.
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
    /// `auto` finds the server that takes writes, or the nodes of the cluster, from the endpoint; `single` uses the one at the
    /// endpoint and no other.
    pub topology: Topology,
    /// Where the endpoint is a sentinel: how to log in there, and the name of the master (one, if it watches several).
    pub sentinel: Option<Sentinel>,
    /// The streams: names, globs such as `orders:*`, or a name with its own settings. At least one. With `encoding:
    /// opsconductor` its short names will do: `identity` is `opsconductor:identity:events`.
    pub streams: Vec<StreamChoice>,
    /// Time after which the keyspace is searched again for streams that match a glob, and after which a stream that could not
    /// be read is tried again.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub discovery_interval: Duration,
    /// The most streams that globs may find.
    pub max_streams: usize,
    /// The consumer group.
    pub group: Group,
    /// This member of the group.
    pub consumer: Consumer,
    /// How much is read at once, and how much may be on its way.
    pub read: Read,
    /// What the levels of streams (`streams[].priority`) mean when more waits than can be read.
    pub priority: Priority,
    /// Entries one after the other, whatever replicas there are.
    pub ordering: Ordering,
    /// What an entry holds: `fields` (a log record: one field its body, the others attributes), `json` or `text` (the same, and
    /// the body is that), `otlp_proto` or `otlp_json` (the body is a request), `opsconductor`.
    pub encoding: Encoding,
    /// The field with the body.
    pub body_key: String,
    /// When and how entries are acknowledged.
    pub ack: Ack,
    /// Taking over what other consumers have left lying.
    pub claim: Claim,
    /// How often and how fast an entry that was not taken is offered again.
    pub retry: Retry,
    /// Where entries go that nobody takes.
    pub dead_letter: DeadLetter,
    /// The end.
    pub shutdown: Shutdown,
}

impl Default for RedisStreamConfig {
    fn default() -> Self {
        RedisStreamConfig {
            endpoint: String::new(),
            transport: None,
            username: None,
            password: None,
            password_file: None,
            tls: None,
            db: None,
            topology: Topology::default(),
            sentinel: None,
            streams: Vec::new(),
            discovery_interval: Duration::from_secs(30),
            max_streams: 1000,
            group: Group::default(),
            consumer: Consumer::default(),
            read: Read::default(),
            priority: Priority::default(),
            ordering: Ordering::default(),
            encoding: Encoding::default(),
            body_key: BODY_KEY.to_owned(),
            ack: Ack::default(),
            claim: Claim::default(),
            retry: Retry::default(),
            dead_letter: DeadLetter::default(),
            shutdown: Shutdown::default(),
        }
    }
}

impl RedisStreamConfig {
    /// Which server is meant, and as whom.
    pub fn keys(&self) -> Keys<'_> {
        Keys {
            endpoint: &self.endpoint,
            transport: self.transport,
            username: self.username.as_deref(),
            password: self.password.as_ref(),
            tls: self.tls.as_ref(),
            password_file: self.password_file.as_deref(),
            sentinel: self.sentinel.as_ref(),
            topology: self.topology,
            db: self.db,
        }
    }

    pub(super) fn format(&self) -> Format {
        Format { encoding: self.encoding, body_key: self.body_key.clone() }
    }
}

impl ComponentConfig for RedisStreamConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = self.keys().problems();
        let mut check = |wrong: bool, key: &str, message: &str| {
            if wrong {
                problems.push((key.to_owned(), message.to_owned()));
            }
        };
        check(self.streams.is_empty(), "streams", "must name at least one stream");
        check(self.discovery_interval.is_zero(), "discovery_interval", "must be longer than 0s");
        check(self.max_streams == 0, "max_streams", "must be at least 1");
        check(self.body_key.is_empty(), "body_key", "must not be empty");
        check(self.read.count == 0, "read::count", "must be at least 1");
        check(self.read.block.is_zero(), "read::block", "must be longer than 0s");
        check(self.read.workers == 0, "read::workers", "must be at least 1");
        check(self.read.max_in_flight == 0, "read::max_in_flight", "must be at least 1");
        check(self.read.max_in_flight_bytes.0 == 0, "read::max_in_flight_bytes", "must be at least 1");
        check(self.priority.field.as_deref() == Some(""), "priority::field", "must not be empty");
        check(self.ordering.lease < Duration::from_millis(100), "ordering::lease", "must be at least 100ms");
        let orders = self.ordering.enabled;
        let passes = orders && self.priority.field.is_some();
        check(passes, "priority::field", "lets entries pass one another: not with ordering");
        let early = orders && self.ack.on == AckOn::Accepted;
        check(early, "ack::on", "must be delivered with ordering: what is accepted may be overtaken");
        check(self.ack.batch == 0, "ack::batch", "must be at least 1");
        check(self.claim.interval.is_zero(), "claim::interval", "must be longer than 0s");
        check(self.claim.count == 0, "claim::count", "must be at least 1");
        check(self.retry.max_deliveries == 0, "retry::max_deliveries", "must be at least 1");
        check(self.retry.backoff.initial.is_zero(), "retry::backoff::initial", "must be longer than 0s");
        let slow = !(self.retry.backoff.multiplier >= 1.0 && self.retry.backoff.multiplier.is_finite());
        check(slow, "retry::backoff::multiplier", "must be at least 1");
        let shrinks = self.retry.backoff.max < self.retry.backoff.initial;
        check(shrinks, "retry::backoff::max", "must not be shorter than retry::backoff::initial");
        let hasty = self.consumer.heartbeat.is_zero();
        check(hasty, "consumer::heartbeat", "must be longer than 0s");
        let robs = self.claim.min_idle < 3 * self.consumer.heartbeat;
        check(
            robs && self.claim.enabled && self.claim.require_dead_heartbeat,
            "claim::min_idle",
            "must be at least three times consumer::heartbeat, the time after which a heartbeat is gone",
        );
        let bad = self.consumer.name.as_deref() == Some("");
        check(bad, "consumer::name", "must not be empty: leave it out to use the host's name");
        for (at, stream) in self.streams.iter().enumerate() {
            let mut found = stream.problems();
            if orders && stream.settings().priority != Level::default() {
                found.push("has a priority: with ordering no stream waits for another".to_owned());
            }
            problems.extend(found.into_iter().map(|message| (format!("streams::{at}"), message)));
        }
        for (key, template) in
            [("group::name", &self.group.name), ("dead_letter::stream", &self.dead_letter.stream)]
        {
            if let Err(message) = template.check() {
                problems.push((key.to_owned(), message));
            }
        }
        problems
    }
}
