//! Opening the connection: socket, TLS, user, name.

use std::sync::Arc;

use redis::{RedisConnectionInfo, RedisError, ServerError, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::command::ReadCommand;
use crate::endpoint::{Address, Target};
use crate::error::Unreachable;
use crate::info::Info;
use crate::live::{Broken, Live, Socket};
use crate::reply::bytes;

/// The name of our connections in CLIENT LIST.
const NAME: &str = "streamgauge";
/// What the answers to the first commands may hold.
const GREETING: usize = 1 << 20;

/// What a server says of itself when a connection is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its process; another one after a restart.
    pub run_id: String,
    /// Its version, Valkey's own where it is Valkey.
    pub version: Option<String>,
    /// `redis` or `valkey`.
    pub name: &'static str,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: String,
    /// Major and minor number of the Redis version whose commands it has.
    pub(crate) commands: (u32, u32),
}

impl Identity {
    /// The whole INFO, as far as this server has it.
    pub fn whole_info(&self) -> ReadCommand {
        match self.mode.as_str() {
            "sentinel" => ReadCommand::info_all(),
            _ if self.commands >= (7, 2) => ReadCommand::info_debug(),
            _ => ReadCommand::info_everything(),
        }
    }

    /// Reads INFO.
    pub fn of(info: &Info<'_>) -> Identity {
        Identity {
            run_id: info.text("run_id").unwrap_or("").to_owned(),
            version: info.version().map(str::to_owned),
            name: if info.is_valkey() { "valkey" } else { "redis" },
            mode: info.mode().unwrap_or("standalone").to_owned(),
            commands: info.commands(),
        }
    }
}

impl Live {
    /// Connects as the target says, in RESP3, and where the server or a proxy before it does not speak that, in RESP2.
    pub(crate) async fn open(
        target: &Target,
        tls: Option<&Tls>,
        resp3: &mut bool,
    ) -> Result<Live, Unreachable> {
        if *resp3 {
            match Live::open_as(target, tls, true).await {
                Err(Refusal::Protocol) => *resp3 = false,
                Err(Refusal::Final(error)) => return Err(error),
                Ok(live) => return Ok(live),
            }
        }
        Live::open_as(target, tls, false).await.map_err(|refusal| match refusal {
            Refusal::Final(error) => error,
            Refusal::Protocol => {
                Unreachable::new("connect", format!("{} speaks no protocol of ours", target.address))
            }
        })
    }

    async fn open_as(target: &Target, tls: Option<&Tls>, is_resp3: bool) -> Result<Live, Refusal> {
        let mut live = Live::new(socket(target, tls).await?);
        let user = target.username.as_deref();
        let password = password(target).await?;
        let login = password.as_ref().map(|password| [user.unwrap_or("default"), password]);
        let mut words: Vec<&[u8]> = Vec::new();
        match (is_resp3, &login) {
            (true, _) => {
                words.extend([&b"HELLO"[..], b"3"]);
                words.extend(login.iter().flatten().map(|word| word.as_bytes()));
                if login.is_some() {
                    words.insert(2, b"AUTH");
                }
            }
            // A proxy may know no users.
            (false, Some([_, password])) => {
                words.push(b"AUTH");
                words.extend(user.map(str::as_bytes));
                words.push(password.as_bytes());
            }
            (false, None) => {}
        }
        if !words.is_empty()
            && let Value::ServerError(error) = live.say(&words, GREETING).await.map_err(lost(target))?
        {
            return Err(match is_resp3 && no_resp3(&error) {
                true => Refusal::Protocol,
                false => Refusal::Final(refused(target, error, login.is_some())),
            });
        }
        if target.db != 0 {
            let db = target.db.to_string();
            let answer = live.say(&[b"SELECT", db.as_bytes()], GREETING).await.map_err(lost(target))?;
            if let Value::ServerError(error) = answer {
                return Err(Refusal::Final(refused(target, error, false)));
            }
        }
        live.db = target.db;
        live.greet(target).await?;
        Ok(live)
    }

