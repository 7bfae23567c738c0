//! Where a client connects to.

use std::fmt;
use std::path::PathBuf;

/// Where a client connects to: `host:port`, `http://…`, `https://…`, `dns:///host:port` or
/// `unix:///path/to/socket`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) address: Address,
    /// `host:port` as requests name it.
    pub(super) authority: String,
    /// What stands behind the authority in the URL, without a closing slash.
    path: String,
    scheme: Option<Scheme>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError(String);

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// Reads an endpoint. Without a port, `http` has 80 and `https` 443; without a scheme a port is needed.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")) {
            if path.is_empty() {
                return Err(EndpointError(format!("{text:?} names no socket file")));
            }
            let address = Address::Unix(path.into());
            return Ok(Self { address, authority: "localhost".into(), path: String::new(), scheme: None });
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(("dns", rest)) => (None, rest.trim_start_matches('/')),
            Some(("passthrough", rest)) => (None, rest.trim_start_matches('/')),
            Some((other, _)) => {
                return Err(EndpointError(format!(
                    "unknown scheme {other:?} in {text:?}: use http, https or unix"
                )));
            }
            None => (None, text),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        if authority.contains('@') {
            let text = "an endpoint must not hold a user or password: use headers";
            return Err(EndpointError(text.to_owned()));
        }
        let (host, port) = host_and_port(authority)
            .map_err(|why| EndpointError(format!("{text:?} is not a valid endpoint: {why}")))?;
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, Some(Scheme::Http)) => 80,
            (None, Some(Scheme::Https)) => 443,
            (None, None) => {
                let why = "missing port (host:port is expected)";
                return Err(EndpointError(format!("{text:?} is not a valid endpoint: {why}")));
            }
        };
        Ok(Self {
            address: Address::Tcp { host, port },
            authority: authority.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            scheme,
        })
    }

    /// Whether the endpoint says `https://`.
    pub fn is_https(&self) -> bool {
        self.scheme == Some(Scheme::Https)
    }

    /// Whether the endpoint says `http://`.
    pub fn is_http(&self) -> bool {
        self.scheme == Some(Scheme::Http)
    }

    /// The URL's path (with its query), without a closing slash; empty for none.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name to expect in the server's certificate.
    pub(super) fn host(&self) -> &str {
        match &self.address {
            Address::Tcp { host, .. } => host,
            Address::Unix(_) => "localhost",
        }
    }

    /// Another authority (`:authority`, `Host`) than the address's own.
    pub fn with_authority(mut self, authority: &str) -> Self {
        self.authority = authority.to_owned();
        self
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("missing ']'")?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err("text after ']'"),
            }
        }
        None => match authority.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err("an IPv6 address needs brackets"),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("missing host");
    }
    let bad = "the port is not a number from 1 to 65535";
    let port = port.map(|port| port.parse().ok().filter(|p| *p > 0).ok_or(bad)).transpose()?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, String, bool) {
        let endpoint = Endpoint::parse(text).unwrap();
        (endpoint.to_string(), endpoint.path().to_owned(), endpoint.is_https())
    }

    #[test]
    fn the_collectors_forms_are_understood() {
        assert_eq!(parts("localhost:4317"), ("localhost:4317".into(), "".into(), false));
        assert_eq!(parts("http://a:1/x/y/?q=1"), ("a:1".into(), "/x/y/?q=1".into(), false));
        assert_eq!(parts("https://a/"), ("a:443".into(), "".into(), true));
        assert_eq!(parts("http://[::1]"), ("[::1]:80".into(), "".into(), false));
        assert_eq!(parts("dns:///a:2"), ("a:2".into(), "".into(), false));
        assert_eq!(parts("unix:///run/x.sock"), ("unix:///run/x.sock".into(), "".into(), false));
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason_and_no_password() {
        for (text, why) in [
            ("localhost", "missing port"),
            ("localhost:0", "not a number"),
            ("localhost:99999", "not a number"),
            ("::1:4317", "brackets"),
            ("ftp://a:1", "unknown scheme"),
            (":4317", "missing host"),
            ("unix://", "no socket file"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = Endpoint::parse("http://me:hunter2@a:1").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
