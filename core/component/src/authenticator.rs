//! Who may send, and as whom this collector sends.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use streamgauge_config::Secret;

use crate::error::ComponentError;

/// What an extension offers to doors and exporters: it checks credentials, and it has some. Both are the value of one header.
pub trait Authenticator: Send + Sync {
    /// The name of the header, in lower case.
    fn header(&self) -> &str;

    /// Who shows this value of the header, if any.
    ///
    /// # Errors
    /// Whoever is not known; the text is for the sender and never holds what was shown.
    fn authenticate<'a>(
        &'a self,
        shown: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Arc<str>, Unauthenticated>>;

    /// The value of the header for a request of this collector's own.
    ///
    /// # Errors
    /// When it has none: it is configured to check others' only.
    fn credentials(&self) -> Result<Secret, ComponentError>;

    /// What a door asks for (`WWW-Authenticate`).
    fn challenge(&self) -> String;
}

/// A sender who did not prove who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unauthenticated(pub String);

impl std::fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unauthenticated {}

/// `auth` of a door or an exporter.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// Id of the extension that checks or supplies the credentials, such as `bearertokenauth` or `basicauth/server`.
    pub authenticator: String,
}
