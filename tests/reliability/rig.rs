//! A collector with a queue on disk that can be killed and started again on the same directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use streamgauge_harness::{Collector, OtlpSink, Wire, free_port, http, poll_until};
use tempfile::TempDir;

use crate::ledger::{Ledger, RECORDS};

/// How long anything on this machine may take before it counts as not happening.
pub const SOON: Duration = Duration::from_secs(60);
/// Requests that are exported at the same time.
pub const CONSUMERS: usize = 4;
/// Records that may be with the peer while the disk does not know it: each consumer's request, and those whose ends are
/// written down when the sync that is under way has ended; three each are more than any machine here had.
pub const ON_THE_WAY: usize = 4 * CONSUMERS * RECORDS as usize;

pub struct Rig {
    pub sink: OtlpSink,
    pub ledger: Ledger,
    /// To the sink.
    pub wire: Wire,
    dir: TempDir,
    /// `otlp_http` or `otlp_grpc`.
    pub exporter: &'static str,
    /// Where in its directory the storage is to be; the collector does not make it.
    pub within: &'static str,
    /// Of `file_storage`, bytes.
    pub quota: u64,
    /// Of the exporter's `sending_queue`.
    pub queue: String,
    /// More exporters of the pipeline, as `id: {section}`.
    pub beside: Vec<(&'static str, String)>,
    /// Of the process.
    pub env: Vec<(&'static str, String)>,
}

/// What a collector of its own listens on.
#[derive(Clone, Copy)]
pub struct Ports {
    pub http: u16,
    own: u16,
    health: u16,
    pub api: u16,
}

pub struct Running {
    pub collector: Collector,
    pub url: String,
    pub ports: Ports,
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with("otlp_http", OtlpSink::http())
    }

    pub fn grpc() -> Rig {
        Rig::with("otlp_grpc", OtlpSink::grpc())
    }

    fn with(exporter: &'static str, sink: OtlpSink) -> Rig {
        let wire = Wire::to(&sink.addr());
        Rig {
            sink,
            ledger: Ledger::default(),
            wire,
            dir: tempfile::tempdir().unwrap(),
            exporter,
            within: "",
            quota: 1 << 30,
            queue: "storage: file_storage, queue_size: 1000000".to_owned(),
            beside: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The same with its queue in memory.
    pub fn in_memory(mut self) -> Rig {
        "queue_size: 1000000".clone_into(&mut self.queue);
        self
    }

    /// A section of an exporter of this kind.
    pub fn section(&self, address: &str, more: &str) -> String {
        let endpoint =
            if self.exporter == "otlp_http" { format!("http://{address}") } else { address.to_owned() };
        format!(
            "{{endpoint: '{endpoint}', compression: none, tls: {{insecure: true}}, circuit_breaker: {{enabled: false}}, \
             retry_on_failure: {{initial_interval: 100ms, max_interval: 200ms, max_elapsed_time: 1s}}, timeout: 2s, {more}}}"
        )
    }

    pub fn yaml(&self, ports: &Ports) -> String {
        let queue = format!("sending_queue: {{num_consumers: {CONSUMERS}, {}}}", self.queue);
        self.yaml_to(ports, &self.section(&self.wire.addr(), &queue))
    }

    /// With another section of the exporter.
    pub fn yaml_to(&self, ports: &Ports, section: &str) -> String {
        let Ports { http, own, health, api } = ports;
        let (exporter, dir, quota) = (self.exporter, self.directory().display().to_string(), self.quota);
        let beside: String = self.beside.iter().map(|(id, section)| format!("  {id}: {section}\n")).collect();
        let ids: String = self.beside.iter().map(|(id, _)| format!(", {id}")).collect();
        format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{http}'}}}}}}}}
exporters:
  {exporter}: {section}
{beside}extensions:
  file_storage: {{directory: '{dir}', quota: {quota}}}
  health_check: {{endpoint: '127.0.0.1:{health}'}}
  api: {{endpoint: '127.0.0.1:{api}'}}
service:
  shutdown_timeout: 2s
  extensions: [file_storage, health_check, api]
  pipelines: {{logs: {{receivers: [otlp], exporters: [{exporter}{ids}]}}}}
  telemetry:
    metrics:
      level: detailed
      readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]
"
        )
    }

    pub fn start(&self) -> Running {
        let ports = Ports { http: free_port(), own: free_port(), health: free_port(), api: free_port() };
        let mut builder = Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config(&self.yaml(&ports));
        for (name, value) in &self.env {
            builder = builder.env(name, value);
        }
        let mut collector = builder.start();
        collector.wait_for_ok(&format!("http://127.0.0.1:{}/", ports.health), SOON);
        Running { collector, url: format!("http://127.0.0.1:{}", ports.http), ports }
    }

    /// Sends until so many requests are acknowledged: a queue whose files are still being opened refuses them for now.
    #[track_caller]
    pub fn send(&self, running: &Running, requests: usize) {
        for _ in 0..requests {
            poll_until("a request is acknowledged", SOON, || self.ledger.send(&running.url).then_some(()));
        }
    }

    /// Until so many more records are acknowledged.
    #[track_caller]
    pub fn takes(&self, records: usize) {
        let before = self.ledger.acked();
        poll_until("records are taken", SOON, || (self.ledger.acked() >= before + records).then_some(()));
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

    /// A file of the exporter's log: `settled`, or a segment.
    pub fn files(&self, extension_or_name: &str) -> Vec<PathBuf> {
        let wanted = |path: &PathBuf| {
            let matches = |part: Option<&std::ffi::OsStr>| part.is_some_and(|part| part == extension_or_name);
            matches(path.extension()) || matches(path.file_name())
        };
        let mut found: Vec<PathBuf> = files(self.dir.path()).into_iter().filter(wanted).collect();
        found.sort();
        found
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the last request that was not taken: {:?}", self.ledger.last_refusal());
        }
    }
}

impl Running {
    /// The sum of a number of its own over all series that have these labels, written as in the text.
    pub fn number(&self, name: &str, labels: &[&str]) -> usize {
        let text = http::get(&format!("http://127.0.0.1:{}/metrics", self.ports.own)).unwrap().text();
        let named = |line: &&str| {
            let found = line.split(['{', ' ']).next().unwrap_or_default();
            found.strip_suffix("_total").unwrap_or(found) == name && labels.iter().all(|l| line.contains(l))
        };
        let values =
            text.lines().filter(named).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum::<f64>() as usize
    }

