//! Who asks, in which language, and whether they may.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use streamgauge_component::{Authenticator, Clock};
use streamgauge_prometheus::exposition::Format;
use streamgauge_transport::{Codec, PACK_FROM};
use tokio::sync::Semaphore;

use super::render::{Rules, Wish, render};
use super::store::Store;

/// Answers that are written at the same time: each may be megabytes, whoever asks.
const AT_ONCE: usize = 2;

/// What every connection answers from.
pub(super) struct Scrapes {
    pub path: String,
    pub store: Arc<Mutex<Store>>,
    pub rules: Rules,
    pub open_metrics: bool,
    pub headers: HeaderMap,
    pub authenticator: Option<Arc<dyn Authenticator>>,
    pub clock: Clock,
    turns: Arc<Semaphore>,
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
            clock,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    pub async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        let mut response = match self.check(&request).await {
            Err(refusal) => *refusal,
            Ok(()) => self.scrape(request.headers()).await,
        };
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    async fn check<B>(&self, request: &Request<B>) -> Result<(), Box<Response<Full<Bytes>>>> {
        if request.uri().path() != self.path {
            let text = format!("no such path: metrics are at {}\n", self.path);
            return Err(Box::new(plain(StatusCode::NOT_FOUND, text)));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET is expected\n".to_owned());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Err(Box::new(response));
        }
        let Some(authenticator) = &self.authenticator else { return Ok(()) };
        let shown = request.headers().get(authenticator.header()).map(HeaderValue::as_bytes);
        let Err(why) = authenticator.authenticate(shown).await else { return Ok(()) };
        let mut response = plain(StatusCode::UNAUTHORIZED, format!("{why}\n"));
        if let Ok(challenge) = HeaderValue::try_from(authenticator.challenge()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        Err(Box::new(response))
    }

    async fn scrape(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let texts = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        let accept: Vec<_> = texts(header::ACCEPT).collect();
        let wish = wish(&accept.join(","), self.open_metrics);
        let gzip = takes_gzip(&texts(header::ACCEPT_ENCODING).collect::<Vec<_>>().join(","));
        // The semaphore is never closed.
        let turn = self.turns.clone().acquire_owned().await;
        let (store, rules, now) = (self.store.clone(), self.rules, self.clock.now().instant);
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let snapshot = store.lock().unwrap_or_else(PoisonError::into_inner).snapshot();
            let text = Bytes::from(render(&snapshot, wish, rules, now));
            let packed =
                (gzip && text.len() >= PACK_FROM).then(|| Codec::Gzip.pack(&text, None).ok()).flatten();
            (text, packed)
        });
        let Ok((text, packed)) = written.await else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n".to_owned());
        };
        let is_packed = packed.is_some();
        let mut response = Response::new(Full::from(packed.unwrap_or(text)));
        let content_type = HeaderValue::from_static(content_type(wish));
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        if is_packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
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
