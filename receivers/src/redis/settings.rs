//! Settings of the server that hold no secret, read once a minute.

use streamgauge_redis::{ReadCommand, SAFE_SETTINGS, pairs};
use tokio::time::Instant;

use super::metrics::index;
use crate::scrape::recorder::{Number, Recorder};
use crate::scrape::redis::Server;

/// How long an answer stands for the setting.
const STANDS: u64 = 60_000_000_000;
const LIMIT: &str = "client-output-buffer-limit";

pub(crate) struct Settings {
    metrics: [usize; 4],
    /// Name and value, as the server had them at the time.
    values: Vec<(String, String)>,
    read: Option<u64>,
}

impl Settings {
    /// What needs it.
    pub(crate) const METRICS: [&str; 4] = [
        "redis.config.value",
        "redis.config.text",
        "redis.config.client_output_buffer_limit",
        "redis.config.client_output_buffer_limit.time",
    ];

    pub(crate) fn new() -> Self {
        Settings { metrics: Self::METRICS.map(index), values: Vec::new(), read: None }
    }

    /// Reads when it is time, and records.
    pub(crate) async fn round(&mut self, server: &Server, when: (Instant, u64), recorder: &mut Recorder) {
        let (deadline, now) = when;
        if self.read.is_none_or(|read| now.saturating_sub(read) >= STANDS) {
            let commands: Vec<_> =
                SAFE_SETTINGS.iter().filter_map(|name| ReadCommand::config_get(name)).collect();
            if let Ok(answers) = server.call(&commands, deadline).await {
                let answers: Vec<_> = answers.into_iter().flatten().collect();
                if !answers.is_empty() {
                    (self.values, self.read) = (answers.iter().flat_map(pairs).collect(), Some(now));
                }
            }
        }
        for (name, value) in &self.values {
            self.record(name, value, recorder);
        }
    }

    fn record(&self, name: &str, value: &str, recorder: &mut Recorder) {
        let [number, text, limit, time] = self.metrics;
        match (name, value, value.parse::<i64>()) {
            (LIMIT, ..) => {
                let words: Vec<_> = value.split(' ').collect();
                for class in words.chunks_exact(4) {
                    let part = |at: usize| class[at].parse::<i64>().ok().map(Number::Int);
                    let name = if class[0] == "slave" { "replica" } else { class[0] };
                    for (at, kind) in [(1, "hard"), (2, "soft")] {
                        part(at).into_iter().for_each(|bytes| recorder.record(limit, &[name, kind], bytes));
                    }
                    part(3).into_iter().for_each(|seconds| recorder.record(time, &[name], seconds));
                }
            }
            (_, _, Ok(value)) => recorder.record(number, &[name], Number::Int(value)),
            (_, "yes", _) => recorder.record(number, &[name], Number::Int(1)),
            (_, "no", _) => recorder.record(number, &[name], Number::Int(0)),
            _ => recorder.record(text, &[name, value], Number::Int(1)),
        }
    }
}
