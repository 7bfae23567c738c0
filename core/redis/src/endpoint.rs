//! Where a server is and who asks: from `host:port` or a URL, and the keys beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The port of Redis.
const PORT: u16 = 6379;

/// How the server is reached, the key `transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// A unix socket.
    Unix,
}

/// A socket to connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Host name or IP address (without brackets), and port.
    Tcp(String, u16),
    /// A unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// The endpoint and the keys that may say the same thing as its URL.
#[derive(Clone, Copy, Default)]
pub struct EndpointKeys<'a> {
    /// `host:port`, a path (with `transport: unix`), or a URL `redis://`, `rediss://`, `unix://`.
    pub endpoint: &'a str,
    /// Key `transport`.
    pub transport: Option<Transport>,
    /// Key `username`.
    pub username: Option<&'a str>,
    /// Key `password`.
    pub password: Option<&'a str>,
    /// Key `password_file`.
    pub password_file: Option<&'a Path>,
    /// Whether the key `tls` asks for TLS, if it is there.
    pub tls: Option<bool>,
    /// Key `db`.
    pub db: Option<u32>,
}

/// A server and the user to be there. Debug shows no password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The socket.
    pub address: Address,
    /// Whether to speak TLS.
    pub tls: bool,
    /// ACL user; `None` is the default user.
    pub username: Option<String>,
    /// Password of the user.
    pub(crate) password: Option<Password>,
    /// Number of the logical database.
    pub db: u32,
}

/// Where a password comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Password {
    /// The text itself.
    Text(String),
    /// A file that is read again at every connect, so that a new password needs no restart.
    File(PathBuf),
}

impl Password {
    /// The text; of a file without the newline at its end.
    pub(crate) async fn read(&self) -> Result<String, String> {
        match self {
            Password::Text(text) => Ok(text.clone()),
            Password::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
                Err(error) => Err(format!("password_file {}: {error}", path.display())),
            },
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.username.as_deref().unwrap_or("default");
        write!(f, "Target({user}@{}, db {}, tls {})", self.address, self.db, self.tls)
    }
}

/// A key at fault, and what is wrong.
type Problem = (&'static str, String);

/// What a URL says, as far as it says it.
#[derive(Default)]
struct Parts {
    address: Option<Address>,
    tls: Option<bool>,
    username: Option<String>,
    password: Option<String>,
    db: Option<u32>,
}

impl Target {
    /// Reads the endpoint and holds it against the keys.
    ///
    /// # Errors
    /// Every key at fault with a message that holds no password. A key that repeats the URL is fine, one that
    /// contradicts it is not.
    pub fn new(keys: &EndpointKeys<'_>) -> Result<Target, Vec<Problem>> {
        let parts = parts(keys).map_err(|message| vec![("endpoint", message)])?;
        let mut problems = Vec::new();
        let username = keys.username.filter(|name| !name.is_empty()).map(str::to_owned);
        let password = keys.password.filter(|word| !word.is_empty()).map(str::to_owned);
        let mut clash = |key| problems.push((key, contradiction(key)));
        let username = agree(parts.username, username).unwrap_or_else(|()| (clash("username"), None).1);
        let password = agree(parts.password, password).unwrap_or_else(|()| (clash("password"), None).1);
        let tls = agree(parts.tls, keys.tls).unwrap_or_else(|()| (clash("tls"), None).1);
        let db = agree(parts.db, keys.db).unwrap_or_else(|()| (clash("db"), None).1);
        let kind = parts.address.as_ref().map(|address| match address {
            Address::Tcp(..) => Transport::Tcp,
            Address::Unix(_) => Transport::Unix,
        });
        if agree(kind, keys.transport).is_err() {
            clash("transport");
        }
        if kind == Some(Transport::Unix) && tls == Some(true) {
            problems.push(("tls", "a unix socket does not speak TLS: remove tls".to_owned()));
        }
        if password.is_some() && keys.password_file.is_some() {
            let message =
                "contradicts the password that is given beside it or in endpoint: give one".to_owned();
            problems.push(("password_file", message));
        }
        let file = keys.password_file.map(|path| Password::File(path.to_owned()));
        let password = password.map(Password::Text).or(file);
        match parts.address {
            Some(address) if problems.is_empty() => {
                Ok(Target { address, tls: tls.unwrap_or(false), username, password, db: db.unwrap_or(0) })
            }
            _ => Err(problems),
        }
    }

    /// The same user elsewhere.
    pub fn at(&self, address: Address) -> Target {
        Target { address, ..self.clone() }
    }

    /// Another user in the same place; without a name and a password nobody in particular.
    pub fn with_user(
        &self,
        username: Option<&str>,
        password: Option<&str>,
        password_file: Option<&Path>,
    ) -> Target {
        let given = password.filter(|word| !word.is_empty()).map(|word| Password::Text(word.to_owned()));
        let password = given.or_else(|| password_file.map(|path| Password::File(path.to_owned())));
        Target { username: username.map(str::to_owned), password, ..self.clone() }
    }

    /// The user's name on the server.
    pub fn user(&self) -> &str {
        self.username.as_deref().unwrap_or("default")
    }
}

fn agree<T: PartialEq>(url: Option<T>, key: Option<T>) -> Result<Option<T>, ()> {
    match (url, key) {
        (Some(a), Some(b)) if a != b => Err(()),
        (a, b) => Ok(a.or(b)),
    }
}

fn contradiction(key: &str) -> String {
    match key {
        "tls" => "contradicts the scheme of endpoint: redis:// is plain, rediss:// is TLS".to_owned(),
        _ => format!("contradicts endpoint: give {key} in one place"),
    }
}

fn parts(keys: &EndpointKeys<'_>) -> Result<Parts, String> {
    let endpoint = keys.endpoint.trim();
    if endpoint.is_empty() {
        return Err("must be given: host:port, or a URL redis://, rediss:// or unix://".to_owned());
    }
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        let unix = keys.transport == Some(Transport::Unix);
        let address = if unix { Address::Unix(endpoint.into()) } else { host_port(endpoint)? };
        return Ok(Parts { address: Some(address), ..Parts::default() });
    };
    match scheme {
        "redis" => url(rest, Some(false)),
        "rediss" => url(rest, Some(true)),
        "unix" => unix(rest),
        _ => Err(format!("knows no scheme {scheme}://: use redis://, rediss:// or unix://")),
    }
}

