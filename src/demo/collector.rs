//! The collector of the demo: this very binary on `configs/quickstart.yaml`, with short intervals from the
//! environment, free ports, and one more exporter that leads back to the demo's screen.

use std::fs::File;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::server::{Directory, free_port};

const QUICKSTART: &str = include_str!("../../configs/quickstart.yaml");

/// What an hour of watching shows, in seconds.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("INTERVAL", "1s"),
    ("LAG_WARNING", "150"),
    ("LAG_CRITICAL", "1000"),
    ("LAG_FOR", "3s"),
    ("PENDING_AGE_WARNING", "20"),
];

/// A running collector. Dropped, it is killed.
pub struct Collector {
    child: Child,
    otlp_url: String,
    directory: Directory,
}

impl Collector {
    /// Starts it on the Redis at `redis_url`, exporting to `screen_url`.
    pub fn start(redis_url: &str, screen_url: &str) -> Result<Collector, String> {
        let directory = Directory::create("demo-collector")?;
        let fail = |e: std::io::Error| format!("cannot start the collector: {e}");
        let port = || free_port().map_err(fail);
        let (grpc, http, health, own) = (port()?, port()?, port()?, port()?);
        let quickstart = directory.0.join("quickstart.yaml");
        let overlay = directory.0.join("demo.yaml");
        std::fs::write(&quickstart, QUICKSTART).map_err(fail)?;
        std::fs::write(&overlay, overlay_text(grpc, http, health, own, screen_url)).map_err(fail)?;
        let log = File::create(directory.0.join("collector.log")).map_err(fail)?;
        let child = Command::new(std::env::current_exe().map_err(fail)?)
            .arg("run")
            .arg("--config")
            .arg(&quickstart)
            .arg("--config")
            .arg(&overlay)
            .envs(ENVIRONMENT)
            .env("REDIS_URL", redis_url)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(fail)?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        Ok(Collector { child, otlp_url: format!("http://127.0.0.1:{http}"), directory })
    }

    /// Its OTLP receiver by HTTP.
    pub fn otlp_url(&self) -> &str {
        &self.otlp_url
    }

    /// Waits until it ends by itself, and says why it may have.
    pub async fn ended(&mut self) -> String {
        let status = self.child.wait().await;
        let status = status.map_or_else(|e| e.to_string(), |s: ExitStatus| s.to_string());
        let log = std::fs::read_to_string(self.directory.0.join("collector.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("the collector ended ({status}); the end of its log:\n{last}")
    }

    /// Ends it; it has nothing that would be worth waiting for.
    pub async fn stop(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.child.kill()).await;
    }
}

fn overlay_text(grpc: u16, http: u16, health: u16, own: u16, screen: &str) -> String {
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '127.0.0.1:{grpc}'}}
      http: {{endpoint: '127.0.0.1:{http}'}}
exporters:
  otlp_http/screen: {{endpoint: '{screen}', compression: none}}
extensions:
  health_check: {{endpoint: '127.0.0.1:{health}'}}
service:
  telemetry:
    metrics:
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]
  pipelines:
    metrics: {{exporters: [alerting, otlp_http/screen]}}
    logs/alerts: {{exporters: [otlp_http/screen]}}
"
    )
}
