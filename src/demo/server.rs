//! The Redis of the demo: the one of `REDIS_URL`, else a private redis-server that dies with this value.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tokio::process::{Child, Command};

const START: Duration = Duration::from_secs(10);

/// Where the demo's Redis is. Holds the private server, if there is one.
pub struct Server {
    url: String,
    private: Option<(Child, Directory)>,
}

/// A directory that is removed with this value.
pub struct Directory(pub PathBuf);

impl Directory {
    /// A new directory of this process under the system's temporary one.
    pub fn create(name: &str) -> Result<Directory, String> {
        let path = std::env::temp_dir().join(format!("streamgauge-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// Uses `url`, or starts a private server and waits until it answers.
    pub async fn start(url: Option<String>) -> Result<Server, String> {
        match url {
            Some(url) => Ok(Server { url, private: None }),
            None => Server::start_private().await,
        }
    }

    async fn start_private() -> Result<Server, String> {
        let directory = Directory::create("demo-redis")?;
        let port = free_port().map_err(|e| format!("no free port: {e}"))?;
        let mut child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning", "--dir"])
            .arg(&directory.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| {
                format!(
                    "cannot start redis-server: {e}; install it, or set REDIS_URL to a server for trying out"
                )
            })?;
        let start = Instant::now();
        let url = format!("redis://127.0.0.1:{port}");
        while connect(&url).await.is_err() {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("redis-server ended at once ({status})"));
            }
            if start.elapsed() > START {
                return Err(format!("redis-server does not answer on {url}"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Server { url, private: Some((child, directory)) })
    }

    /// Its URL; may hold a password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the demo started it.
    pub fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// A new connection.
    pub async fn connect(&self) -> Result<MultiplexedConnection, String> {
        connect(&self.url).await.map_err(|e| format!("cannot connect to Redis: {e}"))
    }
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> std::io::Result<u16> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}
