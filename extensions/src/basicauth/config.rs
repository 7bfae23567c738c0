//! The section of extension `basicauth`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_config::Secret;

/// Settings of extension `basicauth`: either `htpasswd`, for doors, or `client_auth`, for exporters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who is let in.
    pub htpasswd: Option<Htpasswd>,
    /// As whom requests are sent.
    pub client_auth: Option<ClientAuth>,
}

/// `htpasswd`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Htpasswd {
    /// A file with one `user:password` a line, the password plain or as bcrypt; read again when it changes.
    pub file: Option<String>,
    /// The same as a text. Where both name a user, this counts.
    pub inline: Option<Secret>,
}

/// `client_auth`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientAuth {
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// A file with the user; it counts before `username` and is read again when it changes.
    pub username_file: Option<String>,
    /// A file with the password; it counts before `password` and is read again when it changes.
    pub password_file: Option<String>,
}

impl ClientAuth {
    /// An empty name is as good as none, as in the Collector.
    pub(super) fn user_file(&self) -> Option<&str> {
        self.username_file.as_deref().filter(|file| !file.is_empty())
    }

    /// As [`ClientAuth::user_file`].
    pub(super) fn secret_file(&self) -> Option<&str> {
        self.password_file.as_deref().filter(|file| !file.is_empty())
    }
}

impl ComponentConfig for Config {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut at = |path: &str, text: &str| found.push((path.to_owned(), text.to_owned()));
        match (&self.htpasswd, &self.client_auth) {
            (None, None) => at("", "no credential source provided: set htpasswd or client_auth"),
            (Some(_), Some(_)) => {
                at("client_auth", "only one of `htpasswd` or `client_auth` can be specified")
            }
            (Some(htpasswd), None) => {
                let inline = htpasswd.inline.as_ref().filter(|text| !text.is_empty());
                if inline.is_none() && htpasswd.file.as_ref().is_none_or(String::is_empty) {
                    at("htpasswd", "no credential source provided: set file or inline");
                }
                if let Some(Err(why)) = inline.map(|text| super::users::parse(text.expose())) {
                    at("htpasswd::inline", &why);
                }
            }
            (None, Some(client)) => {
                if client.username.is_empty() && client.user_file().is_none() {
                    at("client_auth::username", "set username or username_file");
                }
                if client.username.contains(':') {
                    at("client_auth::username", "a user name cannot have a colon");
                }
                if client.password.is_empty() && client.secret_file().is_none() {
                    at("client_auth::password", "set password or password_file");
                }
            }
        }
        found
    }
}
