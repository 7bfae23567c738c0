//! Configured headers and the one that every request has.

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

/// How this collector introduces itself.
const NAME: &str = concat!("streamgauge/", env!("CARGO_PKG_VERSION"));

/// Headers from configured names and values. The values are taken for secrets: no error and no log shows them.
///
/// # Errors
/// The first name that is no header name, or whose value cannot stand in a header.
pub fn header_map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, text) in pairs {
        let key = HeaderName::try_from(name).map_err(|_| format!("{name:?} is not a header name"))?;
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| format!("the value of header {name:?} has characters that a header cannot have"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

/// Adds `user-agent` unless the request has one.
pub(crate) fn introduce(headers: &mut HeaderMap) {
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(NAME));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_and_no_debug_output_shows_a_value() {
        let error = header_map([("x-key", "hunter2\n")]).unwrap_err();
        assert!(error.contains("x-key") && !error.contains("hunter2"), "{error}");
        assert!(header_map([("x key", "v")]).is_err());
        let headers = header_map([("X-Key", "hunter2")]).unwrap();
        assert_eq!(headers["x-key"], "hunter2");
        assert!(!format!("{headers:?}").contains("hunter2"));
    }
}
