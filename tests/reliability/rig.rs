//! A collector with a queue on disk that can be killed and started again on the same directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use streamgauge_harness::{Collector, OtlpSink, free_port, http, poll_until};
use tempfile::TempDir;

use crate::ledger::Ledger;

/// How long anything on this machine may take before it counts as not happening.
pub const SOON: Duration = Duration::from_secs(40);
/// Requests that are exported at the same time.
pub const CONSUMERS: usize = 4;

pub struct Rig {
    pub sink: OtlpSink,
    pub ledger: Ledger,
    dir: TempDir,
    /// Where in its directory the storage is to be; the collector does not make it.
    pub within: &'static str,
    /// Of `file_storage`, bytes.
    pub quota: u64,
}

pub struct Running {
    pub collector: Collector,
    pub url: String,
    own: u16,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Rig {
    pub fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        Rig { sink: OtlpSink::http(), ledger: Ledger::default(), dir, within: "", quota: 1 << 30 }
    }

    pub fn start(&self) -> Running {
        let (http, own, health) = (free_port(), free_port(), free_port());
        let (sink, dir, quota) = (self.sink.url(), self.directory().display().to_string(), self.quota);
        let yaml = format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}
exporters:
  otlp_http:
    endpoint: '{sink}'
    compression: none
    retry_on_failure: {{initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: 1s}}
    circuit_breaker: {{enabled: false}}
    sending_queue: {{storage: file_storage, num_consumers: {CONSUMERS}, queue_size: 1000000}}
extensions:
  file_storage: {{directory: '{dir}', quota: {quota}}}
  health_check: {{endpoint: '127.0.0.1:{health}'}}
service:
  shutdown_timeout: 2s
  extensions: [file_storage, health_check]
  pipelines: {{logs: {{receivers: [otlp], exporters: [otlp_http]}}}}
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]}}}}
"
        );
        let mut collector = Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config(&yaml).start();
        collector.wait_for_ok(&format!("http://127.0.0.1:{health}/"), SOON);
        Running { collector, url: format!("http://127.0.0.1:{http}"), own }
    }

    /// Where the storage is.
    pub fn directory(&self) -> PathBuf {
        self.dir.path().join(self.within)
    }

    /// Until everything that was acknowledged has arrived, but for so many records.
    #[track_caller]
    pub fn arrives(&self, but: usize) {
        poll_until("what was acknowledged arrives", SOON, || {
            (self.ledger.missing(&self.sink) <= but).then_some(())
        });
    }

    /// The segments on the disk.
    pub fn segments(&self) -> Vec<PathBuf> {
        files(self.dir.path())
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "seg"))
            .collect()
    }
}

impl Running {
    /// The sum of a number of its own.
    pub fn number(&self, name: &str) -> f64 {
        let text = http::get(&format!("http://127.0.0.1:{}/metrics", self.own)).unwrap().text();
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    pub fn kill(mut self) {
        self.collector.signal("KILL");
        assert_eq!(self.collector.exit_code(SOON), None);
    }

    pub fn terminate(self) {
        let (code, log) = self.collector.terminate(SOON);
        assert_eq!(code, Some(0), "{log}");
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
