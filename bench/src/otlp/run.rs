//! One run: a sink, the subject, the load; a warm-up, a window, and the settling of accounts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize};
use streamgauge_harness::{free_port, http};

use super::child::{Helper, Process};
use super::load::LoadCounts;
use super::numbers::{Account, Arrived, Sent};
use super::rows::{Row, Sink};
use super::sink::SinkCounts;
use super::subject::{Place, Programs, Subject};
use super::{backlog, writer};
use crate::proc;

/// The subject has a core to itself; load and sink share the other.
pub const SUBJECT_CORE: usize = 0;
pub const BENCH_CORE: usize = 1;

/// How long a run takes, and how much it takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub warm_up: Duration,
    pub window: Duration,
    /// The window of rows whose sink is slow or stalled.
    pub overload: Duration,
    /// Bytes of the backlog of rows that have one.
    pub backlog: u64,
}

/// What one run measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub subject: Subject,
    /// CPU time of the subject for each record, in nanoseconds: those that `rate` counts; with a slow sink delivered ones.
    #[serde(deserialize_with = "number")]
    pub cpu_ns: f64,
    /// Acknowledged records a second; delivered ones where [`Row::counts_delivered`].
    #[serde(deserialize_with = "number")]
    pub rate: f64,
    #[serde(deserialize_with = "number")]
    pub p50_us: f64,
    #[serde(deserialize_with = "number")]
    pub p99_us: f64,
    #[serde(deserialize_with = "number")]
    pub rss_mib: f64,
    #[serde(deserialize_with = "number")]
    pub peak_mib: f64,
    /// Bytes a record as the sink got them.
    #[serde(deserialize_with = "number")]
    pub bytes_out: f64,
    /// Records from the first to the last of the run.
    pub acked: u64,
    pub delivered: u64,
    /// Acknowledged and never delivered.
    pub lost: u64,
    /// Requests refused with a retryable code and a delay, in another way, and those that broke off.
    pub refused_with_delay: u64,
    pub refused: u64,
    pub failed: u64,
    /// Records that were delivered again, where requests have numbers.
    #[serde(default)]
    pub duplicated: Option<u64>,
    /// Requests that were written to the disk with one sync.
    #[serde(default)]
    pub group: Option<f64>,
    /// The slowest tenth of a drain's rates, of their median.
    #[serde(default)]
    pub steady: Option<f64>,
}

/// JSON has no other word than null for what is not a number.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

impl Measured {
    /// Of a subject that is not asked most of it.
    pub fn nothing(subject: Subject) -> Measured {
        let unknown = f64::NAN;
        Measured {
            subject,
            cpu_ns: unknown,
            rate: unknown,
            p50_us: unknown,
            p99_us: unknown,
            rss_mib: unknown,
            peak_mib: unknown,
            bytes_out: unknown,
            acked: 0,
            delivered: 0,
            lost: 0,
            refused_with_delay: 0,
            refused: 0,
            failed: 0,
            duplicated: None,
            group: None,
            steady: None,
        }
    }
}

/// Runs `subject` through `row`. `earlier`: what the row's runs so far have measured.
pub fn run(
    row: &Row,
    subject: Subject,
    programs: &Programs,
    times: Times,
    dir: &Path,
    earlier: &[Measured],
) -> Measured {
    match (subject, row.sink) {
        (Subject::Writer, _) => writer::measure(row, writer::group(row, earlier), times, dir),
        (_, Sink::Backlog) => backlog::run(row, subject, programs, times, dir),
        _ => window(row, subject, programs, times, dir),
    }
}

fn window(row: &Row, subject: Subject, programs: &Programs, times: Times, dir: &Path) -> Measured {
    let mut run = Run::prepare(row, subject, programs, dir);
    let mut load = run.load(row);
    std::thread::sleep(times.warm_up);
    let window = match (row.sink, row.rate) {
        (Sink::Ok, _) => times.window,
        (Sink::Slow, Some(rate)) => {
            run.tell(&format!("mode slow {}", rate / 3));
            times.overload
        }
        _ => {
            run.tell("mode stalled");
            times.overload
        }
    };
    let grouped = run.grouped();
    let before = (load.ask::<LoadCounts>("mark"), run.counts(), run.cpu(), Instant::now());
    // Not waiting for a state: this is the time that is measured.
    std::thread::sleep(window);
    let after = (load.ask::<LoadCounts>("counts"), run.counts(), run.cpu(), Instant::now());
    let group = grouped.zip(run.grouped()).map(|(before, after)| (after.0 - before.0) / (after.1 - before.1));
    let rss_mib = proc::resident_mib(run.id()).unwrap_or(f64::NAN);
    let (acked, delivered) = (after.0.acked - before.0.acked, after.1.records - before.1.records);
    let seconds = (after.3 - before.3).as_secs_f64();
    let records = if row.counts_delivered() { delivered } else { acked };
    let paid_for = if row.sink == Sink::Slow { delivered } else { records };
    Measured {
        cpu_ns: (after.2 - before.2).as_nanos() as f64 / paid_for as f64,
        rate: records as f64 / seconds,
        p50_us: after.0.p50_us,
        p99_us: after.0.p99_us,
        rss_mib,
        group,
        ..run.settle(row, subject, &mut load)
    }
}

