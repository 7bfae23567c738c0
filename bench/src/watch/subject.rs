//! Who watches, and what it costs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use streamgauge_harness::{Collector, Redis, free_port, http};

use crate::proc;

/// Time between ticks.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// How long a subject runs before it is measured: every detail was asked for once.
const WARM_UP: Duration = Duration::from_secs(13);

/// What a tick costs. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Cost {
    pub name: String,
    /// From the first question to the last point, and of a scrape to the last byte.
    pub wall: f64,
    pub cpu: f64,
    /// Commands, and what they took of the server's main thread by its `commandstats`.
    pub commands: f64,
    pub server: f64,
    /// The most memory that was resident, MiB.
    pub resident: f64,
    pub series: f64,
}

/// Ours, with this exporter.
pub fn ours(binary: &Path, redis: &Redis, name: &str, exporter: &str, ticks: u32) -> Cost {
    watched(binary, redis, (name, exporter), ticks, |_| ())
}

/// Ours with few streams, served to Prometheus.
pub fn few(binary: &Path, redis: &Redis, ticks: u32) -> Result<Few, String> {
    let mut times = Vec::new();
    let cost = watched(binary, redis, ("few", "prometheus"), ticks, |served| {
        times = (0..300).map(|_| scrape(served).map(|(time, _)| time.as_secs_f64() * 1e3)).collect();
    });
    let mut times = times.into_iter().collect::<Result<Vec<f64>, String>>()?;
    times.sort_by(f64::total_cmp);
    Ok(Few { cost, p99: times.get(297).copied().unwrap_or(f64::INFINITY) })
}

/// Ours; when it has been measured something else is done with it, which knows where its metrics are served.
fn watched(
    binary: &Path,
    redis: &Redis,
    (name, exporter): (&str, &str),
    ticks: u32,
    then: impl FnOnce(&str),
) -> Cost {
    let (own, served) = (free_port(), free_port());
    let address = redis.addr();
    let config = format!(
        "receivers:\n  redis: {{endpoint: '{address}', collection_interval: {seconds}s}}\n  redis_stream_metrics: {{endpoint: '{address}', streams: ['stream:*'], collection_interval: {seconds}s}}\n\
         exporters:\n  nop:\n  prometheus: {{endpoint: '127.0.0.1:{served}'}}\n\
         service:\n  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]}}}}\n  pipelines: {{metrics: {{receivers: [redis, redis_stream_metrics], exporters: [{exporter}]}}}}\n",
        seconds = INTERVAL.as_secs()
    );
    let collector = Collector::builder(binary).config(&config).start();
    std::thread::sleep(WARM_UP); // a time, not a state: rounds go by
    let own = format!("http://127.0.0.1:{own}/metrics");
    let created = || number(&own, "streamgauge_items_created", &[]).unwrap_or(0.0);
    let rounds = || {
        let name = "streamgauge_receiver_rounds";
        number(&own, name, &["redis_stream_metrics"]).unwrap_or(0.0)
    };
    let took = || {
        let name = "streamgauge_receiver_busy_time";
        number(&own, name, &[]).unwrap_or(0.0) / 1e3
    };
    let watch = Watch::begin(redis, collector.id());
    let before = (created(), rounds(), took());
    for _ in 0..ticks {
        std::thread::sleep(INTERVAL);
        if exporter == "prometheus" {
            let _ = scrape(&format!("127.0.0.1:{served}"));
        }
    }
    let after = (created(), rounds(), took());
    let ticked = (after.1 - before.1).max(1.0);
    let wall = (after.2 - before.2) / ticked;
    let cost = watch.end(name, ticked, wall, (after.0 - before.0) / ticked);
    then(&format!("127.0.0.1:{served}"));
    cost
}

/// redis_exporter, scraped at the same interval.
pub fn redis_exporter(program: &Path, redis: &Redis, ticks: u32) -> Result<Cost, String> {
    let listen = format!("127.0.0.1:{}", free_port());
    let child = Command::new(program)
        .args(["-redis.addr", &format!("redis://{}", redis.addr()), "-check-streams", "db0=stream:*"])
        .args(["-web.listen-address", &listen])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            format!("start {}: {error}; bench/peers/setup redis_exporter makes it", program.display())
        })?;
    let child = Ended(child);
    let begin = Instant::now();
    while TcpStream::connect(&listen).is_err() {
        if begin.elapsed() > Duration::from_secs(10) {
            return Err("redis_exporter does not listen".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut series = 0.0;
    for _ in 0..2 {
        series = scrape(&listen)?.1;
    }
    let watch = Watch::begin(redis, child.0.id());
    let mut wall = Duration::ZERO;
    for _ in 0..ticks {
        std::thread::sleep(INTERVAL);
        wall += scrape(&listen)?.0;
    }
    let wall = wall.as_secs_f64() * 1e3 / f64::from(ticks);
    Ok(watch.end("redis_exporter 1.88", f64::from(ticks), wall, series))
}

/// A child that ends with the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is known at the beginning of a measurement.
pub struct Watch<'a> {
    redis: &'a Redis,
    pid: u32,
    cpu: Duration,
}

impl<'a> Watch<'a> {
    pub fn begin(redis: &'a Redis, pid: u32) -> Self {
        redis.cli(&["config", "resetstat"]);
        Watch { redis, pid, cpu: proc::cpu_time_of_threads(pid).unwrap_or_default() }
    }

    pub fn end(self, name: &str, ticks: f64, wall: f64, series: f64) -> Cost {
        let cpu = proc::cpu_time_of_threads(self.pid).unwrap_or_default().saturating_sub(self.cpu);
        let (mut commands, mut server) = (0.0, 0.0);
        for line in self.redis.cli(&["info", "commandstats"]).lines() {
            let Some((command, numbers)) =
                line.strip_prefix("cmdstat_").and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            // Of the bench itself.
            if ["xadd", "config|resetstat"].contains(&command) {
                continue;
            }
            let number = |key: &str| {
                let text = numbers.split(',').find_map(|pair| pair.strip_prefix(key));
                text.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
            };
            commands += number("calls=");
            server += number("usec=") / 1e3;
        }
        Cost {
            name: name.to_owned(),
            wall,
            cpu: cpu.as_secs_f64() * 1e3 / ticks,
            commands: commands / ticks,
            server: server / ticks,
            resident: proc::peak_mib(self.pid).unwrap_or(f64::NAN),
            series,
        }
    }
}

/// The sum of own metrics of this name, of those lines that have all the words.
pub fn number(url: &str, name: &str, words: &[&str]) -> Option<f64> {
    let text = http::get(url).ok()?.text();
    let lines =
        text.lines().filter(|line| line.starts_with(name) && words.iter().all(|word| line.contains(word)));
    let values: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// One scrape of /metrics: its time, and the series in it. Read by hand, since what is measured is not this client.
fn scrape(address: &str) -> Result<(Duration, f64), String> {
    let failed = |error: std::io::Error| format!("scrape {address}: {error}");
    let begin = Instant::now();
    let mut socket = TcpStream::connect(address).map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(30))).map_err(failed)?;
    write!(socket, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").map_err(failed)?;
    let mut body = Vec::new();
    socket.read_to_end(&mut body).map_err(failed)?;
    let took = begin.elapsed();
    let body = String::from_utf8_lossy(&body);
    let head = body.find("\r\n\r\n").unwrap_or(0);
    let is_series = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    Ok((took, body[head..].lines().filter(is_series).count() as f64))
}

/// A small deployment, served to Prometheus.
pub struct Few {
    pub cost: Cost,
    /// Of 300 scrapes in a row the third slowest, milliseconds.
    pub p99: f64,
}
