//! The user that requests are sent as.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::{BoxFuture, ready};
use streamgauge_component::{Authenticator, ComponentError, Unauthenticated};
use streamgauge_config::{Reread, Secret};

use super::config::ClientAuth;

pub(super) struct User(Reread<Secret>);

impl User {
    pub fn new(config: &ClientAuth, every: Duration) -> Result<Self, ComponentError> {
        let files: Vec<PathBuf> =
            [config.user_file(), config.secret_file()].into_iter().flatten().map(PathBuf::from).collect();
        let config = config.clone();
        let make = move || {
            let user = given(config.user_file(), &config.username)?;
            if user.contains(':') {
                return Err("a user name cannot have a colon".to_owned());
            }
            let password = given(config.secret_file(), config.password.expose())?;
            Ok(Secret::new(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))))
        };
        Ok(User(Reread::new(files, every, make)?))
    }
}

/// The file's text without the line's end, or the text itself.
fn given(file: Option<&str>, text: &str) -> Result<String, String> {
    let Some(file) = file else { return Ok(text.to_owned()) };
    let read = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(read.trim_end_matches(['\r', '\n']).to_owned())
}

impl Authenticator for User {
    fn header(&self) -> &str {
        "authorization"
    }

    fn authenticate<'a>(&'a self, _: Option<&'a [u8]>) -> BoxFuture<'a, Result<Arc<str>, Unauthenticated>> {
        let text =
            "this basicauth has client_auth, which is for exporters: a receiver wants one with htpasswd";
        Box::pin(ready(Err(Unauthenticated(text.to_owned()))))
    }

    fn credentials(&self) -> Result<Secret, ComponentError> {
        Ok((*self.0.get()).clone())
    }

    fn challenge(&self) -> String {
        "Basic".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_made_of_user_and_password_also_from_a_file_that_changes() {
        let file = std::env::temp_dir().join(format!("streamgauge-password-{}", std::process::id()));
        std::fs::write(&file, "open sesame\n").unwrap();
        let mut config = ClientAuth { username: "Aladdin".to_owned(), ..ClientAuth::default() };
        config.password_file = Some(file.display().to_string());
        let user = User::new(&config, Duration::ZERO).unwrap();
        // The example of RFC 7617.
        assert_eq!(user.credentials().unwrap().expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        std::fs::write(&file, "other").unwrap();
        assert_eq!(user.credentials().unwrap().expose(), "Basic QWxhZGRpbjpvdGhlcg==");
        std::fs::remove_file(file).unwrap();
    }
}
