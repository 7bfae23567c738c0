//! The section of `redis`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_config::Secret;
use streamgauge_redis::ReadCommand;
use streamgauge_streams::{Keys, Sentinel, Topology, Transport};
use streamgauge_transport::TlsClient;

use super::custom::{self, Check, CustomMetric};
use super::detail;
use super::logs::config::LogsConfig;
use super::metrics::RedisMetrics;
use crate::scrape::lease::LeaseConfig;
use crate::scrape::poll::{Rhythm, rhythm_problems};
use crate::scrape::redis::{Limits, ResourceAttributes, Share};
use crate::scrape::table::Toggles;

/// Watches a Redis or Valkey server by one INFO a round.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
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
    /// Switches of single metrics by name, such as `redis.cmd.calls: {enabled: true}`.
    pub metrics: Toggles<RedisMetrics>,
    /// Metrics of your own, each from a field of INFO or a command that reads one number.
    pub custom_metrics: Vec<CustomMetric>,
    /// What must hold on each server that tells it. `streamgauge doctor` looks at the same.
    pub checks: Vec<Check>,
    /// Switches of the resource's attributes.
    pub resource_attributes: ResourceAttributes,
    /// The most series that one metric of one server may have. What is beyond goes into one whose attributes are all
    /// `other`.
    pub cardinality_limit: usize,
    /// What a logs pipeline gets.
    pub logs: LogsConfig,
}

impl Default for RedisConfig {
    fn default() -> Self {
        RedisConfig {
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
            collection_interval: Duration::from_secs(10),
            initial_delay: Duration::from_secs(1),
            timeout: Duration::ZERO,
            metrics: Toggles::default(),
            custom_metrics: Vec::new(),
            checks: Vec::new(),
            resource_attributes: ResourceAttributes::default(),
            cardinality_limit: 1000,
            logs: LogsConfig::default(),
        }
    }
}

impl RedisConfig {
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
            db: None,
        }
    }

    /// Commands that are sent only for metrics that are on, and which these are.
    pub fn optional_commands(&self) -> Vec<(ReadCommand, &'static str)> {
        detail::commands(&self.metrics.enabled())
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

impl ComponentConfig for RedisConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = self.keys().problems();
        problems.extend(rhythm_problems(self.collection_interval));
        problems.extend(self.lease.as_ref().and_then(|lease| lease.problem(self.collection_interval)));
        problems.extend(custom::config::problems(&self.custom_metrics, &self.checks));
        if self.cardinality_limit == 0 {
            problems.push(("cardinality_limit".to_owned(), "must be at least 1".to_owned()));
        }
        problems
    }
}
