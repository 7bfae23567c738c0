//! The users of an htpasswd text, and who proves to be one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use streamgauge_component::{Authenticator, ComponentError, Unauthenticated};
use streamgauge_config::{Reread, Secret};
use tokio::sync::Semaphore;

use super::config::Htpasswd;
use crate::constant_time::Fingerprint;

/// One bcrypt takes tens of milliseconds of a CPU by design: strangers may not keep more than one busy.
const HASHING_AT_ONCE: usize = 1;
/// Proven credentials are remembered, so that senders are hashed once and not with every request.
const REMEMBERED: usize = 10_000;

/// A user's password.
#[derive(Clone)]
pub(super) enum Password {
    Plain(Fingerprint),
    Bcrypt(String),
}

pub(super) type Table = HashMap<String, Password>;

pub(super) struct Users {
    table: Reread<Proven>,
    hashing: Semaphore,
}

/// The users of one moment, and who has proven to be one: it is forgotten with them.
struct Proven {
    users: Table,
    seen: Mutex<HashMap<Fingerprint, Arc<str>>>,
}

/// Reads `user:password` lines. The text of an error holds no password.
pub(super) fn parse(text: &str) -> Result<Table, String> {
    let mut users = Table::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |why: &str| format!("line {}: {why}", number + 1);
        let (user, password) = line.split_once(':').ok_or_else(|| at("user:password is expected"))?;
        let password = match password {
            hash if ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|kind| hash.starts_with(kind)) => {
                hash.parse::<bcrypt::HashParts>().map_err(|_| at("this is not a bcrypt hash"))?;
                Password::Bcrypt(hash.to_owned())
            }
            hash if ["$apr1$", "$1$", "$5$", "$6$", "{SHA}", "{SSHA}"]
                .iter()
                .any(|k| hash.starts_with(k)) =>
            {
                return Err(at("only bcrypt hashes and plain passwords are known: use htpasswd -B"));
            }
            plain => Password::Plain(Fingerprint::of(plain.as_bytes())),
        };
        users.insert(user.to_owned(), password);
    }
    if users.is_empty() { Err("there is no user in it".to_owned()) } else { Ok(users) }
}

impl Users {
    pub fn new(config: &Htpasswd, every: Duration) -> Result<Self, ComponentError> {
        let file = config.file.clone().filter(|file| !file.is_empty()).map(PathBuf::from);
        let inline = config.inline.clone().filter(|text| !text.is_empty());
        let read = file.clone();
        let make = move || {
            let mut users = Table::new();
            if let Some(file) = &read {
                let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
                let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
                users = parse(&text).map_err(|why| failed(&why))?;
            }
            if let Some(text) = &inline {
                users.extend(parse(text.expose())?);
            }
            Ok(Proven { users, seen: Mutex::default() })
        };
        let table = Reread::new(file, every, make)?;
        Ok(Users { table, hashing: Semaphore::new(HASHING_AT_ONCE) })
    }

    async fn check(&self, shown: Option<&[u8]>) -> Result<Arc<str>, Unauthenticated> {
        let denied = |why: &str| Unauthenticated(why.to_owned());
        let shown = shown.ok_or_else(|| denied("no basic auth provided"))?;
        let proven = self.table.get();
        let print = Fingerprint::of(shown);
        let known = |seen: &Mutex<HashMap<Fingerprint, Arc<str>>>| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).get(&print).cloned()
        };
        if let Some(user) = known(&proven.seen) {
            return Ok(user);
        }
        let (user, password) = decode(shown).ok_or_else(|| denied("no basic auth provided"))?;
        let wrong = "authentication didn't succeed";
        let right = match proven.users.get(&user).cloned() {
            None => false,
            Some(Password::Plain(right)) => right.same(&Fingerprint::of(&password)),
            Some(Password::Bcrypt(hash)) => {
                let _turn = self.hashing.acquire().await;
                // Somebody with the same credentials may have been before.
                match known(&proven.seen) {
                    Some(_) => true,
                    None => {
                        tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false))
                            .await
                            .unwrap_or(false)
                    }
                }
            }
        };
        if !right {
            return Err(denied(wrong));
        }
        let user: Arc<str> = user.into();
        let mut seen = proven.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < REMEMBERED {
            seen.insert(print, user.clone());
        }
        Ok(user)
    }
}

/// User and password of a `Basic` header.
fn decode(shown: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = shown.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some((String::from_utf8(pair[..colon].to_vec()).ok()?, pair[colon + 1..].to_vec()))
}

impl Authenticator for Users {
    fn header(&self) -> &str {
        "authorization"
    }

    fn authenticate<'a>(
        &'a self,
        shown: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Arc<str>, Unauthenticated>> {
        Box::pin(self.check(shown))
    }

    fn credentials(&self) -> Result<Secret, ComponentError> {
        Err("this basicauth has htpasswd, which is for receivers: an exporter wants one with client_auth"
            .into())
    }

    fn challenge(&self) -> String {
        "Basic realm=\"streamgauge\", charset=\"UTF-8\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(inline: &str) -> Users {
        let config = Htpasswd { file: None, inline: Some(inline.into()) };
        Users::new(&config, Duration::ZERO).unwrap()
    }

    fn basic(pair: &str) -> Vec<u8> {
        format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes()
    }

    async fn who(users: &Users, shown: &[u8]) -> Option<String> {
        users.authenticate(Some(shown)).await.ok().map(|user| user.to_string())
    }

    #[tokio::test]
    async fn plain_and_bcrypt_passwords_prove_their_users_and_no_others() {
        let hash = bcrypt::hash("p:ss", 4).unwrap();
        let users = users(&format!("# people\nann:secret\n\nbob:{}\n", hash.replace("$2b$", "$2y$")));
        assert_eq!(who(&users, &basic("ann:secret")).await.as_deref(), Some("ann"));
        for _ in 0..2 {
            assert_eq!(who(&users, &basic("bob:p:ss")).await.as_deref(), Some("bob"));
        }
        for pair in ["ann:Secret", "ann:", "bob:secret", "bob:p:s", "eve:secret", "ann", ""] {
            assert_eq!(who(&users, &basic(pair)).await, None, "{pair}");
        }
        assert_eq!(who(&users, b"Basic ???").await, None);
        assert_eq!(who(&users, b"Bearer secret").await, None);
        assert!(users.authenticate(None).await.is_err());
    }

    #[tokio::test]
    async fn who_is_taken_out_of_the_file_is_not_let_in_on_an_old_proof() {
        let file = std::env::temp_dir().join(format!("streamgauge-htpasswd-{}", std::process::id()));
        std::fs::write(&file, "ann:one\nbob:two\n").unwrap();
        let config = Htpasswd { file: Some(file.display().to_string()), inline: None };
        let users = Users::new(&config, Duration::ZERO).unwrap();
        assert!(who(&users, &basic("bob:two")).await.is_some());
        std::fs::write(&file, "ann:one\n").unwrap();
        assert!(who(&users, &basic("bob:two")).await.is_none());
        assert!(who(&users, &basic("ann:one")).await.is_some());
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn lines_that_cannot_be_checked_are_named_without_their_passwords() {
        for (text, expected) in [
            ("ann:a\nhunter2", "line 2: user:password is expected"),
            ("ann:$apr1$hunter2", "line 1: only bcrypt"),
            ("ann:$2y$hunter2", "line 1: this is not a bcrypt hash"),
            ("\n# nobody\n", "there is no user in it"),
        ] {
            let error = parse(text).err().unwrap();
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
