//! OTLP over HTTP/1, HTTP/2 and gRPC, on hyper but for the HTTP/2 of servers and of gRPC, which is `core/http2`; TLS and compression.
//!
//! Bytes in, bytes out: this crate knows paths, headers, limits and statuses, nothing of records, acks or
//! pipelines. Receivers serve with a [`Listener`] and a [`Handler`]; exporters call with a [`GrpcClient`] or
//! an [`HttpClient`]. The settings that they have in common are here as well, with the Collector's keys.

mod client;
mod code;
mod compression;
mod deframe;
pub mod fuzz;
mod headers;
mod json;
mod memory;
mod otlp;
mod partial;
mod payload;
mod retry_after;
mod server;
mod settings;
mod status;
mod text;
mod tls;
mod wire;

pub use client::{
    ClientError, ClientOptions, Cookies, Endpoint, EndpointError, Failure, GRPC_ALPN, GrpcAnswer, GrpcClient,
    HTTP_ALPN, HttpAnswer, HttpClient, Proxy, reach,
};
pub use code::Code;
pub use compression::{Codec, Compression, PACK_FROM, UnpackError};
pub use deframe::{Deframer, FrameError, Framed};
pub use headers::header_map;
pub use memory::Memory;
pub use otlp::{grpc_path, http_path};
pub use partial::PartialSuccess;
pub use payload::Payload;
pub use retry_after::retry_after;
pub use server::{
    ALPN, Address, BindError, Denied, Encoding, Family, GRPC_MESSAGE_LIMIT, HTTP_BODY_LIMIT, Handler,
    Listener, Pages, Protocol, Reply, Request, Server, ServerOptions, Sockets, Timeouts,
};
pub use settings::{
    CookieSettings, Cors, Headers, HttpAuthSettings, KeepaliveClient, KeepaliveEnforcement,
    KeepaliveHttpClient, KeepaliveHttpServer, KeepaliveServer, KeepaliveServerParameters, Middleware, Npipe,
    ServerDialer, TlsClient, TlsServer, TlsVersion, Tpm,
};
pub use status::Status;
pub use text::query_value;
pub use tls::{ClientTls, ServerTls, TlsError};

/// Re-exported so that components name the same version.
pub use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
