//! The section of receiver `otlp`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{AuthSettings, ComponentConfig, Optional, Signal};
use streamgauge_config::Secret;
use streamgauge_transport::{Cors, HeaderMap, KeepaliveServer, TlsServer, header_map, http_path};

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
    /// Kind of the socket: `tcp` or `unix`.
    pub transport: Transport,
    /// Who may send; without it everybody.
    pub auth: Option<AuthSettings>,
    /// Serves TLS; off unless it is named.
    pub tls: Optional<TlsServer>,
    /// The largest message in MiB, packed or not; 0 means 4.
    pub max_recv_msg_size_mib: u64,
    /// Requests at once on one connection; 0 means the HTTP/2 stack's default of 200.
    pub max_concurrent_streams: u32,
    /// Accepted for files of the Collector, without effect: the HTTP/2 stack sizes its buffers itself.
    pub read_buffer_size: u64,
    /// Accepted for files of the Collector, without effect.
    pub write_buffer_size: u64,
    /// Pings and the age of connections.
    pub keepalive: KeepaliveServer,
    /// Hands the request's headers on, for components that read them (`project`, batching by metadata).
    pub include_metadata: bool,
}

/// `protocols.http`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpServer {
    /// Where to listen: `host:port`, or the socket's file for `transport: unix`.
    pub endpoint: String,
    /// Kind of the socket: `tcp` or `unix`.
    pub transport: Transport,
    /// Who may send; without it everybody.
    pub auth: Option<AuthSettings>,
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
    /// Web pages that may send; off unless it is named.
    pub cors: Option<Cors>,
    /// Headers of every answer. The values are never shown.
    pub response_headers: BTreeMap<String, Secret>,
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
    /// Hands the request's headers on, for components that read them (`project`, batching by metadata).
    pub include_metadata: bool,
}

/// Kind of a listening socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// A unix socket.
    Unix,
}

impl Default for GrpcServer {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4317".to_owned(),
            transport: Transport::Tcp,
            auth: None,
            tls: Optional(None),
            max_recv_msg_size_mib: 0,
            max_concurrent_streams: 0,
            read_buffer_size: 512 << 10,
            write_buffer_size: 0,
            keepalive: KeepaliveServer::default(),
            include_metadata: false,
        }
    }
}

impl Default for HttpServer {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4318".to_owned(),
            transport: Transport::Tcp,
            auth: None,
            tls: Optional(None),
            traces_url_path: http_path(Signal::Traces).to_owned(),
            metrics_url_path: http_path(Signal::Metrics).to_owned(),
            logs_url_path: http_path(Signal::Logs).to_owned(),
            max_request_body_size: 0,
            cors: None,
            response_headers: BTreeMap::new(),
            read_header_timeout: Duration::ZERO,
            read_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            include_metadata: false,
        }
    }
}

impl Protocols {
    /// Both protocols on one socket.
    pub(super) fn share(&self) -> bool {
        match (self.grpc.as_ref(), self.http.as_ref()) {
            (Some(grpc), Some(http)) => {
                let same = (grpc.transport, &grpc.endpoint) == (http.transport, &http.endpoint);
                same && !(grpc.transport == Transport::Tcp && grpc.endpoint.ends_with(":0"))
            }
            _ => false,
        }
    }
}

impl HttpServer {
    /// The configured headers, ready to send.
    pub(super) fn header_map(&self) -> Result<HeaderMap, String> {
        header_map(self.response_headers.iter().map(|(name, value)| (name.as_str(), value.expose())))
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
            if http.max_request_body_size > MAX_MIB << 20 {
                let text = format!("a request can have at most {MAX_MIB} MiB");
                found.push(("protocols::http::max_request_body_size".to_owned(), text));
            }
        }
        if let (Some(grpc), Some(http), true) = (grpc, http, self.protocols.share()) {
            for (key, same) in [
                ("tls", grpc.tls == http.tls),
                ("auth", grpc.auth == http.auth),
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
    if transport == Transport::Tcp && port.is_none() {
        let text = format!("{endpoint:?} is not an address to listen on: host:port is expected");
        found.push((format!("{path}::endpoint"), text));
    }
    for (key, message) in tls.as_ref().map(TlsServer::problems).unwrap_or_default() {
        found.push((format!("{path}::tls::{key}"), message));
    }
}
