//! The tokens, and who shows one of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use streamgauge_component::{Authenticator, ComponentError, Unauthenticated};
use streamgauge_config::{Reread, Secret};

use super::Config;
use crate::constant_time::Fingerprint;

/// Who shows a token is known by nothing else.
const IDENTITY: &str = "bearer";

pub(super) struct Tokens {
    header: String,
    scheme: String,
    known: Reread<Known>,
}

/// The tokens of one moment.
struct Known {
    sent: Secret,
    taken: Vec<Fingerprint>,
}

impl Tokens {
    pub fn new(config: &Config, every: Duration) -> Result<Self, ComponentError> {
        let file = config.filename.clone().filter(|file| !file.is_empty()).map(PathBuf::from);
        let own: Vec<Secret> = config.token.iter().chain(&config.tokens).cloned().collect();
        let scheme = config.scheme.trim().to_owned();
        let (read, prefix) = (file.clone(), scheme.clone());
        let make = move || match &read {
            None => known(own.iter().map(Secret::expose), &prefix),
            Some(file) => {
                let text =
                    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                known(text.lines(), &prefix).map_err(|why| format!("{}: {why}", file.display()))
            }
        };
        let known = Reread::new(file, every, make)?;
        Ok(Tokens { header: config.header.to_ascii_lowercase(), scheme, known })
    }

    fn check(&self, shown: Option<&[u8]>) -> Result<Arc<str>, Unauthenticated> {
        let shown = shown.ok_or_else(|| {
            Unauthenticated(format!("missing or empty authorization header: {}", self.header))
        })?;
        // The scheme's case does not matter; the token's does.
        let token = match self.scheme.as_str() {
            "" => Some(shown),
            scheme => shown
                .split_at_checked(scheme.len())
                .filter(|(word, _)| word.eq_ignore_ascii_case(scheme.as_bytes()))
                .and_then(|(_, rest)| rest.strip_prefix(b" ")),
        };
        let token = Fingerprint::of(token.unwrap_or_default().trim_ascii());
        // Every token is compared: the time does not tell which one it is.
        let known = self.known.get().taken.iter().fold(false, |found, one| found | one.same(&token));
        match known {
            true => Ok(IDENTITY.into()),
            false => Err(Unauthenticated("scheme or token does not match".to_owned())),
        }
    }
}

/// Of several tokens the first is sent.
fn known<'a>(tokens: impl Iterator<Item = &'a str>, scheme: &str) -> Result<Known, String> {
    let tokens: Vec<&str> = tokens.map(str::trim).filter(|token| !token.is_empty()).collect();
    let first = tokens.first().ok_or("there is no token in it")?;
    let sent = match scheme {
        "" => Secret::new(*first),
        scheme => Secret::new(format!("{scheme} {first}")),
    };
    Ok(Known { sent, taken: tokens.iter().map(|token| Fingerprint::of(token.as_bytes())).collect() })
}

impl Authenticator for Tokens {
    fn header(&self) -> &str {
        &self.header
    }

    fn authenticate<'a>(
        &'a self,
        shown: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Arc<str>, Unauthenticated>> {
        Box::pin(ready(self.check(shown)))
    }

    fn credentials(&self) -> Result<Secret, ComponentError> {
        Ok(self.known.get().sent.clone())
    }

    fn challenge(&self) -> String {
        if self.scheme.is_empty() { "Bearer".to_owned() } else { self.scheme.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(config: Config) -> Tokens {
        Tokens::new(&config, Duration::ZERO).unwrap()
    }

    async fn knows(tokens: &Tokens, shown: &str) -> bool {
        tokens.authenticate(Some(shown.as_bytes())).await.is_ok()
    }

    #[tokio::test]
    async fn any_of_the_tokens_is_taken_with_its_scheme_and_nothing_else() {
        let config = Config { tokens: vec!["first".into(), "second".into()], ..Config::default() };
        let tokens = tokens(config);
        assert!(knows(&tokens, "Bearer first").await && knows(&tokens, "bearer second").await);
        for shown in
            ["first", "Bearer", "Bearer ", "Bearer third", "Bearer firs", "Basic first", "Bearerfirst", ""]
        {
            assert!(!knows(&tokens, shown).await, "{shown:?}");
        }
        assert!(tokens.authenticate(None).await.unwrap_err().0.contains("authorization"));
        assert_eq!(tokens.credentials().unwrap().expose(), "Bearer first");
    }

    #[tokio::test]
    async fn header_and_scheme_can_be_others() {
        let config = Config {
            header: "X-Api-Key".to_owned(),
            scheme: String::new(),
            token: Some("key".into()),
            ..Config::default()
        };
        let tokens = tokens(config);
        assert_eq!((tokens.header(), tokens.credentials().unwrap().expose()), ("x-api-key", "key"));
        assert!(knows(&tokens, "key").await && !knows(&tokens, "Bearer key").await);
    }

    #[tokio::test]
    async fn a_changed_file_changes_what_is_taken_and_sent() {
        let file = std::env::temp_dir().join(format!("streamgauge-tokens-{}", std::process::id()));
        std::fs::write(&file, "old\n\nsecond\n").unwrap();
        let filename = Some(file.display().to_string());
        let tokens = tokens(Config { filename, ..Config::default() });
        assert!(knows(&tokens, "Bearer old").await && knows(&tokens, "Bearer second").await);
        std::fs::write(&file, "newer\n").unwrap();
        assert!(knows(&tokens, "Bearer newer").await && !knows(&tokens, "Bearer old").await);
        assert_eq!(tokens.credentials().unwrap().expose(), "Bearer newer");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn no_error_shows_a_token() {
        let tokens = tokens(Config { token: Some("hunter2".into()), ..Config::default() });
        let error = tokens.check(Some(b"Bearer hunter3")).unwrap_err();
        assert!(!error.0.contains("hunter"), "{error}");
    }
}
