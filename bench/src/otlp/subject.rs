//! What is measured: the floor, ourselves, the peers. Each with the configuration that does a row's job.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::bodies::TAG;
use super::rows::{Job, MEMORY_MIB, Row};
use super::wire::{Packing, Transport};

/// A program under measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    #[serde(rename = "floor")]
    Floor,
    #[serde(rename = "own pass")]
    OwnPass,
    /// With the queue in memory where the row has it on the disk.
    #[serde(rename = "own memory queue")]
    OwnMemory,
    #[serde(rename = "streamgauge")]
    Ours,
    #[serde(rename = "go collector")]
    Go,
    /// Its storage syncs, which is not its default.
    #[serde(rename = "go collector, fsync")]
    GoSync,
    #[serde(rename = "rotel")]
    Rotel,
    /// Writes and syncs, and nothing else.
    #[serde(rename = "bare writer")]
    Writer,
}

/// Where a program is to run.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub listen: SocketAddr,
    /// The sink.
    pub to: SocketAddr,
    /// For its own numbers, where they are needed.
    pub own: SocketAddr,
    /// For its configuration and its data.
    pub dir: &'a Path,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    pub ours: PathBuf,
    pub go: PathBuf,
    pub rotel: PathBuf,
}

impl Programs {
    /// Ours, and the peers of a directory.
    pub fn new(ours: &Path, peers: &Path) -> Programs {
        Programs { ours: ours.to_owned(), go: peers.join("otelcol-bench"), rotel: peers.join("rotel-agent") }
    }

    /// The program of a subject; modes of the bench have none.
    pub fn of(&self, subject: Subject) -> &Path {
        match subject {
            Subject::Floor | Subject::Writer => Path::new(""),
            Subject::OwnPass | Subject::OwnMemory | Subject::Ours => &self.ours,
            Subject::Go | Subject::GoSync => &self.go,
            Subject::Rotel => &self.rotel,
        }
    }
}

