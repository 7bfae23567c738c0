//! A proxy between a client and its server: forwarding plain HTTP, and a tunnel (`CONNECT`) for everything else.

use std::fmt;
use std::sync::Arc;

use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connect::Io;
use super::endpoint::{Address, Endpoint};
use super::error::causes;
use super::proxy_rules::Rules;
use crate::headers::introduce;
use crate::settings::TlsClient;
use crate::text::{base64, from_percent};
use crate::tls::ClientTls;

/// A proxy, and what it is shown.
#[derive(Clone)]
pub struct Proxy {
    endpoint: Endpoint,
    tls: Option<Arc<ClientTls>>,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.endpoint)
    }
}

impl Proxy {
    /// The proxy of this URL: `http://` or `https://`, with `user:password@` where it asks for them. `tls` is how an
    /// `https://` one is spoken to.
    ///
    /// # Errors
    /// What is wrong with the URL, without showing it: it may hold a password.
    pub fn parse(url: &str, tls: &TlsClient) -> Result<Self, String> {
        let (endpoint, authorization) = parts(url)?;
        // The name to expect is the proxy's, whatever the server's is.
        let tls = TlsClient { server_name_override: None, ..tls.clone() };
        let tls = endpoint.is_https().then(|| tls.load(&["http/1.1"])).transpose();
        Ok(Proxy { endpoint, tls: tls.map_err(|error| error.to_string())?, authorization })
    }

    /// What is wrong with a proxy's URL, if anything.
    pub fn problem(url: &str) -> Option<String> {
        parts(url).err().filter(|_| !url.trim().is_empty())
    }

    /// The proxy before this server: the one of `url`, if any, else the one that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`
    /// name, by Go's rules. A `secure` server is reached through a tunnel. A unix socket has none.
    ///
    /// # Errors
    /// Which of them is wrong.
    pub fn before(
        server: &Endpoint,
        secure: bool,
        url: Option<&str>,
        tls: &TlsClient,
    ) -> Result<Option<Self>, String> {
        let Address::Tcp { host, port } = &server.address else { return Ok(None) };
        match url.filter(|url| !url.trim().is_empty()) {
            Some(url) => Proxy::parse(url, tls).map(Some).map_err(|why| format!("proxy_url: {why}")),
            None => {
                let rules = Rules::of(|name| std::env::var(name).ok());
                let Some((name, url)) = rules.proxy(secure, host, *port) else { return Ok(None) };
                Proxy::parse(&url, tls).map(Some).map_err(|why| format!("{name}: {why}"))
            }
        }
    }

    /// What a forwarded request shows.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// A connection to the proxy.
    pub(super) async fn connect(&self) -> Result<Box<dyn Io>, String> {
        let failed = |error: &dyn std::error::Error| format!("proxy {}: {}", self.endpoint, causes(error));
        let Address::Tcp { host, port } = &self.endpoint.address else {
            return Err("a proxy is no unix socket".to_owned());
        };
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|e| failed(&e))?;
        stream.set_nodelay(true).map_err(|e| failed(&e))?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.clone()).map_err(|e| failed(&e))?;
        let stream = TlsConnector::from(tls.get()).connect(name, stream).await.map_err(|e| failed(&e))?;
        Ok(Box::new(stream))
    }

    /// A connection to the server through the proxy.
    pub(super) async fn tunnel(&self, server: &Endpoint) -> Result<Box<dyn Io>, String> {
        let failed = |error: &dyn std::error::Error| format!("proxy {}: {}", self.endpoint, causes(error));
        let io = TokioIo::new(self.connect().await?);
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(io).await.map_err(|error| failed(&error))?;
        tokio::spawn(driver.with_upgrades());
        let to = server.to_string();
        let mut request = Request::new(Empty::<bytes::Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = Uri::try_from(&to).map_err(|error| failed(&error))?;
        introduce(request.headers_mut());
        request.headers_mut().insert(HOST, HeaderValue::try_from(&to).map_err(|error| failed(&error))?);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("proxy {}: no way to {to}: it answered {}", self.endpoint, answer.status()));
        }
        let tunnel = hyper::upgrade::on(answer).await.map_err(|error| failed(&error))?;
        Ok(Box::new(TokioIo::new(tunnel)))
    }
}

/// Where a proxy is, and what it is shown.
fn parts(url: &str) -> Result<(Endpoint, Option<HeaderValue>), String> {
    let (scheme, rest) =
        url.trim().split_once("://").ok_or("a proxy's URL begins with http:// or https://")?;
    if scheme != "http" && scheme != "https" {
        return Err(format!("a proxy is spoken to by http:// or https://, not by {scheme}://"));
    }
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    let endpoint = Endpoint::parse(&format!("{scheme}://{host}")).map_err(|error| error.to_string())?;
    Ok((endpoint, user.map(basic).transpose()?))
}

/// `user:password`, percent-encoded as in a URL, as a header shows it.
fn basic(user: &str) -> Result<HeaderValue, String> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let plain = format!("{}:{}", from_percent(user.as_bytes()), from_percent(password.as_bytes()));
    let mut text = format!("Basic {}", base64(plain.as_bytes()));
    text.extend(std::iter::repeat_n('=', (3 - plain.len() % 3) % 3));
    let mut value = HeaderValue::try_from(text).map_err(|_| "its user cannot stand in a header")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_shown_to_the_proxy_and_to_nobody_else() {
        let proxy = Proxy::parse("http://Aladdin:open%20sesame@proxy:3128/", &TlsClient::default()).unwrap();
        assert_eq!(proxy.authorization().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy:3128)");
        for url in ["me:hunter2@proxy", "socks5://me:hunter2@proxy:1080", "http://me:hunter2@proxy:x"] {
            let error = Proxy::parse(url, &TlsClient::default()).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = Proxy::parse("socks5://proxy:1080", &TlsClient::default()).unwrap_err();
        assert!(error.contains("not by socks5://"), "{error}");
    }

    #[test]
    fn a_configured_proxy_is_before_every_server_but_a_socket_file() {
        let before = |server: &str| {
            let server = Endpoint::parse(server).unwrap();
            Proxy::before(&server, false, Some("http://proxy"), &TlsClient::default()).unwrap()
        };
        assert_eq!(before("http://localhost:4318").unwrap().endpoint.to_string(), "proxy:80");
        assert!(before("unix:///run/x.sock").is_none());
    }
}
