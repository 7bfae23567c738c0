//! The shared connections to the servers of a deployment, from the settings.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streamgauge_component::{ComponentError, Host, State};
use streamgauge_redis::{
    Budget, CallResult, Deployment, Identity, Node, ReadCommand, Role, Unreachable, View,
};
use streamgauge_streams::Keys;
use tokio::time::Instant;

use super::lease::{self, LeaseConfig};
use super::poll::Rhythm;
use super::recorder::{MANY, Resource};

/// How old a view of the deployment may be while nothing happens.
const MOST_AGE: Duration = Duration::from_secs(10);

/// What a receiver may do to the servers.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) max_server_time: Share,
    pub(crate) max_command_time: Duration,
    /// Where only one of several collectors may.
    pub(crate) lease: Option<LeaseConfig>,
}

/// A share of a node's main thread: `0.2%`, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub(crate) f64);

impl Default for Share {
    fn default() -> Self {
        Share(0.002)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Share(1.0));
        }
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent {
            Some(percent) if percent > 0.0 && percent <= 100.0 => Ok(Share(percent / 100.0)),
            _ => Err(format!("{text}: wants a share such as 0.2%, above 0% and up to 100%, or unlimited")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1.0 { write!(f, "{}%", (self.0 * 1e8).round() / 1e6) } else { f.write_str("unlimited") }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The deployment that the keys mean, as one receiver asks it.
pub(crate) fn fleet(
    keys: &Keys<'_>,
    limits: Limits,
    host: &Host,
    rhythm: Rhythm,
) -> Result<Fleet, ComponentError> {
    let (deployment, target) = keys.deployment(host)?;
    let budget = Budget {
        max_server_time: limits.max_server_time.0,
        max_command_time: limits.max_command_time,
        interval: rhythm.interval,
    };
    let lease = limits.lease.map(|settings| lease::Share::new(&settings, &deployment, host));
    Ok(Fleet { deployment, host: host.clone(), db: target.db, limit: rhythm.limit(), budget, lease })
}

/// A deployment as one receiver uses it.
pub(crate) struct Fleet {
    deployment: Arc<Deployment>,
    host: Host,
    db: u32,
    limit: Duration,
    budget: Budget,
    lease: Option<lease::Share>,
}

impl Fleet {
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// When a round that begins now must end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// The nodes of this round, and what is wrong with the view of them. Whoever asks first in an interval asks for all.
    /// There are none while another collector watches.
    pub(crate) async fn view(&mut self, deadline: Instant) -> (Arc<View>, Option<String>) {
        let age = self.budget.interval.min(MOST_AGE);
        let (view, problem) = self.deployment.view(age, deadline).await;
        for node in &view.nodes {
            node.monitor.allow(self.budget);
            for (command, error) in node.monitor.news() {
                let (id, node) = (&**self.host.id(), node.address());
                tracing::warn!(id, %node, command, "not asked any more: {error}");
            }
        }
        let problem = problem.map(|error| error.to_string());
        let Some(lease) = &mut self.lease else { return (view, problem) };
        match lease.holds(&view, self.db, deadline).await {
            (true, trouble) => (view, problem.or(trouble)),
            (false, trouble) => (Arc::default(), trouble),
        }
    }

    /// No round follows: another collector may watch.
    pub(crate) async fn leave(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.leave(self.db).await;
        }
    }

    /// The next view is asked for anew.
    pub(crate) fn suspect(&self) {
        self.deployment.suspect();
    }

    /// A node, to be asked by this receiver.
    pub(crate) fn server(&self, node: &Node) -> Server {
        Server { node: node.clone(), db: self.db }
    }

    /// Tells how the round went.
    pub(crate) fn report(&self, problems: &[String]) {
        let state = if problems.is_empty() { State::Ok } else { State::Recoverable };
        self.host.report(state, (!problems.is_empty()).then(|| problems.join("; ")));
    }
}

/// A node as one receiver uses it.
pub(crate) struct Server {
    pub(crate) node: Node,
    pub(crate) db: u32,
}

impl Server {
    /// Sends commands.
    pub(crate) async fn call(
        &self,
        commands: &[ReadCommand],
        deadline: Instant,
    ) -> Result<Vec<CallResult>, Unreachable> {
        self.node.monitor.call(self.db, commands, deadline).await
    }

    /// Sends one command.
    pub(crate) async fn ask(
        &self,
        command: ReadCommand,
        deadline: Instant,
    ) -> Result<CallResult, Unreachable> {
        let mut answers = self.call(&[command], deadline).await?;
        answers.pop().ok_or_else(|| Unreachable { stage: "call", message: "no answer".to_owned() })
    }

    /// Whether a command takes less than half of the time that one may: see [`streamgauge_redis::Monitor::is_short`].
    pub(crate) fn is_short(&self, command: &ReadCommand) -> bool {
        self.node.monitor.is_short(command)
    }
}

/// How patient a round is with a node: one that let the last round wait for nothing gets a quarter of the time, so that the
/// other nodes' numbers do not come late with it.
#[derive(Default)]
pub(crate) struct Patience {
    is_short: bool,
}

impl Patience {
    /// When the node must have answered, in a round that ends at `deadline`.
    pub(crate) fn until(&self, deadline: Instant) -> Instant {
        let now = Instant::now();
        let left = deadline.saturating_duration_since(now);
        if self.is_short { now + left / 4 } else { deadline }
    }

    /// How it went.
    pub(crate) fn learn(&mut self, error: Option<&Unreachable>) {
        self.is_short = error.is_some_and(|error| error.stage == "timeout");
    }
}

/// The requests of several nodes in a row, which is one request again.
#[derive(Default)]
pub(crate) struct Joined {
    requests: Vec<Bytes>,
    items: usize,
}

impl Joined {
    /// Adds one.
    pub(crate) fn add(&mut self, request: Option<(Bytes, usize)>) {
        if let Some((bytes, items)) = request {
            self.requests.push(bytes);
            self.items += items;
        }
    }

    /// All of them, when they are many: so that a large deployment is not sent as one.
    pub(crate) fn finish_many(&mut self) -> Option<(Bytes, usize)> {
        (self.items >= MANY).then(|| std::mem::take(self).finish()).flatten()
    }

    /// All of them; `None` when there is no point.
    pub(crate) fn finish(mut self) -> Option<(Bytes, usize)> {
        let bytes = match self.requests.len() {
            // One node's request is not copied: it may be many megabytes.
            1 => self.requests.remove(0),
            _ => self.requests.concat().into(),
        };
        (self.items > 0).then_some((bytes, self.items))
    }
}

/// `resource_attributes`: switches of what the resource tells. All are on; in the Collector the address and the port are
/// off, and the series of two servers are then one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceAttributes {
    /// The server's version. On.
    #[serde(rename = "redis.version")]
    pub version: ResourceToggle,
    /// Host name, address or socket of the server, as the endpoint or the deployment has it. On: it tells servers apart.
    #[serde(rename = "server.address")]
    pub address: ResourceToggle,
    /// Port of the server; a socket has none. On: it tells servers apart.
    #[serde(rename = "server.port")]
    pub port: ResourceToggle,
    /// `redis` or `valkey`. On.
    #[serde(rename = "server.name")]
    pub name: ResourceToggle,
    /// `standalone`, `cluster` or `sentinel`: how the server runs. On.
    #[serde(rename = "redis.mode")]
    pub mode: ResourceToggle,
    /// `primary`, `replica` or `sentinel`. On: after a failover the series of a server go on under another role.
    #[serde(rename = "redis.role")]
    pub role: ResourceToggle,
    /// The node's id in a cluster or among sentinels. On.
    #[serde(rename = "redis.node.id")]
    pub node_id: ResourceToggle,
    /// The primary and replicas that hold the same keys: in a cluster the id of the primary that was seen first, under a
    /// sentinel the master's name. On.
    #[serde(rename = "redis.shard")]
    pub shard: ResourceToggle,
}

