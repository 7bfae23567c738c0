//! The socket, its accept loop, and how it ends.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::connection::{self, Io, Phase};
use super::sockets::Shared;
use super::{Handler, ServerOptions};

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    pub(super) address: Address,
    /// The socket's file, when it is this listener's alone.
    pub(super) unlink: Option<Arc<Unlink>>,
    /// The socket, when others may take it over.
    pub(super) _shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection as it was accepted.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    pub fn boxed(self) -> Box<dyn Io> {
        match self {
            Stream::Tcp(stream) => Box::new(stream),
            Stream::Unix(stream) => Box::new(stream),
        }
    }
}

impl Socket {
    pub(super) async fn accept(&self) -> std::io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Socket::Tcp(tcp) => tcp.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), Some(peer))),
            Socket::Unix(unix) => unix.accept().await.map(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }
}

/// Of which kind a TCP address has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Either.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket's file.
    Unix(PathBuf),
}

impl Address {
    /// The address on TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The socket's file goes with the listener.
#[derive(Debug)]
pub(super) struct Unlink(pub(super) Address);

impl Drop for Unlink {
    fn drop(&mut self) {
        if let Address::Unix(path) = &self.0
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::debug!(path = %path.display(), %error, "cannot remove the socket's file");
        }
    }
}

/// A socket that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// `tcp` or `unix`.
    pub network: &'static str,
    /// The address as it was configured.
    pub address: String,
    /// Why.
    pub source: std::io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.source.kind() {
            std::io::ErrorKind::AddrInUse => "bind: address already in use".to_owned(),
            _ => self.source.to_string(),
        };
        write!(f, "listen {} {}: {why}", self.network, self.address)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Listener {
    /// Binds `host:port`. A name is bound on its IPv4 address if it has one, as the Collector does; an empty
    /// host is every address of the machine.
    pub async fn bind(address: &str) -> Result<Self, BindError> {
        Self::bind_family(address, Family::Any).await
    }

    /// The same on an address of this family.
    pub async fn bind_family(address: &str, family: Family) -> Result<Self, BindError> {
        let failed = |source| BindError { network: "tcp", address: address.to_owned(), source };
        let mut error = std::io::Error::other("the name has no address of this kind");
        for candidate in Self::candidates(address, family).await? {
            match TcpListener::bind(candidate).await {
                Ok(tcp) => {
                    let address = Address::Tcp(tcp.local_addr().map_err(failed)?);
                    return Ok(Self { socket: Socket::Tcp(tcp), address, unlink: None, _shared: None });
                }
                Err(why) => error = why,
            }
        }
        Err(failed(error))
    }

    /// Binds a unix socket. A file that nobody listens on any more is replaced.
    pub fn bind_unix(path: &str) -> Result<Self, BindError> {
        let failed = |source| BindError { network: "unix", address: path.to_owned(), source };
        let stale = |path: &str| match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => true,
            Ok(_) | Err(_) => false,
        };
        if stale(path) {
            std::fs::remove_file(path).map_err(failed)?;
        }
        let unix = UnixListener::bind(path).map_err(failed)?;
        let address = Address::Unix(path.into());
        let unlink = Some(Arc::new(Unlink(address.clone())));
        Ok(Self { socket: Socket::Unix(unix), address, unlink, _shared: None })
    }

    /// The addresses that are tried, in order.
    pub(super) async fn candidates(address: &str, family: Family) -> Result<Vec<SocketAddr>, BindError> {
        let failed = |source| BindError { network: "tcp", address: address.to_owned(), source };
        let mut candidates: Vec<SocketAddr> = match address.strip_prefix(':').map(str::parse) {
            Some(Ok(port)) => {
                vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
            }
            _ => lookup_host(address).await.map_err(failed)?.collect(),
        };
        if !address.starts_with(':') {
            candidates.sort_by_key(SocketAddr::is_ipv6);
        }
        candidates.retain(|candidate| family.has(candidate));
        Ok(candidates)
    }

    /// The address that was bound; has the real port when 0 was asked for.
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Starts to take connections.
    pub fn serve<H: Handler>(self, options: ServerOptions, handler: Arc<H>) -> Server {
        let (phase, watch) = watch::channel(Phase::Serving);
        let address = self.address.clone();
        let task = tokio::spawn(accept(self, options, handler, watch));
        Server { address, phase, task: Mutex::new(Some(task)) }
    }
}

/// A listener that is served. Dropped, it stops at once.
#[derive(Debug)]
pub struct Server {
    address: Address,
    phase: watch::Sender<Phase>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// The address it listens on.
    pub fn local_addr(&self) -> &Address {
        &self.address
    }

    /// Takes no new connections and no new requests; requests under way go on to their answers.
    pub fn stop_intake(&self) {
        self.phase.send_if_modified(|phase| {
            let serving = *phase == Phase::Serving;
            *phase = (*phase).max(Phase::Draining);
            serving
        });
    }

    /// Waits for the answers to what is under way, at most until the deadline, then cuts what is left.
    /// Returns the number of connections that were cut.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.stop_intake();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return 0 };
        if tokio::time::timeout(deadline, &mut task).await.is_ok() {
            return 0;
        }
        let cut = self.phase.receiver_count().saturating_sub(1); // one is the accept loop's
        self.phase.send_replace(Phase::Closed);
        let _ = task.await;
        cut
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Closed);
    }
}

async fn accept<H: Handler>(
    listener: Listener,
    options: ServerOptions,
    handler: Arc<H>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut connections = JoinSet::new();
    let options = Arc::new(options);
    loop {
        tokio::select! {
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    let serve = connection::serve(stream, peer, options.clone(), handler.clone(), phase.clone());
                    connections.spawn(serve);
                }
                Err(error) => {
                    // Most often "too many open files": the socket stays ready, so do not spin.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = phase.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