    /// Says who we are, and learns who answers. A refusal costs nothing but the name.
    async fn greet(&mut self, target: &Target) -> Result<(), Unreachable> {
        let first = [ReadCommand::set_name(NAME), ReadCommand::info_server()];
        let answers = self.send(&first, GREETING).await.map_err(lost(target))?;
        if let Some(Value::ServerError(error)) = answers.iter().find(|answer| no_auth(answer)) {
            let text = format!("{} asks for a password: set password ({})", target.address, error.code());
            return Err(Unreachable::new("auth", text));
        }
        let text = answers.get(1).and_then(bytes).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let identity = Identity::of(&Info::parse(&text));
        // An older server would count an error in INFO errorstats, where people look for their own; a sentinel too.
        if identity.commands >= (7, 2) && identity.mode != "sentinel" {
            let more = [
                ReadCommand::set_info("LIB-NAME", NAME),
                ReadCommand::set_info("LIB-VER", env!("CARGO_PKG_VERSION")),
                ReadCommand::no_touch(),
            ];
            self.send(&more, GREETING).await.map_err(lost(target))?;
        }
        self.identity = Arc::new(identity);
        Ok(())
    }
}

/// Why there is no connection.
enum Refusal {
    /// The server does not speak this protocol.
    Protocol,
    /// Anything else.
    Final(Unreachable),
}

impl From<Unreachable> for Refusal {
    fn from(error: Unreachable) -> Self {
        Refusal::Final(error)
    }
}

/// The user and the password of now.
pub(crate) async fn login(target: &Target) -> Result<RedisConnectionInfo, Unreachable> {
    let mut user = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(name) = &target.username {
        user = user.set_username(name);
    }
    if let Some(password) = password(target).await? {
        user = user.set_password(password);
    }
    Ok(user)
}

/// The password of now, where there is anything to log in with.
pub(crate) async fn password(target: &Target) -> Result<Option<String>, Unreachable> {
    match &target.password {
        Some(password) => password.read().await.map(Some).map_err(|error| Unreachable::new("auth", error)),
        None => Ok(target.username.is_some().then(String::new)),
    }
}

/// Whether HELLO 3 itself was refused: unknown, not allowed for this user, or no such protocol.
fn no_resp3(error: &ServerError) -> bool {
    let text = format!("{} {}", error.code(), error.details().unwrap_or("")).to_ascii_lowercase();
    text.contains("noproto")
        || (text.contains("hello") && (text.contains("unknown") || text.contains("permission")))
}

/// What TLS needs.
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that the certificate must have, if not the host's.
    pub(crate) server_name: Option<String>,
}

pub(crate) async fn socket(target: &Target, tls: Option<&Tls>) -> Result<Box<dyn Socket>, Unreachable> {
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

fn lost(target: &Target) -> impl Fn(Broken) -> Unreachable {
    |broken| match broken {
        Broken::TooLarge => Unreachable::new("connect", format!("{} is no Redis server", target.address)),
        Broken::Lost(error) => {
            let text = format!("{} as user {}: {error}", target.address, target.user());
            Unreachable::new("connect", text)
        }
    }
}

/// The server's word against what was said first; `logs_in` when that held a password.
fn refused(target: &Target, error: ServerError, logs_in: bool) -> Unreachable {
    let code = error.code().to_owned();
    if code == "NOAUTH" {
        return Unreachable::new(
            "auth",
            format!("{} asks for a password: set password (NOAUTH)", target.address),
        );
    }
    let is_auth = logs_in && ["WRONGPASS", "ERR"].contains(&&*code);
    let stage = if is_auth { "auth" } else { "connect" };
    let error = RedisError::from(error);
    Unreachable::new(stage, format!("{} as user {}: {error}", target.address, target.user()))
}
