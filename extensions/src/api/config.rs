//! The section `api`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_config::Secret;

/// Settings of `api`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on, `host:port`.
    pub endpoint: String,
    /// What a request has to show, as `Authorization: Bearer TOKEN`. Needed unless the address is a loopback one.
    pub token: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Config { endpoint: "localhost:13134".to_owned(), token: None }
    }
}

impl Config {
    /// The host of the endpoint, without brackets.
    pub(super) fn host(&self) -> &str {
        let host = self.endpoint.rsplit_once(':').map_or("", |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl ComponentConfig for Config {
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let port = self.endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            problems.push(("endpoint".into(), format!("{:?} is not host:port", self.endpoint)));
        }
        match &self.token {
            Some(token) if token.is_empty() => {
                problems.push(("token".into(), "the token is empty".into()));
            }
            None if !self.is_loopback() => {
                let text =
                    "others than this machine can reach this address: set a token, or listen on localhost";
                problems.push(("token".into(), text.into()));
            }
            _ => {}
        }
        problems
    }
}
