//! A private redis-server or valkey-server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Process;
use crate::{Certs, free_port, poll_until};

/// A free port whose neighbour 10,000 above, the cluster bus, is free too.
fn free_port_with_bus() -> u16 {
    loop {
        let port = free_port();
        if std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

const START: Duration = Duration::from_secs(10);

/// A running server with a directory of its own. Nothing is saved to disk, so a restart starts empty.
pub struct Redis {
    dir: TempDir,
    program: PathBuf,
    config: String,
    sentinel: bool,
    port: u16,
    tls_port: Option<u16>,
    unix_socket: Option<PathBuf>,
    certs: Option<Certs>,
    password: Option<String>,
    process: Option<Process>,
}

/// How a [`Redis`] is to be started. It always listens on a plain TCP port; the rest comes on top.
#[derive(Default)]
pub struct RedisBuilder {
    program: Option<PathBuf>,
    /// Older than Redis 7.0, where DEBUG was always allowed and the line for it is unknown.
    is_old: bool,
    sentinel: bool,
    cluster: bool,
    lines: Vec<String>,
    port: Option<u16>,
    unix_socket: bool,
    tls: bool,
    mutual_tls: bool,
    password: Option<String>,
}

/// The Valkey server that scripts/setup puts into `.cache/`.
pub struct Valkey;

impl Valkey {
    /// Starts Valkey 9.1 with the defaults of [`Redis::start`].
    pub fn start() -> Redis {
        Valkey::builder().start()
    }

    /// A builder for a Valkey server. It is built without TLS.
    pub fn builder() -> RedisBuilder {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/valkey-server");
        let program = std::env::var_os("STREAMGAUGE_VALKEY").map_or(home, PathBuf::from);
        assert!(program.exists(), "no valkey-server in .cache: run scripts/setup");
        RedisBuilder { program: Some(program), ..RedisBuilder::default() }
    }
}

impl RedisBuilder {
    /// Another server program than Debian's; `knows_debug` is false before Redis 7.0.
    pub(crate) fn program(mut self, program: &Path, knows_debug: bool) -> Self {
        (self.program, self.is_old) = (Some(program.to_owned()), !knows_debug);
        self
    }

    /// Starts it as a sentinel; what it watches is said by `sentinel ...` lines.
    pub fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// Starts it as a node of a cluster, with a bus port 10,000 above its port.
    pub(crate) fn cluster(mut self) -> Self {
        self.cluster = true;
        self.config("cluster-enabled yes")
    }

    /// Adds a line to redis.conf, such as `maxmemory 100mb`.
    pub fn config(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Listens on this port, where somebody waits already.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Adds an ACL user by its rules, such as `monitor on >secret ~* +info`.
    pub fn user(self, rules: &str) -> Self {
        self.config(&format!("user {rules}"))
    }

    /// Asks for a password from the default user.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.config(&format!("requirepass {password}"))
    }

    /// Listens on a unix socket too.
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// Listens on a TLS port too, with a generated certificate; clients need none.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// [`RedisBuilder::tls`], and clients must show a certificate of the same authority.
    pub fn mutual_tls(mut self) -> Self {
        self.mutual_tls = true;
        self.tls()
    }

    /// Starts the server and waits until it answers.
    pub fn start(self) -> Redis {
        let dir = tempfile::tempdir().expect("make a directory");
        let free = if self.cluster { free_port_with_bus } else { free_port };
        let port = self.port.unwrap_or_else(free);
        let certs = self.tls.then(|| Certs::generate(dir.path()));
        let tls_port = self.tls.then(free_port);
        let unix_socket = self.unix_socket.then(|| dir.path().join("redis.sock"));
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("dir {}", dir.path().display()),
        ];
        if !self.sentinel {
            lines.extend(["save \"\"", "appendonly no"].map(String::from));
        }
        if !self.sentinel && !self.is_old {
            lines.push("enable-debug-command yes".to_owned());
        }
        if let Some(path) = &unix_socket {
            lines.push(format!("unixsocket {}", path.display()));
        }
        if let (Some(certs), Some(port)) = (&certs, tls_port) {
            lines.push(format!("tls-port {port}"));
            lines.push(format!("tls-cert-file {}", certs.server_cert.display()));
            lines.push(format!("tls-key-file {}", certs.server_key.display()));
            lines.push(format!("tls-ca-cert-file {}", certs.ca.display()));
            lines.push(format!("tls-auth-clients {}", if self.mutual_tls { "yes" } else { "no" }));
        }
        lines.extend(self.lines);
        let mut redis = Redis {
            dir,
            program: self.program.unwrap_or_else(|| "redis-server".into()),
            config: lines.join("\n") + "\n",
            sentinel: self.sentinel,
            port,
            tls_port,
            unix_socket,
            certs,
            password: self.password,
            process: None,
        };
        redis.start_again();
        redis
    }
}

impl Redis {
    /// Starts Debian's redis-server on a free port.
    pub fn start() -> Redis {
        Redis::builder().start()
    }

    /// A builder for everything that is not default.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// The plain TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`.
    pub fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `redis://127.0.0.1:port`, without credentials.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr())
    }

    /// `localhost:port` of the TLS listener; panics without [`RedisBuilder::tls`].
    pub fn tls_addr(&self) -> String {
        format!("localhost:{}", self.tls_port.expect("started with tls()"))
    }

    /// The unix socket; panics without [`RedisBuilder::unix_socket`].
    pub fn socket(&self) -> &Path {
        self.unix_socket.as_deref().expect("started with unix_socket()")
    }

    /// The certificates of the TLS listener; panics without [`RedisBuilder::tls`].
    pub fn certs(&self) -> &Certs {
        self.certs.as_ref().expect("started with tls()")
    }

    /// The server's working directory, removed with the server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// A new blocking connection as the default user.
    pub fn connection(&self) -> redis::Connection {
        self.try_connection().unwrap_or_else(|e| panic!("cannot connect to {}: {e}", self.addr()))
    }

    /// A client as the default user, for async connections.
    pub fn client(&self) -> redis::Client {
        let auth = self.password.as_ref().map(|p| format!(":{p}@")).unwrap_or_default();
        redis::Client::open(format!("redis://{auth}{}", self.addr())).expect("a valid URL")
    }

    fn try_connection(&self) -> redis::RedisResult<redis::Connection> {
        let connection = self.client().get_connection_with_timeout(Duration::from_secs(5))?;
        connection.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(connection)
    }

    /// Runs one command, given as words; panics when the server refuses it.
    ///
    /// ```no_run
    /// # use streamgauge_harness::Redis;
    /// let redis = Redis::start();
    /// let id: String = redis.run("XADD orders * amount 7");
    /// ```
    #[track_caller]
    pub fn run<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split_whitespace();
        let mut cmd = redis::cmd(words.next().expect("a command"));
        words.for_each(|word| {
            cmd.arg(word);
        });
        cmd.query(&mut self.connection()).unwrap_or_else(|e| panic!("{command}: {e}"))
    }

    /// Adds `count` entries with one field to a stream.
    pub fn fill(&self, stream: &str, count: usize) {
        let mut pipe = redis::pipe();
        for n in 0..count {
            pipe.cmd("XADD").arg(stream).arg("*").arg("n").arg(n).ignore();
        }
        pipe.query::<()>(&mut self.connection()).expect("add entries");
    }

    /// What redis-cli prints for these arguments, without the last newline.
    pub fn cli(&self, args: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(password) = &self.password {
            command.args(["--no-auth-warning", "-a", password]);
        }
        let out = command.args(args).output().expect("run redis-cli; scripts/setup installs it");
        String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
    }

    /// A field of INFO, such as `used_memory`.
    pub fn info(&self, field: &str) -> Option<String> {
        let text: String = self.run("INFO everything");
        text.lines()
            .filter_map(|l| l.split_once(':'))
            .find(|(name, _)| *name == field)
            .map(|(_, v)| v.to_owned())
    }

    /// Kills the server; what connects is refused from now on.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Whether it was started and not stopped since.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Starts a stopped server on the same ports, empty.
    pub fn start_again(&mut self) {
        self.stop();
        let config = self.dir.path().join("redis.conf");
        std::fs::write(&config, &self.config).expect("write redis.conf");
        let log = self.dir.path().join("server.log");
        let mut command = Command::new(&self.program);
        command.arg(&config).args(self.sentinel.then_some("--sentinel"));
        let mut process = Process::spawn(&mut command, &log);
        poll_until("redis-server answers", START, || {
            if let Some(status) = process.ended() {
                panic!("redis-server ended with {status}:\n{}", process.log());
            }
            self.try_connection().ok()
        });
        self.process = Some(process);
    }

    /// [`Redis::stop`] and [`Redis::start_again`]: a new run_id, counters from zero, no keys.
    pub fn restart(&mut self) {
        self.start_again();
    }

    /// Halts the process: connections stay open and nothing answers, until [`Redis::thaw`].
    pub fn freeze(&self) {
        self.process.as_ref().expect("a running server").signal("STOP");
    }

    /// Ends [`Redis::freeze`].
    pub fn thaw(&self) {
        self.process.as_ref().expect("a running server").signal("CONT");
    }
}
