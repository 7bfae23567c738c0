//! Requests from web pages of other origins: who may send them, and what a browser is told.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use crate::settings::Cors;

/// Allowed whatever is configured.
const ALWAYS: [&str; 4] = ["accept", "accept-language", "content-language", "content-type"];

/// Whether this is a browser's question before the request itself.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What the answer to that question says.
pub(super) fn preflight(cors: &Cors, asked: &HeaderMap, answer: &mut HeaderMap) {
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    answer.append(VARY, HeaderValue::from_static(vary));
    let Some(origin) = allowed(cors, asked) else { return };
    if asked.get(ACCESS_CONTROL_REQUEST_METHOD).is_none_or(|method| method != "POST") {
        return;
    }
    let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(wanted) = wanted {
        let text = wanted.to_str().unwrap_or("?");
        if !text.split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| may_carry(cors, name)) {
            return;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    if cors.max_age > 0 {
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age));
    }
    admit(answer, origin);
}

/// What the answer to the request itself says.
pub(super) fn actual(cors: &Cors, asked: &HeaderMap, answer: &mut HeaderMap) {
    answer.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = allowed(cors, asked) else { return };
    if !cors.exposed_headers.is_empty()
        && let Ok(exposed) = HeaderValue::try_from(cors.exposed_headers.join(", "))
    {
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    admit(answer, origin);
}

fn admit(answer: &mut HeaderMap, origin: HeaderValue) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}

/// The origin as the answer names it, when it may send. Where all may, none is named: browsers then send no credentials.
fn allowed(cors: &Cors, asked: &HeaderMap) -> Option<HeaderValue> {
    let origin = asked.get(ORIGIN)?;
    let text = origin.to_str().ok()?.to_ascii_lowercase();
    let mut found = None;
    for pattern in &cors.allowed_origins {
        match pattern.to_ascii_lowercase().split_once('*') {
            Some(("", "")) => return Some(HeaderValue::from_static("*")),
            Some((head, tail))
                if text.len() >= head.len() + tail.len()
                    && text.starts_with(head)
                    && text.ends_with(tail) =>
            {
                found = Some(origin.clone());
            }
            None if pattern.eq_ignore_ascii_case(&text) => found = Some(origin.clone()),
            _ => {}
        }
    }
    found
}

fn may_carry(cors: &Cors, name: &str) -> bool {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    let none_listed = cors.allowed_headers.is_empty() && same("x-requested-with");
    none_listed
        || ALWAYS.into_iter().any(same)
        || cors.allowed_headers.iter().any(|listed| listed == "*" || same(listed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin_for(patterns: &[&str], origin: &'static str) -> Option<String> {
        let cors =
            Cors { allowed_origins: patterns.iter().map(ToString::to_string).collect(), ..Cors::default() };
        let mut asked = HeaderMap::new();
        asked.insert(ORIGIN, HeaderValue::from_static(origin));
        allowed(&cors, &asked).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn origins_match_whole_or_with_one_wildcard_and_all_is_not_an_echo() {
        let patterns = ["https://a.example", "https://*.b.example"];
        for origin in
            ["https://a.example", "https://A.example", "https://x.b.example", "https://y.x.b.example"]
        {
            assert_eq!(origin_for(&patterns, origin).as_deref(), Some(origin));
        }
        for origin in
            ["http://a.example", "https://a.example.evil", "https://b.example", "https://x.b.example.evil"]
        {
            assert_eq!(origin_for(&patterns, origin), None, "{origin}");
        }
        assert_eq!(origin_for(&["*"], "https://anybody").as_deref(), Some("*"));
        assert_eq!(origin_for(&["https://ab*ab"], "https://ab"), None, "head and tail do not overlap");
    }
}
