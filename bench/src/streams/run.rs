//! One run: the server and the sink on one core, the reader on the other.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use streamgauge_harness::Redis;

use crate::otlp::{BENCH_CORE, Helper, Latency, Process, SUBJECT_CORE, SinkCounts, args, directory};
use crate::proc;

/// The stream that is read.
pub const STREAM: &str = "bench";
/// The group that reads it, made anew for each run.
const GROUP: &str = "bench";
/// How often the far end is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);
/// The first entry must have arrived, and the last one after it was added, within this.
const SETTLED: Duration = Duration::from_secs(20);

/// How ours and the bare loop read.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub count: u64,
    pub in_flight: u64,
    pub entries: u64,
    pub window: Duration,
}

/// What a run of ours measured.
pub struct Measured {
    /// Entries a second that the sink has.
    pub rate: f64,
    /// The same in the slowest second.
    pub slowest: f64,
    pub cpu_ns: f64,
    pub peak_mib: f64,
}

/// What a run at a fixed rate measured.
pub struct Paced {
    pub p50_us: f64,
    pub p99_us: f64,
    /// Added and not at the sink.
    pub missing: f64,
    /// Pending in the group at the end.
    pub pending: f64,
}

/// A server on the bench's core.
pub fn server() -> Redis {
    let redis = Redis::start();
    let id: String = redis.info("process_id").expect("a server that tells its process id");
    let pinned = Command::new("taskset").args(["-acp", &BENCH_CORE.to_string(), &id]).output();
    assert!(pinned.is_ok_and(|out| out.status.success()), "taskset -p");
    redis
}

/// Entries a second of the bare loop.
pub fn bare(redis: &Redis, setting: &Setting) -> f64 {
    group(redis, STREAM);
    let (count, in_flight) = (setting.count.to_string(), setting.in_flight.to_string());
    let address = redis.addr();
    let mode = ["bare", "--address", &address, "--stream", STREAM, "--group", GROUP];
    let more = ["--count", &count, "--in-flight", &in_flight];
    let (mut reader, _) = Helper::start(&args(&[&mode[..], &more].concat()), SUBJECT_CORE);
    let (rate, _) = watch(setting, || reader.ask::<u64>("counts"));
    eprintln!("bare loop: {rate:.0} entries/s");
    rate
}

/// Ours with entries waiting in the stream.
pub fn ours(redis: &Redis, setting: &Setting, binary: &Path) -> Result<Measured, String> {
    group(redis, STREAM);
    let Setting { count, in_flight, .. } = setting;
    let mut run =
        Ours::start(redis, binary, STREAM, &format!("{{count: {count}, max_in_flight: {in_flight}}}"))?;
    let before = run.cpu();
    let (rate, slowest) = {
        let sink = &mut run.sink;
        watch(setting, || sink.ask::<SinkCounts>("counts").records)
    };
    let used = run.cpu() - before;
    let records = run.sink.ask::<SinkCounts>("counts").records;
    let peak_mib = proc::peak_mib(run.process.id()).unwrap_or(f64::NAN);
    Ok(Measured { rate, slowest, cpu_ns: used.as_nanos() as f64 / records as f64, peak_mib })
}

/// 1,000 entries a second, and how long each takes to the sink.
pub fn paced(binary: &Path, window: Duration) -> Result<Paced, String> {
    const RATE: u64 = 1000;
    let redis = server();
    let stream = "paced";
    group(&redis, stream);
    let mut run = Ours::start(&redis, binary, stream, "{}")?;
    let added = window.as_secs() * RATE;
    let (address, rate, count) = (redis.addr(), RATE.to_string(), added.to_string());
    let mode = ["produce", "--address", &address, "--stream", stream, "--rate", &rate, "--count", &count];
    let (_producer, _) = Helper::start(&args(&mode), BENCH_CORE);
    let start = Instant::now();
    loop {
        // Sampling: nobody waits for these numbers.
        std::thread::sleep(LOOK);
        let records = run.sink.ask::<SinkCounts>("counts").records;
        let left = pending(&redis, stream);
        if records >= added && left == 0 || start.elapsed() > window + SETTLED {
            let latency = run.sink.ask::<Latency>("latency");
            let missing = added.saturating_sub(records) as f64;
            return Ok(Paced {
                p50_us: latency.p50_us,
                p99_us: latency.p99_us,
                missing,
                pending: left as f64,
            });
        }
    }
}

/// A group that has read nothing.
fn group(redis: &Redis, stream: &str) {
    redis.cli(&["XGROUP", "DESTROY", stream, GROUP]);
    redis.run::<()>(&format!("XGROUP CREATE {stream} {GROUP} 0 MKSTREAM"));
}

fn pending(redis: &Redis, stream: &str) -> u64 {
    let summary = redis.cli(&["XPENDING", stream, GROUP]);
    summary.lines().next().and_then(|line| line.parse().ok()).expect("XPENDING begins with a number")
}

/// Entries a second from the first on, until the window or the entries end; and of the slowest second.
fn watch(setting: &Setting, mut done: impl FnMut() -> u64) -> (f64, f64) {
    let begun = Instant::now();
    let mut first = 0;
    while first == 0 {
        assert!(begun.elapsed() < SETTLED, "nothing was read within {SETTLED:?}");
        first = done();
    }
    let (start, mut slowest) = (Instant::now(), f64::INFINITY);
    let mut second = (start, first);
    loop {
        // Not waiting for a state: this is the time that is measured.
        std::thread::sleep(LOOK);
        let (now, count) = (Instant::now(), done());
        let since = |from: (Instant, u64)| (count - from.1) as f64 / (now - from.0).as_secs_f64();
        if now - second.0 >= Duration::from_secs(1) {
            slowest = slowest.min(since(second));
            second = (now, count);
        }
        if count >= setting.entries || now - start >= setting.window {
            return (since((start, first)), slowest);
        }
    }
}

/// The collector between the server and a sink.
struct Ours {
    sink: Helper,
    process: Process,
    _directory: tempfile::TempDir,
}

impl Ours {
    fn start(redis: &Redis, binary: &Path, stream: &str, read: &str) -> Result<Ours, String> {
        let directory = directory()?;
        let (sink, to) = Helper::start(&args(&["sink", "--transport", "grpc", "--stamped"]), BENCH_CORE);
        let config = format!(
            "receivers:\n  redis_stream:\n    endpoint: {}\n    streams: [{{name: {stream}}}]\n    group: {{name: {GROUP}}}\n    \
             read: {read}\n\
             exporters:\n  otlp_grpc:\n    endpoint: {to}\n    tls: {{insecure: true}}\n    compression: none\n\
             service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n    logs: {{receivers: [redis_stream], exporters: [otlp_grpc]}}\n",
            redis.url()
        );
        let path = directory.path().join("config.yaml");
        std::fs::write(&path, config).map_err(|error| format!("write {}: {error}", path.display()))?;
        let mut command = Command::new(binary);
        command.arg("--config").arg(&path);
        let process = Process::start(&command, SUBJECT_CORE, &directory.path().join("log"));
        Ok(Ours { sink, process, _directory: directory })
    }

    fn cpu(&self) -> Duration {
        proc::cpu_time_of_threads(self.process.id()).expect("the collector is alive")
    }
}
