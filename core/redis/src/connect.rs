//! Opening the connection: socket, TLS, user, name.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, Pipeline, RedisConnectionInfo, RedisError, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::capped::{Allowance, Capped, Socket};
use crate::command::ReadCommand;
use crate::endpoint::{Address, Target};
use crate::error::Unreachable;
use crate::info::Info;
use crate::reply::bytes;

/// The name of our connections in CLIENT LIST.
const NAME: &str = "streamgauge";
/// What the answers to the first commands may hold.
const GREETING: usize = 1 << 20;

/// An open connection.
pub(crate) struct Live {
    connection: MultiplexedConnection,
    allowance: Allowance,
    driver: JoinHandle<()>,
    /// The database that is selected.
    pub(crate) db: u32,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why a pipeline has no answers.
pub(crate) enum Broken {
    /// More bytes came than were allowed.
    TooLarge,
    /// The connection is gone.
    Lost(RedisError),
}

impl Live {
    /// Connects as the target says.
    pub(crate) async fn open(target: &Target, tls: Option<&Tls>) -> Result<Live, Unreachable> {
        let allowance = Allowance::default();
        allowance.set(GREETING);
        let socket = Capped { socket: socket(target, tls).await?, allowance: allowance.clone() };
        let mut user = RedisConnectionInfo::default().set_db(i64::from(target.db)).set_skip_set_lib_name();
        if let Some(name) = &target.username {
            user = user.set_username(name);
        }
        if target.username.is_some() || target.password.is_some() {
            user = user.set_password(target.password.as_deref().unwrap_or(""));
        }
        // redis-rs would give up on an answer after 500 ms; here the caller's deadline is the limit.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&user, socket, config)
            .await
            .map_err(|error| refused(target, &error))?;
        let mut live = Live { connection, allowance, driver: tokio::spawn(driver), db: target.db };
        live.greet(target).await?;
        Ok(live)
    }

    /// Says who we are. A refusal costs nothing but the name.
    async fn greet(&mut self, target: &Target) -> Result<(), Unreachable> {
        let lost = |broken| match broken {
            Broken::TooLarge => Unreachable::new("connect", format!("{} is no Redis server", target.address)),
            Broken::Lost(error) => refused(target, &error),
        };
        let first = [ReadCommand::set_name(NAME), ReadCommand::info_server()];
        let answers = self.send(&first, GREETING).await.map_err(lost)?;
        if let Some(Value::ServerError(error)) = answers.iter().find(|answer| no_auth(answer)) {
            let text = format!("{} asks for a password: set password ({})", target.address, error.code());
            return Err(Unreachable::new("auth", text));
        }
        let text = answers.get(1).and_then(bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        // An older server would count an error in INFO errorstats, where people look for their own.
        if Info::parse(&text).at_least(7, 2) {
            let more = [
                ReadCommand::set_info("LIB-NAME", NAME),
                ReadCommand::set_info("LIB-VER", env!("CARGO_PKG_VERSION")),
                ReadCommand::no_touch(),
            ];
            self.send(&more, GREETING).await.map_err(lost)?;
        }
        Ok(())
    }

    /// Sends commands in one piece and waits for all answers, which may hold `cap` bytes together. Errors of single
    /// commands are among the answers.
    pub(crate) async fn send(&mut self, commands: &[ReadCommand], cap: usize) -> Result<Vec<Value>, Broken> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.cmd().clone());
        }
        self.allowance.set(cap);
        match self.connection.send_packed_commands(&pipeline, 0, commands.len()).await {
            Ok(answers) => Ok(answers),
            Err(_) if self.allowance.is_used_up() => Err(Broken::TooLarge),
            Err(error) => Err(Broken::Lost(error)),
        }
    }
}

/// What TLS needs.
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that the certificate must have, if not the host's.
    pub(crate) server_name: Option<String>,
}

async fn socket(target: &Target, tls: Option<&Tls>) -> Result<Box<dyn Socket>, Unreachable> {
    let failed = |error: std::io::Error| Unreachable::new("connect", format!("{}: {error}", target.address));
    let (host, port) = match &target.address {
        Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?)),
        Address::Tcp(host, port) => (host, *port),
    };
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    let Some(tls) = tls else { return Ok(Box::new(tcp)) };
    let failed =
        |error: &dyn std::fmt::Display| Unreachable::new("tls", format!("{}: {error}", target.address));
    let name = tls.server_name.clone().unwrap_or_else(|| host.clone());
    let name = ServerName::try_from(name).map_err(|error| failed(&error))?;
    let stream =
        TlsConnector::from(tls.config.clone()).connect(name, tcp).await.map_err(|error| failed(&error))?;
    Ok(Box::new(stream))
}

fn no_auth(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error) if error.code() == "NOAUTH")
}

fn refused(target: &Target, error: &RedisError) -> Unreachable {
    let stage = if error.kind() == ErrorKind::AuthenticationFailed { "auth" } else { "connect" };
    Unreachable::new(stage, format!("{} as user {}: {error}", target.address, target.user()))
}
