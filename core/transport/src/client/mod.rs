//! Clients: unary gRPC over a few shared HTTP/2 connections, and POST over a small pool of HTTP connections.
//! Both connect when they are first used, and again when a connection is gone.

mod connect;
mod cookies;
mod endpoint;
mod error;
mod grpc;
mod grpc_heads;
mod http;
mod proxy;
mod proxy_rules;

pub use connect::{ClientOptions, reach};
pub use cookies::Cookies;
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ClientError, Failure};
pub use grpc::{GrpcAnswer, GrpcClient};
pub use http::{HttpAnswer, HttpClient};
pub use proxy::Proxy;

/// The protocols to offer in the TLS handshake of an [`HttpClient`].
pub const HTTP_ALPN: [&str; 2] = ["h2", "http/1.1"];
/// The protocol to offer in the TLS handshake of a [`GrpcClient`].
pub const GRPC_ALPN: [&str; 1] = ["h2"];
