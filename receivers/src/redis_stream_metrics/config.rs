//! The section of `redis_stream_metrics`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_config::Secret;
use streamgauge_series::Pattern;
use streamgauge_streams::{Keys, Sentinel, Topology, Transport};
use streamgauge_transport::TlsClient;

use super::metrics::StreamMetrics;
use super::state::States;
use crate::scrape::lease::LeaseConfig;
use crate::scrape::poll::{Rhythm, rhythm_problems};
use crate::scrape::redis::{Limits, ResourceAttributes, Share};
use crate::scrape::table::Toggles;

/// Watches the streams of a Redis or Valkey server, their consumer groups and consumers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
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
    /// `auto` watches all servers that belong together with the one at the endpoint: its replicas or its primary, the
    /// nodes of its cluster, or what the sentinel watches. `single` watches that one alone.
    pub topology: Topology,
    /// Where the endpoint is a sentinel: how to log in there, and which masters to watch. Without the section the
    /// sentinels get the user and password of the servers, and all masters are watched.
    pub sentinel: Option<Sentinel>,
    /// The share of each server's main thread that monitoring may take, by the server's own count and all receivers of
    /// this process together, such as `0.2%`. What is over it is not asked; INFO, XLEN and XINFO GROUPS always are.
    #[schemars(with = "String")]
    pub max_server_time: Share,
    /// The longest that one command may hold a server. What would take longer is left out, counted and logged once.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub max_command_time: Duration,
    /// Lets one of several collectors watch, the one that holds a key of the deployment, while the others wait to take
    /// over. This key is all that is ever written. Without the section everybody watches.
    pub lease: Option<LeaseConfig>,
    /// Time from one round to the next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub collection_interval: Duration,
    /// Time from the start to the first round.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub initial_delay: Duration,
    /// The most time that a round may take, connecting included. 0 is the interval, but at most 10 seconds.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Streams to watch, by name, glob (`orders:*`) or `/regular expression/`. Names alone need no SCAN.
    pub streams: Vec<Pattern>,
    /// Consumer groups to watch, likewise.
    pub groups: Vec<Pattern>,
    /// Time after which the keyspace is searched again for streams that match.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub refresh_interval: Duration,
    /// The most keys that one round looks at while it searches; a larger keyspace is searched over several rounds.
    pub scan_keys: u32,
    /// The most streams to watch: those called by name first, then in the order of their names. Further ones are left
    /// out, counted and logged once.
    pub max_streams: usize,
    /// The most groups to watch in one stream.
    pub max_groups: usize,
    /// Metrics of single consumers.
    pub consumers: Consumers,
    /// Rates, and everything that follows from them, are of this time.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub rate_window: Duration,
    /// When a group is not well.
    pub states: States,
    /// Deliveries from which a pending entry counts as poison.
    pub poison_deliveries: u64,
    /// The most pending entries that one round looks at beyond the oldest ones; long lists are walked through over
    /// several rounds.
    pub pending_entries: u32,
    /// The most entries that one round counts by XRANGE, which reads their payload, for groups whose lag the server does
    /// not know. 0 counts none.
    pub count_entries: u32,
    /// Switches of single metrics by name, such as `redis.stream.groups: {enabled: false}`.
    pub metrics: Toggles<StreamMetrics>,
    /// Switches of the resource's attributes.
    pub resource_attributes: ResourceAttributes,
}

/// `consumers`: metrics of single consumers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Consumers {
    /// Whether they are collected.
    pub enabled: bool,
    /// The most consumers of one group, those with the most pending entries first.
    pub max: usize,
}

impl Default for Consumers {
    fn default() -> Self {
        Consumers { enabled: true, max: 100 }
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        let all = || "*".parse().into_iter().collect();
        StreamConfig {
            endpoint: String::new(),
            transport: None,
            username: None,
            password: None,
            password_file: None,
            topology: Topology::default(),
            sentinel: None,
            max_server_time: Share::default(),
            max_command_time: Duration::from_millis(1),
            lease: None,
            tls: None,
            db: None,
            collection_interval: Duration::from_secs(10),
            initial_delay: Duration::from_secs(1),
            timeout: Duration::ZERO,
            streams: all(),
            groups: all(),
            refresh_interval: Duration::from_secs(60),
            scan_keys: 10_000,
            max_streams: 1000,
            max_groups: 100,
            consumers: Consumers::default(),
            rate_window: Duration::from_secs(60),
            states: States::default(),
            poison_deliveries: 3,
            pending_entries: 2000,
            count_entries: 1000,
            metrics: Toggles::default(),
            resource_attributes: ResourceAttributes::default(),
        }
    }
}

impl StreamConfig {
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

    pub(crate) fn limits(&self) -> Limits {
        let Self { max_server_time, max_command_time, ref lease, .. } = *self;
        Limits { max_server_time, max_command_time, lease: lease.clone() }
    }

    pub(crate) fn rhythm(&self) -> Rhythm {
        Rhythm {
            initial_delay: self.initial_delay,
            interval: self.collection_interval,
            timeout: self.timeout,
        }
    }
}

impl ComponentConfig for StreamConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = self.keys().problems();
        problems.extend(rhythm_problems(self.collection_interval));
        problems.extend(self.lease.as_ref().and_then(|lease| lease.problem(self.collection_interval)));
        let mut check = |wrong: bool, key: &str, message: &str| {
            if wrong {
                problems.push((key.to_owned(), message.to_owned()));
            }
        };
        check(self.streams.is_empty(), "streams", "names no stream: leave it out to watch all");
        check(self.groups.is_empty(), "groups", "names no group: leave it out to watch all");
        check(self.poison_deliveries == 0, "poison_deliveries", "must be at least 1");
        check(self.rate_window.is_zero(), "rate_window", "must be longer than 0s");
        check(self.max_streams == 0, "max_streams", "must be at least 1");
        check(self.scan_keys == 0, "scan_keys", "must be at least 1");
        problems
    }
}

/// The name that a pattern means, when it means just one.
pub(crate) fn literal(pattern: &Pattern) -> Option<&str> {
    let text = pattern.as_str();
    let is_regex = text.len() > 1 && text.starts_with('/') && text.ends_with('/');
    (!is_regex && !text.contains(['*', '?', '[', '\\'])).then_some(text)
}
