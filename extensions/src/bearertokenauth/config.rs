//! The section of extension `bearertokenauth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_config::Secret;

/// Settings of extension `bearertokenauth`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The header that carries the token.
    pub header: String,
    /// The word before the token; empty for none.
    pub scheme: String,
    /// The token that is sent, and taken.
    pub token: Option<Secret>,
    /// Tokens that are taken. The first is sent when there is no `token`.
    pub tokens: Vec<Secret>,
    /// A file with one token a line; read again when it changes. With it, `token` and `tokens` do not count.
    pub filename: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            header: "Authorization".to_owned(),
            scheme: "Bearer".to_owned(),
            token: None,
            tokens: Vec::new(),
            filename: None,
        }
    }
}

impl ComponentConfig for Config {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, text: &str| found.push((path.to_owned(), text.to_owned()));
        let any = self.token.iter().chain(&self.tokens).any(|token| !token.is_empty());
        let file = self.filename.as_ref().is_some_and(|file| !file.is_empty());
        if !any && !file {
            at("", "no bearer token provided: set token, tokens or filename");
        }
        if http::HeaderName::try_from(&self.header).is_err() {
            at("header", "this is not a header name");
        }
        found
    }
}
