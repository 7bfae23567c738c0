//! A line for each change, in a file that only grows.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::cli::Failure;

/// Where changes are written down, and who makes them.
#[derive(Debug)]
pub(crate) struct Audit {
    file: Option<PathBuf>,
    server: String,
    user: Option<String>,
}

impl Audit {
    /// `server` is its address without a password.
    pub(crate) fn new(file: Option<&Path>, server: String, user: Option<String>) -> Audit {
        Audit { file: file.map(Path::to_owned), server, user }
    }

    /// Writes down what is about to be done. What cannot be written down is not done.
    pub(crate) fn write(&self, action: &str, about: &Value) -> Result<(), Failure> {
        let Some(path) = &self.file else { return Ok(()) };
        let person = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        let line = json!({
            "at": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            "person": person,
            "redis": self.server,
            "redis_user": self.user,
            "action": action,
            "about": about,
        });
        let failed = |error| Failure::runtime(format!("nothing was done: {}: {error}", path.display()));
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.append(true).create(true).open(path).map_err(failed)?;
        file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
    }
}
