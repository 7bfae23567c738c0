//! The process's listening sockets, by address: whoever is made anew takes over the socket of the one before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::net::{TcpListener, UnixListener};

use super::listener::{Address, BindError, Family, Listener, Socket, Unlink};

/// One for a process. A socket lives as long as one of its listeners does.
#[derive(Debug, Default)]
pub struct Sockets(Mutex<HashMap<Address, Weak<Shared>>>);

/// A bound socket, and whose it is.
#[derive(Debug)]
pub(super) struct Shared {
    socket: Bound,
    address: Address,
    owner: String,
    _unlink: Option<Arc<Unlink>>,
    /// The table lives as long as there is something in it.
    _table: Arc<Sockets>,
}

#[derive(Debug)]
enum Bound {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Sockets {
    /// Binds like [`Listener::bind`]. Where the same `owner` (`receiver/otlp`) listens already, the two share the socket:
    /// no connection is refused while the one follows the other.
    ///
    /// # Errors
    /// Addresses that cannot be bound, or that another owner has.
    pub async fn bind(self: &Arc<Self>, owner: &str, address: &str) -> Result<Listener, BindError> {
        self.bind_family(owner, address, Family::Any).await
    }

    /// The same for [`Listener::bind_family`].
    ///
    /// # Errors
    /// As with [`Sockets::bind`].
    pub async fn bind_family(
        self: &Arc<Self>,
        owner: &str,
        address: &str,
        family: Family,
    ) -> Result<Listener, BindError> {
        let failed = |source| BindError { network: "tcp", address: address.to_owned(), source };
        for candidate in Listener::candidates(address, family).await? {
            if let Some(socket) = self.of(owner, &Address::Tcp(candidate)) {
                return socket.listen().map_err(failed);
            }
        }
        self.share(owner, Listener::bind_family(address, family).await?).map_err(failed)
    }

    /// The same for [`Listener::bind_unix`].
    ///
    /// # Errors
    /// As with [`Sockets::bind`].
    pub fn bind_unix(self: &Arc<Self>, owner: &str, path: &str) -> Result<Listener, BindError> {
        let failed = |source| BindError { network: "unix", address: path.to_owned(), source };
        match self.of(owner, &Address::Unix(path.into())) {
            Some(socket) => socket.listen().map_err(failed),
            None => self.share(owner, Listener::bind_unix(path)?).map_err(failed),
        }
    }

    fn of(&self, owner: &str, address: &Address) -> Option<Arc<Shared>> {
        let socket = self.lock().get(address).and_then(Weak::upgrade);
        socket.filter(|socket| socket.owner == owner)
    }

    fn share(self: &Arc<Self>, owner: &str, bound: Listener) -> std::io::Result<Listener> {
        let Listener { socket, address, unlink, .. } = bound;
        let socket = match socket {
            Socket::Tcp(tcp) => Bound::Tcp(tcp.into_std()?),
            Socket::Unix(unix) => Bound::Unix(unix.into_std()?),
        };
        let (owner, table) = (owner.to_owned(), self.clone());
        let shared = Arc::new(Shared { socket, address, owner, _unlink: unlink, _table: table });
        let listener = shared.listen()?;
        let mut table = self.lock();
        table.retain(|_, socket| socket.strong_count() > 0);
        table.insert(shared.address.clone(), Arc::downgrade(&shared));
        Ok(listener)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Address, Weak<Shared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn listen(self: &Arc<Self>) -> std::io::Result<Listener> {
        let socket = match &self.socket {
            Bound::Tcp(tcp) => Socket::Tcp(TcpListener::from_std(tcp.try_clone()?)?),
            Bound::Unix(unix) => Socket::Unix(UnixListener::from_std(unix.try_clone()?)?),
        };
        Ok(Listener { socket, address: self.address.clone(), unlink: None, _shared: Some(self.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_owner_takes_its_socket_over_and_no_other_gets_it_before_it_is_free() {
        let sockets = Arc::new(Sockets::default());
        let first = sockets.bind("receiver/a", "127.0.0.1:0").await.unwrap();
        let other = sockets.bind("receiver/a", "127.0.0.1:0").await.unwrap();
        assert_ne!(first.local_addr(), other.local_addr(), "any free port is another one each time");
        let address = first.local_addr().to_string();
        let waiting = tokio::net::TcpStream::connect(&address).await.unwrap();
        let second = sockets.bind("receiver/a", &address).await.unwrap();
        let error = sockets.bind("receiver/b", &address).await.unwrap_err().to_string();
        assert!(error.ends_with("bind: address already in use"), "{error}");
        drop(first);
        let (_, peer) = second.socket.accept().await.unwrap();
        assert_eq!(peer, waiting.local_addr().ok(), "who waited for the first is served by the second");
        drop(second);
        sockets.bind("receiver/b", &address).await.unwrap();
    }

    #[tokio::test]
    async fn a_family_is_bound_alone() {
        let v4 = Listener::bind_family(":0", Family::V4).await.unwrap();
        assert!(v4.local_addr().tcp().unwrap().is_ipv4());
        assert!(Listener::bind_family("127.0.0.1:0", Family::V6).await.is_err());
        let any = Listener::bind_family("localhost:0", Family::Any).await.unwrap();
        assert!(any.local_addr().tcp().unwrap().is_ipv4(), "IPv4 comes first");
    }

    #[tokio::test]
    async fn the_file_of_a_unix_socket_goes_with_the_last_who_listens_on_it() {
        let sockets = Arc::new(Sockets::default());
        let file = std::env::temp_dir().join(format!("streamgauge-sockets-{}.sock", std::process::id()));
        let path = file.to_str().unwrap();
        let first = sockets.bind_unix("receiver/a", path).unwrap();
        let second = sockets.bind_unix("receiver/a", path).unwrap();
        assert!(sockets.bind_unix("receiver/b", path).is_err());
        drop(first);
        tokio::net::UnixStream::connect(path).await.unwrap();
        drop(second);
        assert!(!file.exists());
    }
}
