//! One collector with its load and its sink: it can be killed and started again on the same port and the same data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use streamgauge_harness::free_port;

use crate::otlp::{
    Account, Arrived, BENCH_CORE, Helper, LoadCounts, Process, Programs, SUBJECT_CORE, Sent, SinkCounts,
    Subject, args,
};

/// Records of a request.
pub const RECORDS: u64 = 10;
/// Offered, records a second.
pub const RATE: u64 = 5000;
/// Requests under way between load and collector.
const IN_FLIGHT: usize = 8;
/// Everything here happens within this time, or it does not happen.
const SOON: Duration = Duration::from_secs(60);
/// Nothing new has arrived for so long: nothing more will. Longer than any delay that the settings know.
const QUIET: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_millis(20);

/// The parts of the configuration that differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// The queue is on the disk.
    pub disk: bool,
    /// The queue joins requests.
    pub batch: bool,
    /// `max_elapsed_time` is 2 s and not the default of five minutes.
    pub gives_up: bool,
}

pub struct Rig {
    command: Command,
    dir: PathBuf,
    listen: SocketAddr,
    sink: Helper,
    load: Option<Helper>,
    running: Option<Process>,
    /// It did not start again.
    pub stays_down: bool,
    /// Requests with these numbers were poison and are nobody's loss.
    pub poison: Option<u64>,
}

impl Rig {
    /// A sink and a collector; nothing is sent yet.
    pub fn start(subject: Subject, settings: Settings, programs: &Programs, dir: &Path) -> Rig {
        let (sink, to) = Helper::start(&args(&["sink", "--transport", "grpc", "--numbered"]), BENCH_CORE);
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let file = dir.join("config.yaml");
        std::fs::write(&file, config(subject, settings, listen, &to, dir)).expect("write the configuration");
        let mut command = Command::new(programs.of(subject));
        command.arg("--config").arg(file);
        let dir = dir.to_owned();
        let (load, running, stays_down, poison) = (None, None, false, None);
        let mut rig = Rig { command, dir, listen, sink, load, running, stays_down, poison };
        rig.run();
        assert!(
            !rig.stays_down,
            "{} does not start: {:?}",
            subject.name(),
            std::fs::read_to_string(rig.log())
        );
        rig
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Starts the collector.
    pub fn run(&mut self) {
        let mut process = Process::start(&self.command, SUBJECT_CORE, &self.log());
        self.stays_down = !process.listens(self.listen);
        self.running = Some(process);
    }

    pub fn kill(&mut self) {
        self.running = None;
    }

    /// SIGTERM; returns whether the collector has ended by itself.
    pub fn terminate(&mut self) -> bool {
        self.running.take().is_none_or(|mut process| process.terminate(SOON))
    }

    /// Begins to send, and goes on until [`Rig::stop_load`], whatever happens to the collector.
    pub fn send(&mut self) {
        let (to, records, rate) = (self.listen.to_string(), RECORDS.to_string(), RATE.to_string());
        let in_flight = IN_FLIGHT.to_string();
        let mut load = args(&["load", "--transport", "grpc", "--signal", "logs", "--packing", "none"]);
        load.extend(args(&["--to", &to, "--records", &records, "--groups", "1", "--rate", &rate]));
        load.extend(args(&["--in-flight", &in_flight, "--connections", "1", "--numbered"]));
        self.load = Some(Helper::start(&load, BENCH_CORE).0);
    }

    pub fn stop_load(&mut self) {
        let Some(load) = &mut self.load else { return };
        load.ask::<LoadCounts>("stop");
        until(|| load.ask::<LoadCounts>("counts").in_flight == 0);
    }

    /// How the sink behaves from now on.
    pub fn sink(&mut self, mode: &str) {
        self.sink.ask::<SinkCounts>(&format!("mode {mode}"));
    }

    pub fn acked(&mut self) -> u64 {
        self.load.as_mut().map_or(0, |load| load.ask::<LoadCounts>("counts").acked)
    }

    /// Until so many more records have been acknowledged; whether they were in time.
    pub fn until_acked(&mut self, more: u64) -> bool {
        let before = self.acked();
        until(|| self.acked() >= before + more)
    }

    /// Until all that was acknowledged has arrived, or nothing arrives any more.
    pub fn settle(&mut self) -> Account {
        let (mut last, mut since) = (self.account(), Instant::now());
        while last.lost > 0 && since.elapsed() < QUIET {
            std::thread::sleep(LOOK);
            let now = self.account();
            if now.delivered != last.delivered {
                since = Instant::now();
            }
            last = now;
        }
        last
    }

    fn account(&mut self) -> Account {
        let Some(load) = &mut self.load else { return Account::default() };
        let poison = self.poison;
        let counts = |number: u64| poison.is_none_or(|every| !number.is_multiple_of(every));
        Account::of(&load.ask::<Sent>("numbers"), &self.sink.ask::<Arrived>("numbers"), counts)
    }

    /// The files of its storage, the largest first.
    pub fn data(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.dir.join("queue")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(data) if data.is_dir() => directories.push(entry.path()),
                    Ok(data) => found.push((data.len(), entry.path())),
                    Err(_) => {}
                }
            }
        }
        found.sort();
        found.into_iter().rev().map(|(_, path)| path).collect()
    }
}

/// Whether it happened in time.
fn until(mut happened: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if happened() {
            return true;
        }
        if start.elapsed() > SOON {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}

/// The same file for all, but for `fsync`. Retries are quick, so that a scenario takes seconds.
fn config(subject: Subject, settings: Settings, listen: SocketAddr, to: &str, dir: &Path) -> String {
    let storage = if settings.disk { ", storage: file_storage" } else { "" };
    let batch = if settings.batch { ", batch: {min_size: 500, flush_timeout: 500ms}" } else { "" };
    let most = if settings.gives_up { ", max_elapsed_time: 2s" } else { "" };
    let fsync = if subject == Subject::GoSync { ", fsync: true" } else { "" };
    let directory = dir.join("queue");
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '{listen}'}}}}}}}}
exporters:
  otlp:
    endpoint: '{to}'
    tls: {{insecure: true}}
    compression: none
    retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms{most}}}
    sending_queue: {{queue_size: 100000{storage}{batch}}}
extensions: {{file_storage: {{directory: '{}', create_directory: true{fsync}}}}}
service:
  extensions: [file_storage]
  telemetry: {{logs: {{level: warn}}, metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], exporters: [otlp]}}}}
",
        directory.display()
    )
}
