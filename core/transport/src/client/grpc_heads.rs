//! Heads of calls, made once for all calls that have the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, TE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue};
use streamgauge_http2::Head;

use super::grpc::ENCODING;
use crate::headers::introduce;

/// What a call's head is made of.
pub(super) struct Asked<'a> {
    pub scheme: &'static str,
    pub authority: &'a str,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    pub packed: Option<&'static str>,
    pub timeout: Option<Duration>,
}

/// The heads of the last calls of one client.
#[derive(Debug, Default)]
pub(super) struct Heads(Mutex<Vec<Known>>);

#[derive(Debug)]
struct Known {
    path: Box<str>,
    headers: HeaderMap,
    packed: Option<&'static str>,
    timeout: Option<Duration>,
    head: Arc<Head>,
}

/// Three signals, packed and, when small, not.
const HEADS: usize = 6;

impl Heads {
    /// The head of such a call, or why there can be none.
    pub fn get(&self, asked: &Asked<'_>) -> Result<Arc<Head>, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.iter().find(|known| {
            *known.path == *asked.path
                && known.packed == asked.packed
                && known.timeout == asked.timeout
                && known.headers == *asked.headers
        });
        if let Some(same) = same {
            return Ok(same.head.clone());
        }
        let head = Arc::new(asked.head()?);
        known.truncate(HEADS - 1);
        let (path, headers) = (asked.path.into(), asked.headers.clone());
        let (packed, timeout) = (asked.packed, asked.timeout);
        known.insert(0, Known { path, headers, packed, timeout, head: head.clone() });
        Ok(head)
    }
}

impl Asked<'_> {
    fn head(&self) -> Result<Head, String> {
        self.path.parse::<PathAndQuery>().map_err(|error| format!("path {:?}: {error}", self.path))?;
        self.authority
            .parse::<Authority>()
            .map_err(|error| format!("authority {:?}: {error}", self.authority))?;
        let mut headers = self.headers.clone();
        introduce(&mut headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
        if let Some(encoding) = self.packed {
            headers.insert(ENCODING, HeaderValue::from_static(encoding));
        }
        if let Some(limit) = self.timeout {
            headers.insert(TIMEOUT, timeout_value(limit));
        }
        for foreign in FOREIGN {
            headers.remove(foreign);
        }
        Ok(Head::post(self.scheme, self.authority, self.path, &headers))
    }
}

/// Headers that speak of an HTTP/1.1 connection: HTTP/2 has no place for them.
const FOREIGN: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host"];
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// `grpc-timeout` has at most eight digits.
fn timeout_value(limit: Duration) -> HeaderValue {
    let millis = limit.as_millis().max(1);
    let text = if millis < 100_000_000 {
        format!("{millis}m")
    } else {
        format!("{}S", limit.as_secs().min(99_999_999))
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("99999999S"))
}