/// A subject between its sink and its load, all running.
pub struct Run {
    sink: Helper,
    under: Under,
    listen: SocketAddr,
    /// Where it shows its own numbers.
    own: Option<SocketAddr>,
}

enum Under {
    Floor(Helper),
    Program(Process),
}

impl Run {
    /// Sink and subject; nothing is sent yet.
    pub fn prepare(row: &Row, subject: Subject, programs: &Programs, dir: &Path) -> Run {
        let mut sink = args(&["sink", "--transport", row.transport.name()]);
        sink.extend(row.numbered().then(|| "--numbered".to_owned()));
        let (sink, to) = Helper::start(&sink, BENCH_CORE);
        let to: SocketAddr = to.parse().expect("the sink says where it listens");
        let port = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let place = Place { listen: port(), to, own: port(), dir };
        let Some(command) = subject.command(row, programs, &place) else {
            let relay = args(&["relay", "--transport", row.transport.name(), "--to", &to.to_string()]);
            let (relay, listen) = Helper::start(&relay, SUBJECT_CORE);
            let listen = listen.parse().expect("the relay says where it listens");
            return Run { sink, under: Under::Floor(relay), listen, own: None };
        };
        let log = dir.join("log");
        let mut process = Process::start(&command, SUBJECT_CORE, &log);
        process.wait_for_port(place.listen, &log);
        let own = subject.shows_groups(row).then_some(place.own);
        Run { sink, under: Under::Program(process), listen: place.listen, own }
    }

    /// Begins to send.
    pub fn load(&self, row: &Row) -> Helper {
        Helper::start(&load_args(row, self.listen), BENCH_CORE).0
    }

    pub fn id(&self) -> u32 {
        match &self.under {
            Under::Floor(helper) => helper.id(),
            Under::Program(process) => process.id(),
        }
    }

    pub fn cpu(&self) -> Duration {
        proc::cpu_time_of_threads(self.id()).expect("the subject is alive")
    }

    /// What the sink has.
    pub fn counts(&mut self) -> SinkCounts {
        self.sink.ask("counts")
    }

    /// Commands the sink.
    pub fn tell(&mut self, command: &str) {
        self.sink.ask::<SinkCounts>(command);
    }

    /// Requests that were stored, and the syncs for them, so far.
    fn grouped(&self) -> Option<(f64, f64)> {
        let text = http::get(&format!("http://{}/metrics", self.own?)).ok()?.text();
        let sum = |name: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).reduce(|a, b| a + b)
        };
        Some((sum("streamgauge_queue_disk_appended")?, sum("streamgauge_queue_disk_commits")?))
    }

    /// Ends the load, lets the sink take everything, and waits until what was acknowledged is there, or time is up.
    pub fn settle(&mut self, row: &Row, subject: Subject, load: &mut Helper) -> Measured {
        load.ask::<LoadCounts>("stop");
        self.tell("mode ok");
        let start = Instant::now();
        let (sent, taken, account) = loop {
            let (sent, taken) = (load.ask::<LoadCounts>("counts"), self.counts());
            assert_eq!(taken.broken, 0, "the sink was sent what is no OTLP");
            let enough = sent.in_flight == 0 && taken.records >= sent.acked;
            let late = start.elapsed() > row.drain();
            if enough || late {
                let account = row.numbered().then(|| {
                    let arrived: Arrived = self.sink.ask("numbers");
                    Account::of(&load.ask::<Sent>("numbers"), &arrived, |_| true)
                });
                // With duplicates there are enough before all are there.
                if late || account.is_none_or(|account| account.lost == 0) {
                    break (sent, taken, account);
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let records = row.records as u64;
        Measured {
            peak_mib: proc::peak_mib(self.id()).unwrap_or(f64::NAN),
            bytes_out: taken.bytes as f64 / taken.records as f64,
            acked: sent.acked,
            delivered: taken.records,
            lost: account.map_or(sent.acked.saturating_sub(taken.records), |account| account.lost * records),
            duplicated: account.map(|account| account.duplicated * records),
            refused_with_delay: sent.refused_with_delay,
            refused: sent.refused,
            failed: sent.failed,
            ..Measured::nothing(subject)
        }
    }
}

fn load_args(row: &Row, to: SocketAddr) -> Vec<String> {
    let number = |n: usize| n.to_string();
    let mut load = args(&["load", "--transport", row.transport.name(), "--to", &to.to_string()]);
    load.extend(args(&["--signal", row.signal.name(), "--packing", row.packing.name()]));
    load.extend(args(&["--records", &number(row.records), "--groups", &number(row.groups)]));
    load.extend(args(&["--in-flight", &number(row.in_flight), "--connections", &number(row.connections)]));
    if let Some(rate) = row.rate {
        load.extend(args(&["--rate", &rate.to_string()]));
    }
    load.extend(row.tagged.then(|| "--tagged".to_owned()));
    load.extend(row.numbered().then(|| "--numbered".to_owned()));
    load
}

pub fn args(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