    /// Items that an exporter dropped, for whatever reason, once its queue holds nothing any more and its ledger adds up.
    #[track_caller]
    pub fn dropped(&self, exporter: &str) -> usize {
        let component = format!("component=\"{exporter}\"");
        let of = |name: &str| self.number(name, &[&component]);
        poll_until("the exporter's ledger adds up", SOON, || {
            let came = self.number("streamgauge_edge_items", &[&format!("to=\"exporter/{exporter}\"")]);
            let left = came + of("streamgauge_items_created");
            let ended = of("streamgauge_items_delivered")
                + of("streamgauge_items_dropped")
                + of("streamgauge_items_returned");
            (of("streamgauge_held_items") == 0 && left == ended).then_some(())
        });
        assert_eq!(self.number("streamgauge_acks_abandoned", &[]), 0);
        of("streamgauge_items_dropped")
    }

    pub fn reload(&self, yaml: &str) -> http::Answer {
        std::fs::write(self.collector.dir().join("config-0.yaml"), yaml).unwrap();
        http::post(&format!("http://127.0.0.1:{}/api/v1/reload", self.ports.api), "text/plain", b"").unwrap()
    }

    pub fn kill(mut self) {
        self.collector.signal("KILL");
        assert_eq!(self.collector.exit_code(SOON), None);
    }

    /// Ends it, and gives its log.
    pub fn terminate(self) -> String {
        let (code, log) = self.collector.terminate(SOON);
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
