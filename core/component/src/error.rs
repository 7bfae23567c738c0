//! Why a component could not be made or started.

/// What went wrong, in words for the person who wrote the configuration. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentError(pub String);

impl ComponentError {
    /// From anything that prints.
    pub fn new(message: impl std::fmt::Display) -> Self {
        ComponentError(message.to_string())
    }
}

impl std::fmt::Display for ComponentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ComponentError {}

impl From<String> for ComponentError {
    fn from(message: String) -> Self {
        ComponentError(message)
    }
}

impl From<&str> for ComponentError {
    fn from(message: &str) -> Self {
        ComponentError(message.to_owned())
    }
}
