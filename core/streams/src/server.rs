//! Which server is meant, from the keys that every component has for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{ComponentError, Host};
use streamgauge_config::Secret;
use streamgauge_redis::{Connect, Deployment, EndpointKeys, Monitor, SentinelOptions, Target, Transport};
use streamgauge_transport::TlsClient;

/// The keys of a section that say which server is meant.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// `host:port`, a path, or a URL that may hold user, password and database.
    pub endpoint: &'a str,
    /// `transport`.
    pub transport: Option<Transport>,
    /// `username`.
    pub username: Option<&'a str>,
    /// `password`.
    pub password: Option<&'a Secret>,
    /// `tls`.
    pub tls: Option<&'a TlsClient>,
    /// `db`.
    pub db: Option<u32>,
    /// `password_file`.
    pub password_file: Option<&'a Path>,
    /// `sentinel`.
    pub sentinel: Option<&'a Sentinel>,
    /// `topology`.
    pub topology: Topology,
}

/// Which servers are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// All that belong together with the one at the endpoint: its replicas or its primary, the nodes of its cluster, or
    /// what the sentinel watches.
    #[default]
    Auto,
    /// The one at the endpoint alone.
    Single,
}

/// `sentinel`: the endpoint is a sentinel that wants another user, or none, than the servers it watches.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sentinel {
    /// ACL user of the sentinels.
    pub username: Option<String>,
    /// That user's password. Without it the sentinels are not logged in to.
    pub password: Option<Secret>,
    /// File with that password, read again at every connect.
    pub password_file: Option<PathBuf>,
    /// Names of the masters to watch; all when empty.
    pub masters: Vec<String>,
}

impl Keys<'_> {
    /// The server at the endpoint.
    ///
    /// # Errors
    /// What is wrong, by key.
    pub fn target(&self) -> Result<Target, Vec<(&'static str, String)>> {
        Target::new(&EndpointKeys {
            endpoint: self.endpoint,
            transport: self.transport,
            username: self.username,
            password: self.password.map(Secret::expose),
            password_file: self.password_file,
            tls: self.tls.map(|tls| !tls.insecure),
            db: self.db,
        })
    }

    /// How TLS is spoken, where it is.
    pub fn tls(&self) -> TlsClient {
        self.tls.cloned().unwrap_or_default()
    }

    /// Whether all servers that belong together with the one at the endpoint are meant.
    pub fn follows(&self) -> bool {
        self.topology == Topology::Auto
    }

    /// What a deployment needs to know of its sentinels; `target` is the servers' user.
    pub fn sentinel(&self, target: &Target) -> SentinelOptions {
        let Some(sentinel) = self.sentinel else { return SentinelOptions::default() };
        let password = sentinel.password.as_ref().map(Secret::expose);
        let file = sentinel.password_file.as_deref();
        let login = target.with_user(sentinel.username.as_deref(), password, file);
        SentinelOptions { login: Some(login), masters: sentinel.masters.clone() }
    }

    /// What is wrong with them, by path below the section.
    pub fn problems(&self) -> Vec<(String, String)> {
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

    /// The deployment and the user on its servers. Everybody in this process who names the same seed as the same user
    /// shares it.
    ///
    /// # Errors
    /// The keys are wrong, or TLS cannot be set up.
    pub fn deployment(&self, host: &Host) -> Result<(Arc<Deployment>, Target), ComponentError> {
        let id = host.id();
        let target = self.target().map_err(|problems| {
            let text: Vec<_> = problems.iter().map(|(key, message)| format!("{key}: {message}")).collect();
            ComponentError(format!("{id}: {}", text.join("; ")))
        })?;
        let settings = self.tls();
        let tls = if target.tls { Some(settings.load(&[]).map_err(ComponentError::new)?) } else { None };
        let tls = tls.map(|tls| tls.get());
        let options = self.sentinel(&target);
        let proof = format!("{settings:?}");
        let follow = self.follows();
        let key =
            format!("{} {:?} {follow}", Monitor::key(&target, &(&proof, &options.login)), options.masters);
        let process = host.clone();
        let connect: Connect = Arc::new(move |target| {
            let key = Monitor::key(&target, &proof);
            let name = settings.server_name_override.clone();
            process.shared(&key, || Monitor::new(target, tls.clone(), name))
        });
        let seed = connect(options.login.clone().unwrap_or_else(|| target.clone()));
        let make = || Deployment::new(seed, target.clone(), options, follow, connect);
        Ok((host.shared(&key, make), target))
    }
}