fn url(rest: &str, tls: Option<bool>) -> Result<Parts, String> {
    if rest.contains(['?', '#']) {
        return Err("takes no ? or # in a URL: write them as %3F and %23, or use the keys".to_owned());
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = user_info(authority)?;
    let db = match path.trim_end_matches('/') {
        "" => None,
        path => Some(database(path)?),
    };
    Ok(Parts { address: Some(host_port(host)?), tls, db, ..user })
}

fn unix(rest: &str) -> Result<Parts, String> {
    let slash = rest.find('/').ok_or("unix:// needs an absolute path: unix:///run/redis.sock")?;
    let (user, path) = rest.split_at(slash);
    let user = match user.strip_suffix('@') {
        Some(user) => credentials(user)?,
        None if user.is_empty() => Parts::default(),
        None => return Err("unix:// needs an absolute path: unix:///run/redis.sock".to_owned()),
    };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let db = match query {
        None => None,
        Some(query) => match query.split_once('=') {
            Some(("db", number)) => Some(database(number)?),
            _ => return Err("unix:// takes ?db=N and no other parameter".to_owned()),
        },
    };
    Ok(Parts { address: Some(Address::Unix(decode(path)?.into())), tls: Some(false), db, ..user })
}

fn user_info(authority: &str) -> Result<(Parts, &str), String> {
    match authority.rsplit_once('@') {
        None => Ok((Parts::default(), authority)),
        Some((user, host)) => Ok((credentials(user)?, host)),
    }
}

fn credentials(text: &str) -> Result<Parts, String> {
    let (name, word) = text.split_once(':').unwrap_or((text, ""));
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(Parts { username: some(decode(name)?), password: some(decode(word)?), ..Parts::default() })
}

fn database(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "has a database that is not a number: redis://host:6379/0".to_owned())
}

fn host_port(text: &str) -> Result<Address, String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("has a [ without a ]")?;
        match (rest, rest.strip_prefix(':')) {
            ("", _) => (host, None),
            (_, Some(port)) => (host, Some(port)),
            _ => return Err("has text between ] and the port".to_owned()),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err("has an IPv6 address without brackets: write [::1]:6379".to_owned());
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err("has no host: write host:port".to_owned());
    }
    if host.contains(['/', '@', ' ']) {
        return Err("is not host:port; a URL starts with redis://, rediss:// or unix://".to_owned());
    }
    let port = match port {
        None => PORT,
        Some(text) => match text.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err("has a port that is not a number from 1 to 65535".to_owned()),
        },
    };
    Ok(Address::Tcp(host.to_owned(), port))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        match (digit(bytes.next()), digit(bytes.next())) {
            (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
            _ => return Err("has a % without two hexadecimal digits: write a literal % as %25".to_owned()),
        }
    }
    String::from_utf8(out).map_err(|_| "has percent-encoded bytes that are not UTF-8".to_owned())
}

#[cfg(test)]
mod tests;
