//! A server that is dear to watch: long lists of pending entries, many groups, thousands of clients.

use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use streamgauge_harness::{Collector, Redis, free_port};

use super::data::run;
use super::subject::{Watch, number};
use crate::streams::resp::Connection;
use crate::table::{Limit, Row};

const STREAMS: usize = 100;
const GROUPS: usize = 10;
/// Pending entries of each group but one, which has what is missing to 100,000.
const PENDING: usize = 50;
const MANY: usize = 100_000 - (STREAMS * GROUPS - 1) * PENDING;
const CLIENTS: usize = 5_000;
const INTERVAL: Duration = Duration::from_secs(10);
/// How long it is watched after the clients are known.
const TICKS: u32 = 6;

/// Watches it with the settings as they are by default, the metrics about clients besides.
pub fn measure(binary: &Path) -> Result<Vec<Row>, String> {
    let redis = Redis::builder()
        .config("slowlog-log-slower-than 1000")
        .config("slowlog-max-len 1024")
        .config("maxclients 10000")
        .start();
    fill(&redis.addr());
    let connect =
        |_| TcpStream::connect(redis.addr()).map_err(|error| format!("open {CLIENTS} sockets: {error}"));
    let clients = (0..CLIENTS).map(connect).collect::<Result<Vec<_>, _>>()?;
    redis.cli(&["slowlog", "reset"]);
    let (address, served) = (redis.addr(), free_port());
    let config = format!(
        "receivers:\n  redis:\n    endpoint: '{address}'\n    metrics: {{redis.client.count: {{enabled: true}}, redis.client.observed: {{enabled: true}}}}\n  redis_stream_metrics: {{endpoint: '{address}'}}\n\
         exporters:\n  prometheus: {{endpoint: '127.0.0.1:{served}'}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines: {{metrics: {{receivers: [redis, redis_stream_metrics], exporters: [prometheus]}}}}\n"
    );
    let begin = Instant::now();
    let collector = Collector::builder(binary).config(&config).start();
    let url = format!("http://127.0.0.1:{served}/metrics");
    let mut seen = 0.0;
    while begin.elapsed() < Duration::from_secs(30) && seen < CLIENTS as f64 {
        std::thread::sleep(Duration::from_millis(250));
        seen = number(&url, "redis_client_observed{", &[]).unwrap_or(0.0);
    }
    let watch = Watch::begin(&redis, collector.id());
    std::thread::sleep(INTERVAL * TICKS);
    let cost = watch.end("heavy", f64::from(TICKS), 0.0, 0.0);
    // The last line of an entry is the name of its client. A busy machine may stop the server in the midst of any command:
    // what takes that long by itself does so again and again.
    let log = redis.cli(&["slowlog", "get", "1024"]);
    let lines: Vec<&str> = log.lines().collect();
    let slow: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == "streamgauge").collect();
    for at in &slow {
        let words: String = lines[at.saturating_sub(10)..*at].join(" ").chars().take(120).collect();
        eprintln!("slow: {words}");
    }
    drop(clients);
    let row = |name, unit, limit, measured| Row { name, unit, limit, measured };
    // 0.2 % of the main thread.
    let budget = INTERVAL.as_secs_f64() * 1e3 * 0.002;
    Ok(vec![
        row("heavy: server time of a tick", "ms", Limit::AtMost(budget), cost.server),
        row("heavy: commands that took 1 ms or more", "", Limit::AtMost(0.0), slow.len() as f64),
        row("heavy: clients known within 30 s", "", Limit::AtLeast(CLIENTS as f64), seen),
    ])
}

fn fill(address: &str) {
    let mut server = Connection::open(address);
    let names = || (0..STREAMS).map(|n| format!("heavy:{n}"));
    let add = |stream: String, entries: usize| (0..entries).map(move |n| format!("XADD {stream} * n {n}"));
    run(&mut server, names().flat_map(|stream| add(stream, PENDING)));
    run(&mut server, add("heavy:0".to_owned(), MANY - PENDING));
    let groups = names().flat_map(|stream| (0..GROUPS).map(move |group| (stream.clone(), group)));
    let read = groups.flat_map(|(stream, group)| {
        let count = if (stream.as_str(), group) == ("heavy:0", 0) { MANY } else { PENDING };
        [
            format!("XGROUP CREATE {stream} g{group} 0"),
            format!("XREADGROUP GROUP g{group} c COUNT {count} STREAMS {stream} >"),
        ]
    });
    run(&mut server, read);
}
