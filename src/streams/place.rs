//! Which Redis is meant: by an address and what goes with it, or by a section of a configuration.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use streamgauge_config::Secret;
use streamgauge_redis::Monitor;
use streamgauge_streams::{Keys, Topology};
use streamgauge_transport::TlsClient;

use crate::cli::{ConfigArgs, Failure};
use crate::configuration;
use crate::redis_section::{self, RedisSection};

const LOCAL: &str = "127.0.0.1:6379";

/// Which server is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// The server, a sentinel, or a node of a cluster: `host:port`, or a URL `redis://`, `rediss://`, `unix://`. Without it the
    /// variable REDIS_URL, else 127.0.0.1:6379.
    #[arg(long, value_name = "URL", global = true)]
    redis: Option<String>,
    /// ACL user; without it the one of the URL, else the default user.
    #[arg(long, value_name = "NAME", global = true)]
    user: Option<String>,
    /// File with the user's password. The variable REDIS_PASSWORD is as good.
    #[arg(long, value_name = "FILE", global = true)]
    password_file: Option<PathBuf>,
    /// TLS, as with `rediss://`.
    #[arg(long, global = true)]
    tls: bool,
    /// TLS, trusting the authorities of this PEM file alone.
    #[arg(long, value_name = "FILE", global = true)]
    cacert: Option<String>,
    /// TLS, showing this certificate, a PEM file.
    #[arg(long, value_name = "FILE", global = true, requires = "key")]
    cert: Option<String>,
    /// The private key of that certificate, a PEM file.
    #[arg(long, value_name = "FILE", global = true, requires = "cert")]
    key: Option<String>,
    /// TLS, and the server's certificate must have this name instead of the host's.
    #[arg(long, value_name = "NAME", global = true)]
    sni: Option<String>,
    /// TLS, but the server's certificate is not checked.
    #[arg(long, global = true)]
    insecure: bool,
    /// A configuration instead: its receivers and exporters say which Redis, and how to log in. May be given several times.
    #[arg(long, value_name = "LOCATION", global = true,
        conflicts_with_all = ["redis", "user", "password_file", "tls", "cacert", "cert", "sni", "insecure"])]
    config: Vec<String>,
    /// The receiver or exporter whose Redis is meant, where the configuration names several: an id, or `receivers::ID`.
    #[arg(long, value_name = "ID", global = true, requires = "config")]
    component: Option<String>,
}

/// What says which server is meant.
pub(crate) enum Meant {
    /// What was typed, or stands in the environment.
    Typed(Box<Typed>),
    /// A section of a configuration.
    Configured(RedisSection),
}

/// An address, and how to log in there.
pub(crate) struct Typed {
    endpoint: String,
    user: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    tls: Option<TlsClient>,
}

impl PlaceArgs {
    /// Reads the configuration, if one is given.
    pub(crate) fn meant(&self) -> Result<Meant, Failure> {
        if !self.config.is_empty() {
            return self.configured().map(Meant::Configured);
        }
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        Ok(Meant::Typed(Box::new(Typed {
            endpoint: self
                .redis
                .clone()
                .or_else(|| variable("REDIS_URL"))
                .unwrap_or_else(|| LOCAL.to_owned()),
            user: self.user.clone(),
            password: variable("REDIS_PASSWORD").filter(|_| self.password_file.is_none()).map(Into::into),
            password_file: self.password_file.clone(),
            tls: self.tls(),
        })))
    }

    fn tls(&self) -> Option<TlsClient> {
        let settings = TlsClient {
            ca_file: self.cacert.clone(),
            cert_file: self.cert.clone(),
            key_file: self.key.clone(),
            server_name_override: self.sni.clone(),
            insecure_skip_verify: self.insecure,
            ..TlsClient::default()
        };
        (self.tls || settings != TlsClient::default()).then_some(settings)
    }

    fn configured(&self) -> Result<RedisSection, Failure> {
        let args = ConfigArgs { config: self.config.clone(), ..ConfigArgs::default() };
        let loaded = configuration::load(&args, None).map_err(|found| configuration::failure(&found))?;
        let mut all = redis_section::all(&loaded.config).map_err(|found| configuration::failure(&found))?;
        let names = |all: &[(String, RedisSection)]| {
            let line = |(name, section): &(String, RedisSection)| {
                let target = section.keys().target();
                format!("{name} ({})", target.map(|target| target.address.to_string()).unwrap_or_default())
            };
            all.iter().map(line).collect::<Vec<_>>().join(", ")
        };
        let known = names(&all);
        if let Some(wanted) = &self.component {
            all.retain(|(name, _)| {
                name == wanted || name.split_once("::").is_some_and(|(_, id)| id == wanted)
            });
        }
        // Several that mean one server, as one user, are as good as one.
        let mut places = BTreeSet::new();
        all.retain(|(_, section)| places.insert(place_of(section)));
        match (all.len(), all.pop()) {
            (1, Some((_, section))) => Ok(section),
            (_, Some(last)) => {
                all.push(last);
                let several = "the configuration names several Redis servers: choose one with --component:";
                Err(Failure::runtime(format!("{several} {}", names(&all))))
            }
            (_, None) if known.is_empty() => {
                Err(Failure::runtime("the configuration names no Redis: use --redis"))
            }
            (_, None) => Err(Failure::runtime(format!(
                "the configuration has no receiver or exporter {:?} with a Redis; it has {known}",
                self.component.as_deref().unwrap_or_default()
            ))),
        }
    }
}

/// The same for the same server, user and way to it.
fn place_of(section: &RedisSection) -> Option<String> {
    let keys = section.keys();
    let target = keys.target().ok()?;
    Some(Monitor::key(&target, &format!("{:?}", keys.tls())))
}

impl Meant {
    /// As the settings of a component.
    pub(crate) fn keys(&self) -> Keys<'_> {
        match self {
            Meant::Configured(section) => section.keys(),
            Meant::Typed(typed) => Keys {
                endpoint: &typed.endpoint,
                transport: None,
                username: typed.user.as_deref(),
                password: typed.password.as_ref(),
                tls: typed.tls.as_ref(),
                db: None,
                password_file: typed.password_file.as_deref(),
                sentinel: None,
                topology: Topology::Auto,
            },
        }
    }
}
