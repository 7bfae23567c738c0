//! `keepalive` of HTTP, where newer Collectors have what stood beside it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `keepalive` of an HTTP client. What is set here counts before the older settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveHttpClient {
    /// Connections are used again.
    pub enabled: bool,
    /// The newer place of `idle_conn_timeout`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub idle_conn_timeout: Option<Duration>,
    /// The newer place of `max_idle_conns`.
    pub max_idle_conns: Option<usize>,
    /// The newer place of `max_idle_conns_per_host`.
    pub max_idle_conns_per_host: Option<usize>,
}

impl Default for KeepaliveHttpClient {
    fn default() -> Self {
        Self { enabled: true, idle_conn_timeout: None, max_idle_conns: None, max_idle_conns_per_host: None }
    }
}

/// `keepalive` of an HTTP server. What is set here counts before the older settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveHttpServer {
    /// HTTP/1.1 connections take further requests after their first.
    pub enabled: bool,
    /// The newer place of `idle_timeout`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub idle_timeout: Option<Duration>,
}

impl Default for KeepaliveHttpServer {
    fn default() -> Self {
        Self { enabled: true, idle_timeout: None }
    }
}
