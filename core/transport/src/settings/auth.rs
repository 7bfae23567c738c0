//! `auth` of a server that speaks HTTP.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::query_value;

/// `auth` of a server that speaks HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAuthSettings {
    /// Id of the extension that checks the credentials, such as `bearertokenauth` or `basicauth/server`.
    pub authenticator: String,
    /// Parameters of the URL that count in place of the header of the same name: for clients that cannot set headers. What
    /// stands in a URL is easily logged on its way.
    #[serde(default)]
    pub request_params: Vec<String>,
}

impl HttpAuthSettings {
    /// What a request shows for a header: the URL's parameter that may stand for it, else the header's value.
    pub fn shown<'a>(
        &self,
        header: &str,
        value: Option<&'a [u8]>,
        query: Option<&str>,
    ) -> Option<Cow<'a, [u8]>> {
        let named = self.request_params.iter().find(|name| name.eq_ignore_ascii_case(header));
        let parameter = named.and_then(|name| query_value(query?, name));
        parameter.map(|text| Cow::Owned(text.into_bytes())).or(value.map(Cow::Borrowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_before_the_header_when_it_is_named() {
        let auth = |names: &[&str]| HttpAuthSettings {
            authenticator: "a".into(),
            request_params: names.iter().map(ToString::to_string).collect(),
        };
        let shown = |auth: &HttpAuthSettings, query: Option<&str>| {
            let shown = auth.shown("authorization", Some(b"header"), query);
            shown.map(|bytes| String::from_utf8(bytes.into_owned()).unwrap()).unwrap()
        };
        let query = Some("x=1&Authorization=Bearer%20a%2Bb+c&y");
        assert_eq!(shown(&auth(&["Authorization"]), query), "Bearer a+b c");
        assert_eq!(shown(&auth(&["token"]), query), "header");
        assert_eq!(shown(&auth(&[]), query), "header");
        assert_eq!(shown(&auth(&["Authorization"]), Some("x=1")), "header");
        assert_eq!(shown(&auth(&["Authorization"]), None), "header");
    }
}
