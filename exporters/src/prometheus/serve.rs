//! Who asks, in which language, and whether they may.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use streamgauge_component::{Authenticator, Clock};
use streamgauge_prometheus::exposition::Format;
use streamgauge_transport::{Codec, HttpAuthSettings, PACK_FROM, query_value};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::pages::{Written, WrittenPages};
use super::render::{Rules, Wish, expires, render, servers};
use super::store::Store;

/// Answers that are written at the same time: each may be megabytes, whoever asks.
const AT_ONCE: usize = 2;

/// Where the series of one server are, called for by `target`.
const SCRAPE: &str = "/scrape";
/// Where Prometheus discovers the servers that are watched; redis_exporter's path.
const SERVERS: &str = "/discover-cluster-nodes";

/// What is asked for.
enum Page {
    All,
    Of(String),
    Servers,
}

/// What every connection answers from.
pub(super) struct Scrapes {
    pub path: String,
    pub store: Arc<Mutex<Store>>,
    pub rules: Rules,
    pub open_metrics: bool,
    pub headers: HeaderMap,
    pub authenticator: Option<Arc<dyn Authenticator>>,
    pub auth: HttpAuthSettings,
    pub clock: Clock,
    turns: Arc<Semaphore>,
    written: Arc<Mutex<WrittenPages>>,
}

impl Scrapes {
    pub fn new(store: Arc<Mutex<Store>>, rules: Rules, clock: Clock) -> Self {
        Scrapes {
            path: String::new(),
            store,
            rules,
            open_metrics: false,
            headers: HeaderMap::new(),
            authenticator: None,
            auth: HttpAuthSettings::default(),
            clock,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            written: Arc::default(),
        }
    }

    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        let mut response = match self.check(&request).await {
            Err(refusal) => *refusal,
            Ok(page) => self.page(page, request.headers()).await,
        };
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    async fn check<B>(&self, request: &Request<B>) -> Result<Page, Box<Response<Full<Bytes>>>> {
        let page = match request.uri().path() {
            path if path == self.path => Page::All,
            SCRAPE => match target(request.uri().query().unwrap_or_default()) {
                Some(target) => Page::Of(target),
                None => {
                    let text = "'target' parameter must be specified\n".to_owned();
                    return Err(Box::new(plain(StatusCode::BAD_REQUEST, text)));
                }
            },
            SERVERS => Page::Servers,
            _ => {
                let text = format!("no such path: metrics are at {}\n", self.path);
                return Err(Box::new(plain(StatusCode::NOT_FOUND, text)));
            }
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET is expected\n".to_owned());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Err(Box::new(response));
        }
        let Some(authenticator) = &self.authenticator else { return Ok(page) };
        let value = request.headers().get(authenticator.header()).map(HeaderValue::as_bytes);
        let shown = self.auth.shown(authenticator.header(), value, request.uri().query());
        let Err(why) = authenticator.authenticate(shown.as_deref()).await else { return Ok(page) };
        let mut response = plain(StatusCode::UNAUTHORIZED, format!("{why}\n"));
        if let Ok(challenge) = HeaderValue::try_from(authenticator.challenge()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Err(Box::new(response))
    }

    /// The page as text; `None` for a target that is not watched. Whoever asks again before anything changed gets the same
    /// bytes.
    async fn write(&self, page: Page, wish: Wish, gzip: bool) -> Result<Option<Written>, JoinError> {
        let is_all = matches!(page, Page::All);
        let lock = || self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let again = || {
            let version = self.store.lock().unwrap_or_else(PoisonError::into_inner).version();
            lock().find(version, (wish, gzip), self.clock.now().instant)
        };
        if let Some(written) = is_all.then(again).flatten() {
            return Ok(Some(written));
        }
        // The semaphore is never closed.
        let turn = self.turns.clone().acquire_owned().await;
        if let Some(written) = is_all.then(again).flatten() {
            return Ok(Some(written));
        }
        let (store, rules, now) = (self.store.clone(), self.rules, self.clock.now().instant);
        let room = if is_all { lock().room() } else { 0 };
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let (snapshot, version) = {
                let store = store.lock().unwrap_or_else(PoisonError::into_inner);
                (store.snapshot(), store.version())
            };
            let text = match &page {
                Page::All => render(&snapshot, None, wish, rules, now, room),
                // Nothing is asked of the target: who is not watched already has nothing to show.
                Page::Of(server) if !servers(&snapshot, rules, now).contains(server.as_str()) => return None,
                Page::Of(server) => render(&snapshot, Some(server), wish, rules, now, room),
                Page::Servers => discovery(&servers(&snapshot, rules, now)),
            };
            let text = Bytes::from(text);
            let packed =
                (gzip && text.len() >= PACK_FROM).then(|| Codec::Gzip.pack(&text, None).ok()).flatten();
            let until = if is_all { expires(&snapshot, rules, now) } else { None };
            let length = text.len();
            let is_packed = packed.is_some();
            Some(Written {
                version,
                until,
                wish: (wish, gzip),
                body: packed.unwrap_or(text),
                is_packed,
                length,
            })
        })
        .await?;
        if let Some(written) = written.as_ref().filter(|_| is_all) {
            lock().keep(written);
        }
        Ok(written)
    }

    async fn page(&self, page: Page, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let texts = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let accept: Vec<_> = texts(header::ACCEPT).collect();
        let wish = wish(&accept.join(","), self.open_metrics);
        let is_json = matches!(page, Page::Servers);
        let gzip = takes_gzip(&texts(header::ACCEPT_ENCODING).collect::<Vec<_>>().join(","));
        let written = match self.write(page, wish, gzip).await {
            Ok(Some(written)) => written,
            Ok(None) => {
                let text = "this target is not watched: add a receiver for it\n".to_owned();
                return plain(StatusCode::NOT_FOUND, text);
            }
            Err(_) => {
                let text = "the metrics could not be written\n".to_owned();
                return plain(StatusCode::INTERNAL_SERVER_ERROR, text);
            }
        };
        let Written { body, is_packed, .. } = written;
        let mut response = Response::new(Full::from(body));
        let content_type = if is_json { "application/json" } else { content_type(wish) };
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        if is_packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The `target` of a query, as series name their server: without the scheme that redis_exporter allows.
fn target(query: &str) -> Option<String> {
    let target = query_value(query, "target")?;
    let address = target.split_once("://").map_or(target.as_str(), |(_, address)| address);
    Some(address.trim_end_matches('/').to_owned()).filter(|address| !address.is_empty())
}

/// Servers as Prometheus' HTTP service discovery reads them.
fn discovery(servers: &BTreeSet<&str>) -> String {
    let quoted = |server: &&str| format!("\"{}\"", server.replace('\\', "\\\\").replace('"', "\\\""));
    let targets: Vec<_> = servers.iter().map(quoted).collect();
    format!("[{{\"targets\":[{}],\"labels\":{{}}}}]\n", targets.join(","))
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn content_type(wish: Wish) -> &'static str {
    match (wish.format, wish.utf8) {
        (format, false) => format.content_type(),
        (Format::Text, true) => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        (Format::OpenMetrics, true) => {
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
        }
    }
}

/// What an `Accept` header asks for. Who does not say gets the text format.
fn wish(accept: &str, open_metrics: bool) -> Wish {
    let mut best = (Wish { format: Format::Text, utf8: false }, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if open_metrics => Format::OpenMetrics,
            "text/plain" => Format::Text,
            _ => continue,
        };
        let (mut weight, mut utf8, mut known) = (1.0, false, true);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match (name.trim(), value.trim()) {
                ("q", value) => weight = value.parse().unwrap_or(0.0),
                ("escaping", "allow-utf-8") => utf8 = true,
                // The only version of OpenMetrics that is spoken here.
                ("version", "1.0.0") => {}
                ("version", _) => known = format == Format::Text,
                _ => {}
            }
        }
        if known && weight > best.1 {
            best = (Wish { format, utf8 }, weight);
        }
    }
    best.0
}

