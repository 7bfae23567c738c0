//! The shared connection to a server from the settings.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{ComponentError, Host, State};
use streamgauge_config::Secret;
use streamgauge_redis::{CallResult, EndpointKeys, Monitor, ReadCommand, Target, Unreachable};
use streamgauge_transport::TlsClient;
use tokio::time::Instant;

use super::recorder::Resource;

/// How the server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// A unix socket.
    Unix,
}

/// The keys of a section that say which server is meant.
pub(crate) struct Keys<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) transport: Option<Transport>,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a Secret>,
    pub(crate) tls: Option<&'a TlsClient>,
    pub(crate) db: Option<u32>,
}

impl Keys<'_> {
    fn target(&self) -> Result<Target, Vec<(&'static str, String)>> {
        let transport = self.transport.map(|transport| match transport {
            Transport::Tcp => streamgauge_redis::Transport::Tcp,
            Transport::Unix => streamgauge_redis::Transport::Unix,
        });
        Target::new(&EndpointKeys {
            endpoint: self.endpoint,
            transport,
            username: self.username,
            password: self.password.map(Secret::expose),
            tls: self.tls.map(|tls| !tls.insecure),
            db: self.db,
        })
    }

    /// What is wrong with them, by path below the section.
    pub(crate) fn problems(&self) -> Vec<(String, String)> {
        let mut problems: Vec<_> = self
            .target()
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|(key, message)| (key.to_owned(), message))
            .collect();
        let tls = self.tls.map(TlsClient::problems).unwrap_or_default();
        problems.extend(tls.into_iter().map(|(key, message)| (format!("tls::{key}"), message)));
        problems
    }

    /// The connection, which all receivers of this process share that ask the same server as the same user.
    pub(crate) fn server(&self, host: &Host, limit: Duration) -> Result<Server, ComponentError> {
        let id = host.id();
        let target = self.target().map_err(|problems| {
            let text: Vec<_> = problems.iter().map(|(key, message)| format!("{key}: {message}")).collect();
            ComponentError(format!("{id}: {}", text.join("; ")))
        })?;
        let settings = self.tls.cloned().unwrap_or_default();
        let tls = if target.tls { Some(settings.load(&[]).map_err(ComponentError::new)?) } else { None };
        let key = Monitor::key(&target, &format!("{settings:?}"));
        let db = target.db;
        let monitor = host.shared(&key, || {
            Monitor::new(target, tls.map(|tls| tls.get()), settings.server_name_override.clone())
        });
        Ok(Server { monitor, host: host.clone(), db, limit })
    }
}

/// The connection as one receiver uses it.
pub(crate) struct Server {
    monitor: Arc<Monitor>,
    host: Host,
    pub(crate) db: u32,
    limit: Duration,
}

impl Server {
    pub(crate) fn target(&self) -> &Target {
        self.monitor.target()
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// When a round that begins now must end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    /// Sends commands.
    pub(crate) async fn call(
        &self,
        commands: &[ReadCommand],
        deadline: Instant,
    ) -> Result<Vec<CallResult>, Unreachable> {
        self.monitor.call(self.db, commands, deadline).await
    }

    /// Tells how the round went.
    pub(crate) fn report(&self, problem: Option<String>) {
        let state = if problem.is_none() { State::Ok } else { State::Recoverable };
        self.host.report(state, problem);
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
}

/// `resource_attributes`: switches of what the resource tells. All are on; in the Collector the address and the port are
/// off, and the series of two servers are then one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceAttributes {
    /// The server's version. On.
    #[serde(rename = "redis.version")]
    pub version: ResourceToggle,
    /// Host name, address or socket of the server, as the endpoint has it. On: it tells servers apart.
    #[serde(rename = "server.address")]
    pub address: ResourceToggle,
    /// Port of the server; a socket has none. On: it tells servers apart.
    #[serde(rename = "server.port")]
    pub port: ResourceToggle,
}

/// The switch of one attribute.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResourceToggle {
    /// Whether it is set. By default it is.
    pub enabled: Option<bool>,
}

impl ResourceToggle {
    fn is_on(&self) -> bool {
        self.enabled.unwrap_or(true)
    }
}

impl ResourceAttributes {
    /// The resource.
    pub(crate) fn of(&self, target: &Target, version: Option<&str>) -> Resource {
        let mut attributes = Resource::new();
        if let Some(version) = version
            && self.version.is_on()
        {
            attributes.push(("redis.version", version.to_owned()));
        }
        let (address, port) = match &target.address {
            streamgauge_redis::Address::Tcp(host, port) => (host.clone(), Some(port.to_string())),
            streamgauge_redis::Address::Unix(path) => (path.display().to_string(), None),
        };
        if self.address.is_on() {
            attributes.push(("server.address", address));
        }
        if let Some(port) = port
            && self.port.is_on()
        {
            attributes.push(("server.port", port));
        }
        attributes
    }
}
