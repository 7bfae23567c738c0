//! A server: one listener that speaks HTTP/1.1, HTTP/2 and gRPC, plain or by TLS, and hands whole requests
//! to a handler.
//!
//! It knows paths, headers and bytes, nothing of telemetry: the handler says which paths there are and what
//! becomes of a body.

mod answer;
mod connection;
mod cors;
mod listener;
mod pages;
mod read;
mod service;
mod slow;
mod sockets;
mod version;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http::request::Parts;
use streamgauge_pdata::Body;

use crate::memory::Memory;
use crate::settings::{Cors, KeepaliveEnforcement, KeepaliveServerParameters};
use crate::status::Status;
use crate::tls::ServerTls;

pub use listener::{Address, BindError, Family, Listener, Server};
pub use pages::Pages;
pub use slow::Timeouts;
pub use sockets::Sockets;

/// What a listener takes.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// gRPC, if it is spoken here: the largest message in bytes, packed or not.
    pub grpc: Option<usize>,
    /// Plain HTTP, if it is spoken here: the largest body in bytes, packed or not.
    pub http: Option<usize>,
    /// TLS, or plain text.
    pub tls: Option<Arc<ServerTls>>,
    /// Requests at once on one HTTP/2 connection; without it 200.
    pub max_concurrent_streams: Option<u32>,
    /// Pings and age of connections.
    pub keepalive: KeepaliveServerParameters,
    /// What clients may ask by pings; without it no time has to be between them.
    pub enforcement: Option<KeepaliveEnforcement>,
    /// How long clients are waited for.
    pub timeouts: Timeouts,
    /// Web pages that may send by HTTP; without it browsers keep all others than our own from it.
    pub cors: Option<Cors>,
    /// The `content-encoding`s that HTTP bodies may have, with `""` for none; without it all that are known.
    pub codings: Option<Vec<String>>,
    /// HTTP/1.1 connections take further requests after their first.
    pub keep_alive: bool,
    /// Headers of every answer by HTTP that does not set them itself.
    pub response_headers: HeaderMap,
    /// What bodies are charged to; without it nothing bounds their sum.
    pub memory: Option<Arc<dyn Memory>>,
}

/// The protocols to offer in a TLS handshake.
pub const ALPN: [&str; 2] = ["h2", "http/1.1"];
/// The Collector's default for the largest gRPC message: 4 MiB.
pub const GRPC_MESSAGE_LIMIT: usize = 4 << 20;
/// The Collector's default for the largest HTTP body: 20 MiB.
pub const HTTP_BODY_LIMIT: usize = 20 << 20;

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            grpc: Some(GRPC_MESSAGE_LIMIT),
            http: Some(HTTP_BODY_LIMIT),
            tls: None,
            max_concurrent_streams: None,
            keepalive: KeepaliveServerParameters::default(),
            enforcement: None,
            timeouts: Timeouts::default(),
            cors: None,
            codings: None,
            keep_alive: true,
            response_headers: HeaderMap::new(),
            memory: None,
        }
    }
}

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// gRPC; the path is `/package.Service/Method`.
    Grpc,
    /// A POST by HTTP.
    Http,
}

impl Protocol {
    /// `grpc` or `http`, as the Collector's `transport` attribute has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        }
    }
}

/// How OTLP is written in a body. A gRPC message is always protobuf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Protobuf, `application/x-protobuf`.
    #[default]
    Proto,
    /// OTLP/JSON, `application/json`.
    Json,
}

impl Encoding {
    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Encoding::Proto => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    /// The encoding that `content-type` names; its parameters do not matter.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = value.split(';').next().unwrap_or_default().trim();
        [Encoding::Proto, Encoding::Json]
            .into_iter()
            .find(|one| one.content_type().eq_ignore_ascii_case(kind))
    }
}

/// A whole request.
#[derive(Debug)]
pub struct Request<R> {
    /// What the handler made of the path.
    pub route: R,
    /// How it came.
    pub protocol: Protocol,
    /// How the body is written, and how the answer's message has to be.
    pub encoding: Encoding,
    /// Its head, which other requests of the same client may share.
    pub head: Arc<Parts>,
    /// The client's address; none on a unix socket.
    pub peer: Option<Arc<str>>,
    /// Who the client proved to be.
    pub identity: Option<Arc<str>>,
    /// How long the client waits, if it says so (`grpc-timeout`).
    pub timeout: Option<Duration>,
    /// The message, unpacked and in one piece.
    pub body: Body,
}

impl<R> Request<R> {
    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Taken; the bytes are the answer's message, in the request's encoding (an OTLP answer without a partial success is
    /// empty in protobuf).
    Ok(Bytes),
    /// Not taken.
    Refused(Status),
}

/// Who sent a request is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why, for the client.
    pub message: String,
    /// What the client must show (`WWW-Authenticate`).
    pub challenge: String,
}

/// Takes requests.
pub trait Handler: Send + Sync + 'static {
    /// What a path means, such as the signal that comes on it.
    type Route: Copy + Send;

    /// What this path means; `None` when nothing is served there. Asked before the body is read.
    fn route(&self, protocol: Protocol, path: &str) -> Option<Self::Route>;

    /// Who sends with these headers, and with this query in an HTTP request's URL; `None` lets everybody in. Asked before the
    /// body is read.
    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
        query: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Arc<str>, Denied>>> {
        let _ = (headers, query);
        None
    }

    /// Takes a request. The future is dropped when the client goes away first.
    fn handle(&self, request: Request<Self::Route>) -> BoxFuture<'_, Reply>;

    /// Told of every request that the transport refuses by itself (too large, undecodable), for counting.
    fn refused(&self, route: Self::Route, status: &Status) {
        let _ = (route, status);
    }
}
