//! A running collector's `api`, as its configuration says where it is.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use streamgauge_config::{Config, Secret};
use streamgauge_extensions::api;

use super::find::Queue;
use crate::ask::ask;

/// A purge reads what it drops.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Api {
    endpoint: String,
    token: Option<Secret>,
}

impl Api {
    /// The first that is in service.
    pub(super) fn of(config: &Config) -> Option<Api> {
        let mut all = config.extensions.iter().filter(|extension| extension.type_name == "api");
        let found = all.find(|extension| config.service.extensions.contains(&extension.id))?;
        let api::Config { endpoint, token } = found.section.read().ok()?;
        Some(Api { endpoint, token })
    }

    /// What the collector says of a queue; `None` when it does not know it.
    pub(super) fn status(&self, queue: &Queue) -> Result<Option<Value>, String> {
        let answer = self.ask("GET", "/api/v1/queues")?;
        let all = answer["queues"].as_array().cloned().unwrap_or_default();
        let is_it = |status: &Value| {
            let directory = status["directory"].as_str().map(Path::new);
            status["queue"] == queue.name() && directory.is_some_and(|there| same(there, &queue.directory))
        };
        Ok(all.into_iter().find(is_it))
    }

    /// Empties a queue that the collector knows, and tells what was in it.
    pub(super) fn purge(&self, queue: &Queue) -> Result<Value, String> {
        let status = self.status(queue)?;
        let status = status.ok_or_else(|| {
            format!("the collector at {} does not use {} in this directory", self.endpoint, queue.name())
        })?;
        let directory = status["directory"].as_str().unwrap_or_default();
        let (name, directory) = (escaped(&queue.name()), escaped(directory));
        let answer = self.ask("POST", &format!("/api/v1/queues/purge?queue={name}&directory={directory}"))?;
        Ok(answer["purged"].clone())
    }

    fn ask(&self, method: &str, path: &str) -> Result<Value, String> {
        let endpoint = &self.endpoint;
        let token = self.token.iter().map(|token| format!("authorization: Bearer {}", token.expose()));
        let headers: Vec<String> = token.collect();
        let failed = |error: &dyn std::fmt::Display| format!("the api at {endpoint}: {error}");
        let (status, body) =
            ask(method, endpoint, path, &headers, PATIENCE).map_err(|error| failed(&error))?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        match (status, answer["error"].as_str()) {
            (200, _) => Ok(answer),
            (_, Some(why)) => Err(failed(&why)),
            _ => Err(failed(&format_args!("answered with status {status}"))),
        }
    }
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().ok().is_some_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let escape = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}
