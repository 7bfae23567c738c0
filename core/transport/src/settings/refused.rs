//! Settings of the Collector that only exist to be refused with the reason, and those that say nothing here.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An entry of `middlewares`, or `dialer` of a gRPC client. In the Collector they name extensions; none here is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Middleware {
    /// Id of the extension.
    pub id: String,
}

impl Middleware {
    /// Why these cannot be used, if there are any.
    pub fn problem<'a>(middlewares: impl IntoIterator<Item = &'a Self>) -> Option<String> {
        let ids: Vec<&str> = middlewares.into_iter().map(|one| one.id.as_str()).collect();
        (!ids.is_empty()).then(|| {
            format!(
                "no extension of this collector is a middleware ({}): remove it; what there is are the settings auth, headers, \
                 tls and include_metadata, and the processors of the pipeline",
                ids.join(", ")
            )
        })
    }
}

/// `tls.tpm`: keys in a TPM, which this collector cannot use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tpm {
    /// Must be false.
    pub enabled: bool,
    /// Without effect.
    pub path: String,
    /// Without effect.
    pub owner_auth: streamgauge_config::Secret,
    /// Without effect.
    pub auth: streamgauge_config::Secret,
}

impl Tpm {
    pub(crate) fn problem(&self) -> Option<(&'static str, String)> {
        let text = "keys in a TPM are not supported: give the key as key_file or key_pem";
        self.enabled.then(|| ("tpm", text.to_owned()))
    }
}

/// `dialer` of a server: without effect, there as here, because a server does not dial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerDialer {
    /// Without effect.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Duration>,
}

/// `npipe` of a server: settings of Windows' named pipes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Npipe {
    /// Without effect where `transport` is another.
    pub security_descriptor: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_middleware_is_refused_by_name_and_none_is_no_problem() {
        assert_eq!(Middleware::problem(&[]), None);
        let text = Middleware::problem(&[Middleware { id: "limiter/a".into() }]).unwrap();
        assert!(text.contains("limiter/a") && text.contains("remove it"), "{text}");
    }
}
