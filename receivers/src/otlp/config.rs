//! The section of receiver `otlp`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{AuthSettings, ComponentConfig, Optional, Signal};
use streamgauge_transport::{
    Codec, Cors, Family, HeaderMap, Headers, HttpAuthSettings, KeepaliveHttpServer, KeepaliveServer,
    Middleware, Npipe, ServerDialer, TlsServer, http_path,
};

/// Settings of receiver `otlp`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// The protocols to speak; at least one. A protocol that is named without settings is on with its defaults.
    pub protocols: Protocols,
    /// When a client hears that its request was taken: `accepted`, as soon as a queue or a component has taken it over;
    /// `delivered`, only when every exporter has delivered it, at the longest until the client's own deadline.
    pub wait_for: WaitFor,
}

/// `protocols`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Protocols {
    /// OTLP/gRPC.
    pub grpc: Optional<GrpcServer>,
    /// OTLP/HTTP, protobuf and JSON.
    pub http: Optional<HttpServer>,
}

/// `wait_for`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitFor {
    /// A queue or a component has it.
    #[default]
    Accepted,
    /// Every exporter has delivered it.
    Delivered,
}

/// `protocols.grpc`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcServer {
    /// Where to listen: `host:port`, or the socket's file for `transport: unix`.
    pub endpoint: String,
    /// Kind of the socket: `tcp`, `tcp4` or `tcp6` (of this kind only), or `unix`.
    pub transport: Transport,
    /// Accepted for files of the Collector, without effect: a server does not dial.
    pub dialer: ServerDialer,
    /// Accepted for files of the Collector, without effect: there are no named pipes here.
    pub npipe: Npipe,
    /// Who may send; without it everybody.
    pub auth: Optional<AuthSettings>,
    /// Serves TLS; off unless it is named.
    pub tls: Optional<TlsServer>,
    /// The largest message in MiB, packed or not; 0 means 4.
    pub max_recv_msg_size_mib: u64,
    /// Requests at once on one connection; 0 means the HTTP/2 stack's default of 200.
    pub max_concurrent_streams: u32,
    /// Accepted for files of the Collector, without effect: the HTTP/2 stack sizes its buffers itself.
    pub read_buffer_size: u64,
    /// Accepted for files of the Collector, without effect: the HTTP/2 stack sizes its buffers itself.
    pub write_buffer_size: u64,
    /// Pings and the age of connections.
    pub keepalive: KeepaliveServer,
    /// Hands the request's headers on, for components that read them (`project`, batching by metadata).
    pub include_metadata: bool,
    /// Must be empty: no extension here is a middleware.
    pub middlewares: Vec<Middleware>,
}

/// `protocols.http`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpServer {
    /// Where to listen: `host:port`, or the socket's file for `transport: unix`.
    pub endpoint: String,
    /// Kind of the socket: `tcp`, `tcp4` or `tcp6` (of this kind only), or `unix`.
    pub transport: Transport,
    /// Accepted for files of the Collector, without effect: a server does not dial.
    pub dialer: ServerDialer,
    /// Accepted for files of the Collector, without effect: there are no named pipes here.
    pub npipe: Npipe,
    /// Who may send; without it everybody.
    pub auth: Optional<HttpAuthSettings>,
    /// Serves TLS; off unless it is named.
    pub tls: Optional<TlsServer>,
    /// Path for traces.
    pub traces_url_path: String,
    /// Path for metrics.
    pub metrics_url_path: String,
    /// Path for logs.
    pub logs_url_path: String,
    /// The largest body in bytes, packed or not; 0 means 20 MiB.
    pub max_request_body_size: u64,
    /// The `content-encoding`s that bodies may have, `""` for none; without it all that are known: `gzip`, `zstd`, `zlib`,
    /// `deflate`, `snappy`, `x-snappy-framed`, `lz4` and none.
    pub compression_algorithms: Option<Vec<String>>,
    /// Web pages that may send; off unless it is named.
    pub cors: Optional<Cors>,
    /// Headers of every answer: a map, or a list of `name` and `value`. The values are never shown.
    pub response_headers: Headers,
    /// The longest from a request's first byte to the end of its head (HTTP/1.1); `0s` means `read_timeout`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub read_header_timeout: Duration,
    /// The longest from a request's head to the end of its body; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub read_timeout: Duration,
    /// The longest that a client may take nothing of an answer; `0s` is for ever.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub write_timeout: Duration,
    /// The longest that a connection may wait for its next request; `0s` means `read_timeout`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub idle_timeout: Duration,
    /// HTTP/1.1 connections take further requests after their first.
    pub keep_alives_enabled: bool,
    /// The newer place of `keep_alives_enabled` and `idle_timeout`.
    pub keepalive: KeepaliveHttpServer,
    /// Hands the request's headers on, for components that read them (`project`, batching by metadata).
    pub include_metadata: bool,
    /// Must be empty: no extension here is a middleware.
    pub middlewares: Vec<Middleware>,
}

/// Kind of a listening socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP; a name is bound on its IPv4 address if it has one.
    #[default]
    Tcp,
    /// TCP on IPv4.
    Tcp4,
    /// TCP on IPv6.
    Tcp6,
    /// A unix socket.
    Unix,
}

impl Transport {
    /// The kind of address to bind; `None` for a socket's file.
    pub(super) fn family(self) -> Option<Family> {
        match self {
            Transport::Tcp => Some(Family::Any),
            Transport::Tcp4 => Some(Family::V4),
            Transport::Tcp6 => Some(Family::V6),
            Transport::Unix => None,
        }
    }
}

