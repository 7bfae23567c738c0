//! From an endpoint to a connected stream.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::cookies::Cookies;
use super::endpoint::{Address, Endpoint};
use super::error::{ClientError, Failure, causes};
use super::proxy::Proxy;
use crate::settings::KeepaliveClient;
use crate::tls::ClientTls;

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// TLS, or plain text.
    pub tls: Option<Arc<ClientTls>>,
    /// The name that the server's certificate must have, in place of the endpoint's host.
    pub server_name: Option<String>,
    /// The proxy before the server.
    pub proxy: Option<Proxy>,
    /// Cookies of HTTP servers are kept here and shown to them again; not kept without it.
    pub cookies: Option<Arc<Cookies>>,
    /// A gRPC call that finds no server waits for one, until its timeout.
    pub wait_for_ready: bool,
    /// The most connections of a gRPC client; 0 is as 1.
    pub connections: usize,
    /// HTTP/2 pings; off without it.
    pub keepalive: Option<KeepaliveClient>,
    /// An HTTP connection that was unused for longer is not used again. The Collector's default is 90 s.
    pub idle_timeout: Duration,
    /// HTTP connections kept for use again. The Collector's default is 100.
    pub max_idle: usize,
    /// The most HTTP/1.1 connections at the same time; requests beyond wait. Without it there is no bound.
    pub max_connections: Option<usize>,
    /// The most bytes of an answer that are read: 4 MiB for gRPC's default; the rest is an error for gRPC
    /// and cut off for HTTP.
    pub max_answer: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            tls: None,
            server_name: None,
            proxy: None,
            cookies: None,
            wait_for_ready: false,
            connections: 1,
            keepalive: None,
            idle_timeout: Duration::from_secs(90),
            max_idle: 100,
            max_connections: None,
            max_answer: 4 << 20,
        }
    }
}

pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(super) struct Connected {
    pub io: Box<dyn Io>,
    /// The TLS handshake chose HTTP/2.
    pub h2: bool,
}

/// Connects, with the TLS handshake where there is one, and closes the connection again: nothing is asked.
///
/// # Errors
/// No connection, and at which step.
pub async fn reach(endpoint: &Endpoint, options: &ClientOptions) -> Result<(), ClientError> {
    connect(endpoint, 0, Through::Tunnel, options).await.map(drop)
}

/// How a proxy, if there is one, passes requests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// It reads them: plain HTTP.
    Forward,
    /// It sees bytes only.
    Tunnel,
}

/// Of a name's addresses the one whose turn it is comes first, then the others.
pub(super) async fn connect(
    endpoint: &Endpoint,
    turn: usize,
    through: Through,
    options: &ClientOptions,
) -> Result<Connected, ClientError> {
    let failed = |step: &str, error: &dyn std::error::Error| {
        ClientError::new(Failure::Connect, format!("{step} {endpoint}: {}", causes(error)))
    };
    let by_proxy = |why: String| ClientError::new(Failure::Connect, format!("connect {endpoint}: {why}"));
    let io: Box<dyn Io> = match (&endpoint.address, &options.proxy) {
        (Address::Tcp { .. }, Some(proxy)) if through == Through::Tunnel => {
            proxy.tunnel(endpoint).await.map_err(by_proxy)?
        }
        (Address::Tcp { .. }, Some(proxy)) => proxy.connect().await.map_err(by_proxy)?,
        (Address::Unix(path), _) => {
            Box::new(UnixStream::connect(path).await.map_err(|e| failed("connect", &e))?)
        }
        (Address::Tcp { host, port }, None) => {
            let found = lookup_host((host.as_str(), *port)).await.map_err(|e| failed("connect", &e))?;
            let mut addresses: Vec<_> = found.collect();
            let first = turn % addresses.len().max(1);
            addresses.rotate_left(first);
            let stream = TcpStream::connect(&*addresses).await.map_err(|e| failed("connect", &e))?;
            stream.set_nodelay(true).map_err(|e| failed("connect", &e))?;
            Box::new(stream)
        }
    };
    let Some(tls) = &options.tls else { return Ok(Connected { io, h2: false }) };
    let name = options.server_name.as_deref().unwrap_or_else(|| endpoint.host());
    let name = ServerName::try_from(name.to_owned()).map_err(|e| failed("server name for", &e))?;
    let stream = TlsConnector::from(tls.get())
        .connect(name, io)
        .await
        .map_err(|e| failed("TLS handshake with", &e))?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Connected { io: Box::new(stream), h2 })
}
