//! Settings that receivers, exporters and extensions share, with the Collector's keys and defaults.

mod auth;
mod headers;
mod keepalive;
mod refused;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_config::Secret;

pub use auth::HttpAuthSettings;
pub use headers::Headers;
pub use keepalive::{KeepaliveHttpClient, KeepaliveHttpServer};
pub use refused::{Middleware, Npipe, ServerDialer, Tpm};

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V1_3,
}

/// `tls` of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsClient {
    /// No TLS at all. An `https://` endpoint overrides it.
    pub insecure: bool,
    /// TLS, but the server's certificate is not checked.
    pub insecure_skip_verify: bool,
    /// The name that the server's certificate must have; without it the endpoint's host.
    pub server_name_override: Option<String>,
    /// PEM file of the certificate authorities to trust; without it those of the system.
    pub ca_file: Option<String>,
    /// The same as `ca_file`, the PEM text itself.
    pub ca_pem: Option<String>,
    /// Trust the system's authorities beside those of `ca_file`.
    pub include_system_ca_certs_pool: bool,
    /// PEM file of the client's certificate chain, for servers that ask for one.
    pub cert_file: Option<String>,
    /// The same as `cert_file`, the PEM text itself.
    pub cert_pem: Option<String>,
    /// PEM file of the client's private key.
    pub key_file: Option<String>,
    /// The same as `key_file`, the PEM text itself.
    pub key_pem: Option<Secret>,
    /// The lowest version of TLS to speak: `1.2` (the default) or `1.3`.
    pub min_version: Option<TlsVersion>,
    /// The highest version of TLS to speak; without it 1.3.
    pub max_version: Option<TlsVersion>,
    /// Cipher suites for TLS 1.2, such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`; without them all that are safe. Those
    /// that are not are never spoken.
    pub cipher_suites: Vec<String>,
    /// Curves for the exchange of keys, best first: `X25519`, `P256`, `P384`; without them all of these.
    pub curve_preferences: Vec<String>,
    /// How often the files are looked at; they are read again when they have changed. Without it every second.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub reload_interval: Option<Duration>,
    /// Keys in a TPM: not supported, `enabled: true` is refused.
    pub tpm: Tpm,
}

/// `tls` of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsServer {
    /// PEM file of the certificate chain.
    pub cert_file: Option<String>,
    /// The same as `cert_file`, the PEM text itself.
    pub cert_pem: Option<String>,
    /// PEM file of the private key.
    pub key_file: Option<String>,
    /// The same as `key_file`, the PEM text itself.
    pub key_pem: Option<Secret>,
    /// Accepted for files of the Collector, without effect: whom to trust is what `client_ca_file` says.
    pub ca_file: Option<String>,
    /// Accepted for files of the Collector, without effect: whom to trust is what `client_ca_file` says.
    pub ca_pem: Option<String>,
    /// Accepted for files of the Collector, without effect: whom to trust is what `client_ca_file` says.
    pub include_system_ca_certs_pool: bool,
    /// PEM file of the authorities that clients' certificates must come from. With it, clients must show one.
    pub client_ca_file: Option<String>,
    /// Accepted for files of the Collector: the file is always read again when it has changed.
    pub client_ca_file_reload: bool,
    /// The lowest version of TLS to speak: `1.2` (the default) or `1.3`.
    pub min_version: Option<TlsVersion>,
    /// The highest version of TLS to speak; without it 1.3.
    pub max_version: Option<TlsVersion>,
    /// Cipher suites for TLS 1.2, such as `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`; without them all that are safe. Those
    /// that are not are never spoken.
    pub cipher_suites: Vec<String>,
    /// Curves for the exchange of keys, best first: `X25519`, `P256`, `P384`; without them all of these.
    pub curve_preferences: Vec<String>,
    /// How often the files are looked at; they are read again when they have changed. Without it every second.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub reload_interval: Option<Duration>,
    /// Keys in a TPM: not supported, `enabled: true` is refused.
    pub tpm: Tpm,
}

/// `cors` of an HTTP server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins of web pages that may send, such as `https://app.example`; `*` in one stands for any text.
    pub allowed_origins: Vec<String>,
    /// Headers that their requests may carry beside the usual ones; `*` is all.
    pub allowed_headers: Vec<String>,
    /// Headers of answers that the pages may read.
    pub exposed_headers: Vec<String>,
    /// Seconds for which a browser need not ask again; 0 says nothing about it.
    pub max_age: u32,
}

/// `cookies` of an HTTP client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CookieSettings {}

/// `keepalive` of a gRPC client. Off when it is not named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveClient {
    /// Silence after which the server is pinged.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub time: Duration,
    /// How long the answer to a ping may take before the connection is closed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Ping also while no request is under way.
    pub permit_without_stream: bool,
}

impl Default for KeepaliveClient {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), timeout: Duration::from_secs(10), permit_without_stream: false }
    }
}

/// `keepalive` of a gRPC server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveServer {
    /// What the server does to keep connections alive, and when it ends them.
    pub server_parameters: KeepaliveServerParameters,
    /// What pings of clients are taken. Without it clients may ping as they like, within what one connection may ask for.
    pub enforcement_policy: Option<KeepaliveEnforcement>,
}

/// `keepalive.enforcement_policy` of a gRPC server: a client that pings too often three times in a row is sent away
/// (`ENHANCE_YOUR_CALM`, `too_many_pings`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveEnforcement {
    /// The least time between two pings; `0s` means 5 min.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_time: Duration,
    /// Clients may ping as often while no request is under way, too; otherwise every 2 h.
    pub permit_without_stream: bool,
}

impl Default for KeepaliveEnforcement {
    fn default() -> Self {
        Self { min_time: Duration::from_secs(300), permit_without_stream: false }
    }
}

/// `keepalive.server_parameters` of a gRPC server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeepaliveServerParameters {
    /// Time without a request after which a connection is asked to close; without it never.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub max_connection_idle: Option<Duration>,
    /// Age at which a connection is asked to close, so that clients behind a balancer spread anew; without
    /// it never.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub max_connection_age: Option<Duration>,
    /// How long requests under way may then take before the connection is cut; without it for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub max_connection_age_grace: Option<Duration>,
    /// Silence after which a client is pinged.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub time: Duration,
    /// How long the answer to a ping may take before the connection is closed.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
}

impl Default for KeepaliveServerParameters {
    fn default() -> Self {
        // The defaults of grpc-go, which the Collector takes over.
        Self {
            max_connection_idle: None,
            max_connection_age: None,
            max_connection_age_grace: None,
            time: Duration::from_secs(2 * 60 * 60),
            timeout: Duration::from_secs(20),
        }
    }
}