impl Default for GrpcServer {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4317".to_owned(),
            transport: Transport::Tcp,
            dialer: ServerDialer::default(),
            npipe: Npipe::default(),
            auth: Optional(None),
            tls: Optional(None),
            max_recv_msg_size_mib: 0,
            max_concurrent_streams: 0,
            read_buffer_size: 512 << 10,
            write_buffer_size: 0,
            keepalive: KeepaliveServer::default(),
            include_metadata: false,
            middlewares: Vec::new(),
        }
    }
}

impl Default for HttpServer {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4318".to_owned(),
            transport: Transport::Tcp,
            dialer: ServerDialer::default(),
            npipe: Npipe::default(),
            auth: Optional(None),
            tls: Optional(None),
            traces_url_path: http_path(Signal::Traces).to_owned(),
            metrics_url_path: http_path(Signal::Metrics).to_owned(),
            logs_url_path: http_path(Signal::Logs).to_owned(),
            max_request_body_size: 0,
            compression_algorithms: None,
            cors: Optional(None),
            response_headers: Headers::default(),
            read_header_timeout: Duration::ZERO,
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            keep_alives_enabled: true,
            keepalive: KeepaliveHttpServer::default(),
            include_metadata: false,
            middlewares: Vec::new(),
        }
    }
}

impl Protocols {
    /// Both protocols on one socket.
    pub(super) fn share(&self) -> bool {
        match (self.grpc.as_ref(), self.http.as_ref()) {
            (Some(grpc), Some(http)) => {
                let same = (grpc.transport, &grpc.endpoint) == (http.transport, &http.endpoint);
                same && !(grpc.transport != Transport::Unix && grpc.endpoint.ends_with(":0"))
            }
            _ => false,
        }
    }
}

impl HttpServer {
    /// The configured headers, ready to send.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        self.response_headers.map()
    }

    /// The codings that are not known, if any.
    fn unknown_codings(&self) -> Option<String> {
        let names = self.compression_algorithms.iter().flatten();
        let unknown: Vec<&str> =
            names.map(String::as_str).filter(|name| Codec::from_name(name).is_none()).collect();
        (!unknown.is_empty()).then(|| {
            let known = "\"\", gzip, zstd, zlib, deflate, snappy, x-snappy-framed, lz4";
            format!("unknown compression algorithms: {}; there are {known}", unknown.join(", "))
        })
    }

    /// The signal of a path. A configured path may lack its first slash, as in the Collector.
    pub(super) fn signal(&self, path: &str) -> Option<Signal> {
        let paths = [
            (Signal::Traces, &self.traces_url_path),
            (Signal::Metrics, &self.metrics_url_path),
            (Signal::Logs, &self.logs_url_path),
        ];
        let path = path.trim_start_matches('/');
        paths.into_iter().find(|(_, own)| own.trim_start_matches('/') == path).map(|(signal, _)| signal)
    }
}

/// Protobuf cannot say more than 2 GiB.
const MAX_MIB: u64 = 2047;

impl ComponentConfig for OtlpConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let (grpc, http) = (self.protocols.grpc.as_ref(), self.protocols.http.as_ref());
        if grpc.is_none() && http.is_none() {
            let text = "must specify at least one protocol when using the OTLP receiver";
            found.push((String::new(), text.to_owned()));
        }
        if let Some(grpc) = grpc {
            listener_problems("protocols::grpc", grpc.transport, &grpc.endpoint, &grpc.tls, &mut found);
            if let Some(text) = Middleware::problem(&grpc.middlewares) {
                found.push(("protocols::grpc::middlewares".to_owned(), text));
            }
            if grpc.max_recv_msg_size_mib > MAX_MIB {
                let text = format!("a gRPC message can have at most {MAX_MIB} MiB");
                found.push(("protocols::grpc::max_recv_msg_size_mib".to_owned(), text));
            }
        }
        if let Some(http) = http {
            listener_problems("protocols::http", http.transport, &http.endpoint, &http.tls, &mut found);
            if let Err(error) = http.header_map() {
                found.push(("protocols::http::response_headers".to_owned(), error));
            }
            if let Some(text) = Middleware::problem(&http.middlewares) {
                found.push(("protocols::http::middlewares".to_owned(), text));
            }
            if let Some(text) = http.unknown_codings() {
                found.push(("protocols::http::compression_algorithms".to_owned(), text));
            }
            if http.max_request_body_size > MAX_MIB << 20 {
                let text = format!("a request can have at most {MAX_MIB} MiB");
                found.push(("protocols::http::max_request_body_size".to_owned(), text));
            }
        }
        if let (Some(grpc), Some(http), true) = (grpc, http, self.protocols.share()) {
            for (key, same) in [
                ("tls", grpc.tls == http.tls),
                (
                    "auth",
                    grpc.auth.as_ref().map(|auth| &auth.authenticator)
                        == http.auth.as_ref().map(|auth| &auth.authenticator),
                ),
                ("include_metadata", grpc.include_metadata == http.include_metadata),
            ] {
                if !same {
                    let text = format!("on one address gRPC and HTTP must have the same {key}");
                    found.push((format!("protocols::http::{key}"), text));
                }
            }
        }
        found
    }
}

fn listener_problems(
    path: &str,
    transport: Transport,
    endpoint: &str,
    tls: &Optional<TlsServer>,
    found: &mut Vec<(String, String)>,
) {
    let port = endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if transport == Transport::Unix && endpoint.is_empty() {
        found.push((format!("{path}::endpoint"), "a unix socket needs the path of its file".to_owned()));
    }
    if transport != Transport::Unix && port.is_none() {
        let text = format!("{endpoint:?} is not an address to listen on: host:port is expected");
        found.push((format!("{path}::endpoint"), text));
    }
    for (key, message) in tls.as_ref().map(TlsServer::problems).unwrap_or_default() {
        found.push((format!("{path}::tls::{key}"), message));
    }
}