/// The switch of one attribute.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceToggle {
    /// Whether it is set. By default it is.
    pub enabled: Option<bool>,
}

impl ResourceToggle {
    fn of<'a>(&self, value: Option<&'a str>) -> Option<&'a str> {
        value.filter(|_| self.enabled.unwrap_or(true))
    }
}

impl ResourceAttributes {
    /// The resource of a node. `identity` is what it said of itself last, `role` what it does.
    pub(crate) fn of(&self, node: &Node, identity: Option<&Identity>, role: Option<Role>) -> Resource {
        let (address, port) = match node.address() {
            streamgauge_redis::Address::Tcp(host, port) => (host.clone(), Some(port.to_string())),
            streamgauge_redis::Address::Unix(path) => (path.display().to_string(), None),
        };
        let known = identity.filter(|identity| identity.version.is_some());
        let all = [
            ("redis.version", self.version.of(known.and_then(|identity| identity.version.as_deref()))),
            ("server.address", self.address.of(Some(&address))),
            ("server.port", self.port.of(port.as_deref())),
            ("server.name", self.name.of(known.map(|identity| identity.name))),
            ("redis.mode", self.mode.of(known.map(|identity| identity.mode.as_str()))),
            ("redis.role", self.role.of(role.filter(|_| known.is_some()).map(Role::as_str))),
            ("redis.node.id", self.node_id.of(node.id.as_deref().filter(|_| known.is_some()))),
            ("redis.shard", self.shard.of(node.shard.as_deref().filter(|_| known.is_some()))),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?.to_owned()))).collect()
    }
}
