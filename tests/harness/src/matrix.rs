//! The versions of Redis and Valkey that the tests watch.

use std::path::{Path, PathBuf};

use crate::{Redis, RedisBuilder};

/// A server of the matrix: what scripts/setup put into `.cache/`, or Debian's redis-server.
#[derive(Debug, Clone)]
pub struct Server {
    /// `redis-6.2`, `redis-7.0`, `redis-8`, `valkey-8.1` or `valkey-9.1`.
    pub name: &'static str,
    program: PathBuf,
}

/// Names, and where their programs lie below `.cache/`.
const SERVERS: [(&str, &str); 5] = [
    ("redis-6.2", "servers/redis-6.2/server"),
    ("redis-7.0", ""),
    ("redis-8", "servers/redis-8/server"),
    ("valkey-8.1", "servers/valkey-8.1/server"),
    ("valkey-9.1", "valkey-server"),
];

impl Server {
    #[allow(clippy::print_stderr, reason = "a test may not silently try less")]
    /// Every server that is here. Which ones scripts/setup could not get is printed, so that a test's output says what
    /// it did not try.
    pub fn matrix() -> Vec<Server> {
        let mut here = Vec::new();
        for (name, _) in SERVERS {
            match Server::find(name) {
                Some(server) => here.push(server),
                None => eprintln!("{name} is not here: scripts/setup could not get it"),
            }
        }
        here
    }

    /// One of them, by its name.
    pub fn find(name: &str) -> Option<Server> {
        let (name, path) =
            SERVERS.into_iter().find(|(known, _)| *known == name).expect("a name of the matrix");
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache");
        let program = if path.is_empty() { "redis-server".into() } else { cache.join(path) };
        (path.is_empty() || program.exists()).then_some(Server { name, program })
    }

    /// Whether it is Valkey.
    pub fn is_valkey(&self) -> bool {
        self.name.starts_with("valkey")
    }

    /// The version as `(major, minor)`; of Redis 8 `(8, 0)`.
    pub fn version(&self) -> (u32, u32) {
        let mut numbers = self.name.split(['-', '.']).skip(1).map(|n| n.parse().expect("a number"));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// A builder for it.
    pub fn builder(&self) -> RedisBuilder {
        Redis::builder().program(&self.program, self.version() >= (7, 0))
    }

    /// Starts it with the defaults of [`Redis::start`].
    pub fn start(&self) -> Redis {
        self.builder().start()
    }
}