impl Subject {
    pub fn name(self) -> &'static str {
        match self {
            Subject::Floor => "floor",
            Subject::OwnPass => "own pass",
            Subject::OwnMemory => "own memory queue",
            Subject::Ours => "streamgauge",
            Subject::Go => "go collector",
            Subject::GoSync => "go collector, fsync",
            Subject::Writer => "bare writer",
            Subject::Rotel => "rotel",
        }
    }

    /// Whether its program is there; peers are optional.
    pub fn is_there(self, programs: &Programs) -> bool {
        matches!(self, Subject::Floor | Subject::Writer) || programs.of(self).is_file()
    }

    /// Why it cannot take part in a row.
    pub fn lacks(self, row: &Row) -> Option<&'static str> {
        match self {
            Subject::Rotel if row.packing == Packing::Zstd => Some("has no zstd"),
            Subject::Rotel if row.numbered() => Some("has no such queue"),
            _ => None,
        }
    }

    /// Whether it tells how many requests it writes with one sync.
    pub fn shows_groups(self, row: &Row) -> bool {
        self == Subject::Ours && row.job == Job::Disk
    }

    /// Its command; none for modes of the bench.
    pub fn command(self, row: &Row, programs: &Programs, place: &Place<'_>) -> Option<Command> {
        let collector = |job: Job| {
            let file = place.dir.join("config.yaml");
            std::fs::write(&file, self.config(row, job, place)).expect("write the configuration");
            let mut command = Command::new(programs.of(self));
            command.arg("--config").arg(file);
            command
        };
        match self {
            Subject::Floor | Subject::Writer => None,
            Subject::OwnPass => Some(collector(Job::Pass)),
            Subject::OwnMemory => Some(collector(Job::QueueBlock)),
            Subject::Ours | Subject::Go | Subject::GoSync => Some(collector(row.job)),
            Subject::Rotel => Some(rotel(row, &programs.rotel, place.listen, place.to)),
        }
    }

    /// One file for both collectors, but for what the other does not know.
    fn config(self, row: &Row, job: Job, place: &Place<'_>) -> String {
        let ours = !matches!(self, Subject::Go | Subject::GoSync);
        let Place { listen, to, own, dir } = place;
        let protocol = match row.transport {
            Transport::Grpc => format!("grpc: {{endpoint: '{listen}', max_recv_msg_size_mib: 64}}"),
            Transport::Http => format!("http: {{endpoint: '{listen}', max_request_body_size: 67108864}}"),
        };
        let (exporter, endpoint) = match row.transport {
            Transport::Grpc => ("otlp", format!("'{to}', tls: {{insecure: true}}")),
            Transport::Http => ("otlphttp", format!("'http://{to}'")),
        };
        let queue = match job {
            Job::Queue => "",
            Job::QueueBlock => ", sending_queue: {queue_size: 100, block_on_overflow: true}",
            Job::Disk => ", sending_queue: {queue_size: 100, block_on_overflow: true, storage: file_storage}",
            Job::Overload => ", sending_queue: {queue_size: 1000000}",
            Job::OverloadDisk => ", sending_queue: {queue_size: 1000000, storage: file_storage}",
            _ => ", sending_queue: {enabled: false}",
        };
        let wait = if ours && job == Job::BatchDelivered { "    wait_for: delivered\n" } else { "" };
        let (processors, chain) = match job {
            Job::Pass | Job::Queue | Job::QueueBlock | Job::Disk => (String::new(), "[]"),
            Job::Batch | Job::BatchDelivered => ("processors:\n  batch: {}\n".to_owned(), "[batch]"),
            Job::Overload | Job::OverloadDisk => {
                let limits = format!("{{check_interval: 1s, limit_mib: {MEMORY_MIB}}}");
                (format!("processors:\n  memory_limiter: {limits}\n"), "[memory_limiter]")
            }
            Job::Project if ours => {
                let rules = "{attribute: project.id, rules: [{value: checkout}]}";
                (format!("processors:\n  project: {rules}\n"), "[project]")
            }
            Job::Tag | Job::Project => {
                let action = format!("{{key: {TAG}, value: checkout, action: upsert}}");
                (format!("processors:\n  resource: {{attributes: [{action}]}}\n"), "[resource]")
            }
        };
        let (storage, extensions) = match job {
            Job::Disk | Job::OverloadDisk => {
                let fsync = if self == Subject::GoSync { ", fsync: true" } else { "" };
                let directory = dir.join("queue");
                let settings =
                    format!("{{directory: '{}', create_directory: true{fsync}}}", directory.display());
                (format!("extensions:\n  file_storage: {settings}\n"), "[file_storage]")
            }
            _ => (String::new(), "[]"),
        };
        let metrics = match self.shows_groups(row) {
            true => {
                let (host, port) = (own.ip(), own.port());
                format!(
                    "{{readers: [{{pull: {{exporter: {{prometheus: {{host: {host}, port: {port}}}}}}}}}]}}"
                )
            }
            false => "{level: none}".to_owned(),
        };
        format!(
            "receivers:\n  otlp:\n    protocols: {{{protocol}}}\n{wait}{processors}\
             exporters:\n  {exporter}: {{endpoint: {endpoint}, compression: {}{queue}}}\n{storage}\
             service:\n  extensions: {extensions}\n  telemetry: {{logs: {{level: warn}}, metrics: {metrics}}}\n  \
             pipelines:\n    {}: {{receivers: [otlp], processors: {chain}, exporters: [{exporter}]}}\n",
            row.packing.name(),
            row.signal.name(),
        )
    }
}

/// It batches by itself and answers before that; there is no other way to give it the job of a row.
fn rotel(row: &Row, program: &Path, listen: SocketAddr, to: SocketAddr) -> Command {
    let mut command = Command::new(program);
    let (listens, protocol) = match row.transport {
        Transport::Grpc => ("--otlp-grpc-endpoint", "grpc"),
        Transport::Http => ("--otlp-http-endpoint", "http"),
    };
    let idle = SocketAddr::from(([127, 0, 0, 1], streamgauge_harness::free_port())).to_string();
    let other =
        if row.transport == Transport::Grpc { "--otlp-http-endpoint" } else { "--otlp-grpc-endpoint" };
    command
        .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", protocol])
        .args(["--otlp-exporter-endpoint", &format!("http://{to}")])
        // The one flag for all signals gives way to each signal's default, which is gzip.
        .args([&format!("--otlp-exporter-{}-compression", row.signal.name()), row.packing.name()])
        .args([listens, &listen.to_string(), other, &idle])
        .args(["--otlp-grpc-max-recv-msg-size-mib", "64"]);
    match row.job {
        Job::Batch | Job::BatchDelivered => {}
        Job::Tag | Job::Project => {
            command.args(["--disable-batching", "--otel-resource-attributes", &format!("{TAG}=checkout")]);
        }
        Job::Pass | Job::Queue | Job::QueueBlock | Job::Disk | Job::Overload | Job::OverloadDisk => {
            command.arg("--disable-batching");
        }
    }
    command
}