fn takes_gzip(encodings: &str) -> bool {
    encodings.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let refused =
            |part: &str| part.strip_prefix("q=").is_some_and(|q| q.parse::<f64>().is_ok_and(|q| q <= 0.0));
        matches!(parts.next(), Some("gzip" | "*")) && !parts.any(refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_what_the_scraper_likes_best_of_what_is_spoken() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let (text, open) = (Format::Text, Format::OpenMetrics);
        for (accept, open_metrics, format, utf8) in [
            (prometheus_2, true, open, false),
            (prometheus_2, false, text, false),
            (prometheus_3, true, open, true),
            (prometheus_3, false, text, true),
            ("text/plain", true, text, false),
            ("application/openmetrics-text;q=0.1, text/plain", true, text, false),
            ("application/openmetrics-text; version=0.0.1", true, text, false),
            ("text/html,*/*", true, text, false),
            ("", true, text, false),
        ] {
            assert_eq!(wish(accept, open_metrics), Wish { format, utf8 }, "{accept}");
        }
    }

    #[test]
    fn a_target_is_known_with_its_scheme_and_without() {
        for (query, expected) in [
            ("target=h:1", Some("h:1")),
            ("a=b&target=redis%3A%2F%2Fh%3A1%2F", Some("h:1")),
            ("target=rediss://h:1", Some("h:1")),
            ("target=%zz", Some("%zz")),
            ("target=", None),
            ("targets=h", None),
            ("", None),
        ] {
            assert_eq!(target(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn gzip_is_for_who_takes_it() {
        for (encodings, expected) in [
            ("gzip", true),
            ("br, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("", false),
            ("br", false),
        ] {
            assert_eq!(takes_gzip(encodings), expected, "{encodings}");
        }
    }
}
