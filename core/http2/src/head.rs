//! From the fields of a block to a request's head, and what may not be in one (RFC 9113, section 8).

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HeaderName};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Version};

use crate::hpack::{Field, Name};

/// A request's head, and how long its body says to be.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub head: Arc<Parts>,
    pub length: Option<u64>,
}

/// Why a block is no request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Malformed,
    /// Larger than the list may be.
    TooLarge,
}

/// Collects the fields of one block.
#[derive(Debug)]
pub(crate) struct Collected {
    limit: usize,
    size: usize,
    malformed: bool,
    method: Option<HeaderValue>,
    scheme: Option<HeaderValue>,
    authority: Option<HeaderValue>,
    path: Option<HeaderValue>,
    headers: HeaderMap,
}

impl Collected {
    /// Nothing yet, of a list of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let headers = HeaderMap::with_capacity(8);
        let (method, scheme, authority, path) = (None, None, None, None);
        Collected { limit, size: 0, malformed: false, method, scheme, authority, path, headers }
    }

    pub fn add(&mut self, field: &Field) {
        self.size = self.size.saturating_add(field.size);
        if self.malformed || self.size > self.limit {
            return;
        }
        let Some(value) = &field.value else {
            self.malformed = true;
            return;
        };
        let place = match &field.name {
            Name::Header(name) => {
                self.malformed |= is_foreign(name, value);
                self.headers.append(name.clone(), value.clone());
                return;
            }
            Name::Method => &mut self.method,
            Name::Scheme => &mut self.scheme,
            Name::Authority => &mut self.authority,
            Name::Path => &mut self.path,
            Name::Status | Name::Wrong => {
                self.malformed = true;
                return;
            }
        };
        // Once each, and before all others.
        self.malformed |= !self.headers.is_empty() || place.replace(value.clone()).is_some();
    }

    fn fits(&self) -> Result<(), Unfit> {
        match (self.size > self.limit, self.malformed) {
            (true, _) => Err(Unfit::TooLarge),
            (false, true) => Err(Unfit::Malformed),
            (false, false) => Ok(()),
        }
    }

    /// The fields as a request's head.
    pub fn request(self) -> Result<Known, Unfit> {
        self.fits()?;
        let length = content_length(&self.headers)?;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = self
            .method
            .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
            .ok_or(Unfit::Malformed)?;
        let mut uri = http::uri::Parts::default();
        uri.authority = read(self.authority, |bytes| Authority::try_from(bytes).ok())?;
        uri.path_and_query =
            read(self.path.filter(|path| !path.is_empty()), |bytes| PathAndQuery::try_from(bytes).ok())?;
        if head.method != Method::CONNECT {
            let scheme = read(self.scheme, |bytes| Scheme::try_from(bytes).ok())?;
            if scheme.is_none() || uri.path_and_query.is_none() {
                return Err(Unfit::Malformed);
            }
            uri.scheme = scheme.filter(|_| uri.authority.is_some());
        }
        if uri.authority.is_some() || uri.path_and_query.is_some() {
            head.uri = Uri::from_parts(uri).map_err(|_| Unfit::Malformed)?;
        }
        head.version = Version::HTTP_2;
        head.headers = self.headers;
        Ok(Known { head: Arc::new(head), length })
    }

    /// Whether the fields can stand after a body.
    pub fn trailers(self) -> Result<(), Unfit> {
        self.fits()?;
        let pseudo = [&self.method, &self.scheme, &self.authority, &self.path];
        if pseudo.iter().any(|field| field.is_some()) { Err(Unfit::Malformed) } else { Ok(()) }
    }
}

fn read<T>(value: Option<HeaderValue>, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>, Unfit> {
    value.map(|value| parse(value.as_bytes()).ok_or(Unfit::Malformed)).transpose()
}

/// Fields that speak of an HTTP/1.1 connection.
fn is_foreign(name: &HeaderName, value: &HeaderValue) -> bool {
    match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => true,
        "te" => value != "trailers",
        _ => false,
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Unfit> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let said: u64 = text.and_then(|text| text.parse().ok()).ok_or(Unfit::Malformed)?;
        if length.is_some_and(|length| length != said) {
            return Err(Unfit::Malformed);
        }
        length = Some(said);
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(fields: &[(&str, &str)], limit: usize) -> Collected {
        let mut collected = Collected::new(limit);
        for (name, value) in fields {
            collected.add(&Field::new(name.as_bytes(), value.as_bytes(), false));
        }
        collected
    }

    const GOOD: [(&str, &str); 4] =
        [(":method", "POST"), (":scheme", "http"), (":path", "/v1/logs?x"), (":authority", "a:1")];

    fn with(more: &[(&str, &str)]) -> Result<Known, Unfit> {
        collect(&[&GOOD, more].concat(), 1000).request()
    }

    #[test]
    fn a_whole_head_is_a_request() {
        let known = with(&[("content-length", "12"), ("te", "trailers")]).unwrap();
        assert_eq!((known.head.method.as_str(), known.length), ("POST", Some(12)));
        assert_eq!(known.head.uri, "http://a:1/v1/logs?x");
        assert_eq!(known.head.headers["te"], "trailers");
        let plain = collect(&GOOD[..3], 1000).request().unwrap();
        assert_eq!(plain.head.uri, "/v1/logs?x");
    }

    #[test]
    fn what_no_request_may_have_is_malformed() {
        for wrong in [
            ("Capital", "x"),
            ("connection", "close"),
            ("te", "gzip"),
            (":method", "GET"),
            (":status", "200"),
            (":other", "x"),
            ("a b", "x"),
            ("", "x"),
            ("x", "a\nb"),
            ("content-length", "-1"),
            ("content-length", "+1"),
        ] {
            assert_eq!(with(&[wrong]).unwrap_err(), Unfit::Malformed, "{wrong:?}");
        }
        for missing in 0..3 {
            let mut fields = GOOD.to_vec();
            fields.remove(missing);
            assert_eq!(collect(&fields, 1000).request().unwrap_err(), Unfit::Malformed, "{missing}");
        }
        let late = [("x", "y"), (":authority", "a")];
        assert_eq!(collect(&[&GOOD[..3], &late[..]].concat(), 1000).request().unwrap_err(), Unfit::Malformed);
        let twice = [("content-length", "1"), ("content-length", "2")];
        assert_eq!(with(&twice).unwrap_err(), Unfit::Malformed);
        assert_eq!(collect(&[(":path", "/")], 1000).trailers(), Err(Unfit::Malformed));
        assert_eq!(collect(&[("x", "y")], 1000).trailers(), Ok(()));
    }

    #[test]
    fn a_list_above_its_limit_is_too_large_and_not_kept() {
        let long = "x".repeat(1000);
        let collected = collect(&[("a", &long), ("b", &long)], 1000);
        assert_eq!(collected.headers.len(), 0);
        assert_eq!(collected.request().unwrap_err(), Unfit::TooLarge);
    }
}
