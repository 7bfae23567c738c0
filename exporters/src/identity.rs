//! As whom an exporter sends.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use streamgauge_component::{AuthSettings, Authenticator, ComponentError, ExportError, Host};
use streamgauge_transport::{HeaderMap, HeaderName, HeaderValue};

/// What `auth` names, found at the start and asked with every request: tokens may change.
#[derive(Default)]
pub(crate) struct Identity {
    settings: Option<AuthSettings>,
    authenticator: OnceLock<Arc<dyn Authenticator>>,
}

impl Identity {
    pub fn new(settings: Option<AuthSettings>) -> Self {
        Identity { settings, authenticator: OnceLock::new() }
    }

    /// Finds the extension.
    pub fn resolve(&self, host: &Host) -> Result<(), ComponentError> {
        let Some(settings) = &self.settings else { return Ok(()) };
        let _again = self.authenticator.set(host.authenticator(&settings.authenticator)?);
        Ok(())
    }

    /// The headers with the credentials.
    pub fn add_to<'a>(&self, headers: &'a HeaderMap) -> Result<Cow<'a, HeaderMap>, ExportError> {
        let Some(authenticator) = self.authenticator.get() else { return Ok(Cow::Borrowed(headers)) };
        let secret =
            authenticator.credentials().map_err(|error| ExportError::unreachable(error.to_string()))?;
        let name = HeaderName::try_from(authenticator.header());
        let value = HeaderValue::try_from(secret.expose());
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err(ExportError::unreachable(
                "the credentials have characters that a header cannot have",
            ));
        };
        value.set_sensitive(true);
        let mut headers = headers.clone();
        headers.insert(name, value);
        Ok(Cow::Owned(headers))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({:?})", self.settings)
    }
}
