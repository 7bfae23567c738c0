//! The socket, its accept loop, and how it ends.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, lookup_host};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::connection::{self, Phase};
use super::{Handler, ServerOptions};

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

/// A socket that could not be bound.
#[derive(Debug)]
pub struct BindError {
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
        write!(f, "listen tcp {}: {why}", self.address)
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
        let failed = |source| BindError { address: address.to_owned(), source };
        let mut candidates: Vec<SocketAddr> = match address.strip_prefix(':').map(str::parse) {
            Some(Ok(port)) => {
                vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]
            }
            _ => lookup_host(address).await.map_err(failed)?.collect(),
        };
        if !address.starts_with(':') {
            candidates.sort_by_key(SocketAddr::is_ipv6);
        }
        let mut error = std::io::Error::other("the name has no address");
        for candidate in candidates {
            match TcpListener::bind(candidate).await {
                Ok(tcp) => return Ok(Self { address: tcp.local_addr().map_err(failed)?, tcp }),
                Err(why) => error = why,
            }
        }
        Err(failed(error))
    }

    /// The address that was bound; has the real port when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Starts to take connections.
    pub fn serve<H: Handler>(self, options: ServerOptions, handler: Arc<H>) -> Server {
        let (phase, watch) = watch::channel(Phase::Serving);
        let address = self.address;
        let task = tokio::spawn(accept(self.tcp, options, handler, watch));
        Server { address, phase, task: Mutex::new(Some(task)) }
    }
}

/// A listener that is served. Dropped, it stops at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Server {
    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
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
    tcp: TcpListener,
    options: ServerOptions,
    handler: Arc<H>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut connections = JoinSet::new();
    let options = Arc::new(options);
    loop {
        tokio::select! {
            accepted = tcp.accept() => match accepted {
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
    drop(tcp);
    while connections.join_next().await.is_some() {}
}
