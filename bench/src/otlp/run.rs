//! One run: a sink, the subject, the load; a warm-up, a window, and the settling of accounts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use streamgauge_harness::free_port;

use super::child::{Helper, Process};
use super::load::LoadCounts;
use super::rows::{Row, Sink};
use super::sink::SinkCounts;
use super::subject::{Programs, Subject};
use super::wire::Transport;
use crate::proc;

/// The subject has a core to itself; load and sink share the other.
const SUBJECT_CORE: usize = 0;
const BENCH_CORE: usize = 1;
/// What was acknowledged must have arrived this long after the load ended.
const DRAIN: Duration = Duration::from_secs(30);

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub warm_up: Duration,
    pub window: Duration,
    /// The window of rows whose sink is slow or stalled.
    pub overload: Duration,
}

/// What one run measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub subject: Subject,
    /// CPU time of the subject for each record that was acknowledged, in nanoseconds. With a slow sink for each delivered.
    pub cpu_ns: f64,
    /// Acknowledged records a second.
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub rss_mib: f64,
    pub peak_mib: f64,
    /// Bytes a record as the sink got them.
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
}

/// Runs `subject` through `row`.
pub fn run(row: &Row, subject: Subject, programs: &Programs, times: Times, dir: &Path) -> Measured {
    let transport = match row.transport {
        Transport::Grpc => "grpc",
        Transport::Http => "http",
    };
    let (mut sink, to) = Helper::start(&args(&["sink", "--transport", transport]), BENCH_CORE);
    let to: SocketAddr = to.parse().expect("the sink says where it listens");
    let (under, listen) = start(row, subject, programs, transport, to, dir);
    let (mut load, _) = Helper::start(&load_args(row, transport, listen), BENCH_CORE);

    std::thread::sleep(times.warm_up);
    let window = match (row.sink, row.rate) {
        (Sink::Ok, _) => times.window,
        (Sink::Slow, Some(rate)) => {
            sink.ask::<SinkCounts>(&format!("mode slow {}", rate / 3));
            times.overload
        }
        _ => {
            sink.ask::<SinkCounts>("mode stalled");
            times.overload
        }
    };
    let pid = under.id();
    let cpu = || proc::cpu_time_of_threads(pid).expect("the subject is alive");
    let before = (load.ask::<LoadCounts>("mark"), sink.ask::<SinkCounts>("counts"), cpu(), Instant::now());
    // Not waiting for a state: this is the time that is measured.
    std::thread::sleep(window);
    let after = (load.ask::<LoadCounts>("counts"), sink.ask::<SinkCounts>("counts"), cpu(), Instant::now());
    let rss_mib = proc::resident_mib(pid).unwrap_or(f64::NAN);
    let (acked, delivered) = settle(&mut load, &mut sink);

    let records = match row.sink {
        Sink::Ok | Sink::Stalled => after.0.acked - before.0.acked,
        Sink::Slow => after.1.records - before.1.records,
    };
    let total: SinkCounts = sink.ask("counts");
    Measured {
        subject,
        cpu_ns: (after.2 - before.2).as_nanos() as f64 / records as f64,
        rate: (after.0.acked - before.0.acked) as f64 / (after.3 - before.3).as_secs_f64(),
        p50_us: after.0.p50_us,
        p99_us: after.0.p99_us,
        rss_mib,
        peak_mib: proc::peak_mib(pid).unwrap_or(f64::NAN),
        bytes_out: total.bytes as f64 / total.records as f64,
        acked: acked.acked,
        delivered,
        lost: acked.acked.saturating_sub(delivered),
        refused_with_delay: acked.refused_with_delay,
        refused: acked.refused,
        failed: acked.failed,
    }
}

/// Ends the load, lets the sink take everything, and waits until what was acknowledged is there, or time is up.
fn settle(load: &mut Helper, sink: &mut Helper) -> (LoadCounts, u64) {
    load.ask::<LoadCounts>("stop");
    sink.ask::<SinkCounts>("mode ok");
    let start = Instant::now();
    loop {
        let (sent, taken) = (load.ask::<LoadCounts>("counts"), sink.ask::<SinkCounts>("counts"));
        assert_eq!(taken.broken, 0, "the sink was sent what is no OTLP");
        let settled = sent.in_flight == 0 && taken.records >= sent.acked;
        if settled || start.elapsed() > DRAIN {
            return (sent, taken.records);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

enum Under {
    Floor(Helper),
    Program(Process),
}

impl Under {
    fn id(&self) -> u32 {
        match self {
            Under::Floor(helper) => helper.id(),
            Under::Program(process) => process.id(),
        }
    }
}

fn start(
    row: &Row,
    subject: Subject,
    programs: &Programs,
    transport: &str,
    to: SocketAddr,
    dir: &Path,
) -> (Under, SocketAddr) {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let Some(command) = subject.command(row, programs, listen, to, dir) else {
        let relay = args(&["relay", "--transport", transport, "--to", &to.to_string()]);
        let (relay, listen) = Helper::start(&relay, SUBJECT_CORE);
        return (Under::Floor(relay), listen.parse().expect("the relay says where it listens"));
    };
    let log = dir.join("log");
    let mut process = Process::start(&command, SUBJECT_CORE, &log);
    process.wait_for_port(listen, &log);
    (Under::Program(process), listen)
}

fn load_args(row: &Row, transport: &str, to: SocketAddr) -> Vec<String> {
    let number = |n: usize| n.to_string();
    let mut load = args(&["load", "--transport", transport, "--to", &to.to_string()]);
    load.extend(args(&["--signal", row.signal.name(), "--packing", row.packing.name()]));
    load.extend(args(&["--records", &number(row.records), "--groups", &number(row.groups)]));
    load.extend(args(&["--in-flight", &number(row.in_flight), "--connections", &number(row.connections)]));
    if let Some(rate) = row.rate {
        load.extend(args(&["--rate", &rate.to_string()]));
    }
    if row.tagged {
        load.push("--tagged".to_owned());
    }
    load
}

fn args(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
