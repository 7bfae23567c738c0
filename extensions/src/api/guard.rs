//! Who may ask.

use http::{HeaderMap, StatusCode, header};

use super::config::Config;
use crate::constant_time::Fingerprint;

/// Looks at a request's head before anything else does.
pub(super) struct Guard {
    token: Option<Fingerprint>,
    /// The names by which this machine's own programs reach the address; `None` where a token protects it.
    names: Option<Vec<String>>,
}

/// Why a request is refused.
pub(super) type Refusal = (StatusCode, &'static str);

impl Guard {
    pub(super) fn new(config: &Config, loopback: bool) -> Self {
        let token = config.token.as_ref().map(|token| Fingerprint::of(token.expose().as_bytes()));
        // A name that an attacker's server resolves to this address is not among them: pages of that name read nothing.
        let own = ["localhost", "127.0.0.1", "::1", config.host()];
        let names = (loopback && token.is_none()).then(|| own.map(str::to_owned).to_vec());
        Guard { token, names }
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let host = text(header::HOST).unwrap_or_default();
        if let Some(names) = &self.names
            && !names.iter().any(|name| name.eq_ignore_ascii_case(name_of(host)))
        {
            return Err((StatusCode::FORBIDDEN, "this is another host"));
        }
        if let Some(origin) = text(header::ORIGIN) {
            let from = origin.split_once("://").map_or("", |(_, host)| host);
            if from.is_empty() || !from.eq_ignore_ascii_case(host) {
                return Err((StatusCode::FORBIDDEN, "requests of other sites are not answered"));
            }
        }
        if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site") {
            return Err((StatusCode::FORBIDDEN, "requests of other sites are not answered"));
        }
        let Some(token) = &self.token else { return Ok(()) };
        let shown = text(header::AUTHORIZATION).and_then(|value| {
            let (scheme, shown) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(shown.trim())
        });
        match shown {
            Some(shown) if token.same(&Fingerprint::of(shown.as_bytes())) => Ok(()),
            _ => Err((StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN")),
        }
    }
}

/// A host without its port and brackets.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}
