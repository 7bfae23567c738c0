//! What watching streams costs: ours beside redis_exporter, on the same data in the same run.
//!
//! - `data`: 1,000 streams with groups and consumers, and plain keys. `subject`: who watches.
//! - `heavy`: a server that is dear to watch.
//! - `page`: the table, as `docs/redis-cost.md`.

mod data;
mod heavy;
mod page;
mod subject;

use std::path::{Path, PathBuf};

use clap::Args;
use streamgauge_harness::Redis;

use self::data::Mover;
use self::subject::{Cost, INTERVAL};
use crate::otlp::{Programs, ROOT, about, peers};
use crate::table::{Limit, Row};

const STREAMS: usize = 1000;
/// Streams of the smaller row.
const FEW: usize = 100;

#[derive(Args, Clone, Debug)]
pub struct WatchArgs {
    /// Ticks that are measured, 5 seconds each.
    #[arg(long, default_value_t = 6)]
    ticks: u32,
    /// Where the peers are: what `bench/peers/setup` made.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Only the server that is dear to watch.
    #[arg(long, conflicts_with = "document")]
    heavy: bool,
    /// Write docs/redis-cost.md and bench/results/watch.json.
    #[arg(long)]
    document: bool,
}

/// Measures and prints; whether every promise holds.
pub fn run(args: &WatchArgs, ours: &Path) -> Result<bool, String> {
    if args.heavy {
        let rows = heavy::measure(ours)?;
        println!("{}", crate::table::text(&rows));
        return Ok(rows.iter().all(Row::holds));
    }
    let peers = peers(args.peers.as_deref());
    let mut about = about(&Programs::new(ours, &peers));
    about["binary_mb"] = std::fs::metadata(ours).map_or(0.0, |file| file.len() as f64 / 1e6).into();
    let redis = Redis::start();
    data::fill(&redis.addr(), STREAMS);
    let tenth = || Mover::start(&redis.addr(), STREAMS, STREAMS / 10, INTERVAL);
    let mut costs = Vec::new();
    let mut done = |cost: Cost| {
        println!("{}", page::line(&cost));
        costs.push(cost);
    };
    {
        let _mover = tenth();
        done(subject::redis_exporter(&peers.join("redis_exporter"), &redis, args.ticks)?);
        done(subject::ours(ours, &redis, "streamgauge", "nop", args.ticks));
        done(subject::ours(ours, &redis, "streamgauge, served to Prometheus", "prometheus", args.ticks));
    }
    {
        let _mover = Mover::start(&redis.addr(), STREAMS, STREAMS, INTERVAL);
        done(subject::ours(ours, &redis, "streamgauge, all streams moving", "nop", args.ticks));
    }
    drop(redis);
    let redis = Redis::start();
    data::fill(&redis.addr(), FEW);
    let few = subject::few(ours, &redis, args.ticks)?;
    let [peer, tenth, _, all] = costs.as_slice() else { return Err("a subject is missing".to_owned()) };
    let mut rows = promises(peer, tenth, all);
    rows.extend([
        Row { name: "100 streams: a scrape, p99", unit: "ms", limit: Limit::AtMost(2.0), measured: few.p99 },
        Row {
            name: "100 streams: a round, for each stream",
            unit: "ms",
            limit: Limit::AtMost(5.0),
            measured: few.cost.wall / FEW as f64,
        },
        Row {
            name: "100 streams: CPU at 5 s ticks",
            unit: "% core",
            limit: Limit::AtMost(1.0),
            measured: few.cost.cpu / INTERVAL.as_secs_f64() / 10.0,
        },
    ]);
    drop(redis);
    rows.extend(heavy::measure(ours)?);
    println!("\n{}", crate::table::text(&rows));
    if args.document {
        let write = |name: &str, text: String| {
            let path = Path::new(ROOT).join(name);
            std::fs::write(&path, text).map_err(|error| format!("write {}: {error}", path.display()))
        };
        write("docs/redis-cost.md", page::document(&costs, &rows, &about))?;
        write("bench/results/watch.json", format!("{:#}\n", page::json(&costs, &rows, &about)))?;
    }
    Ok(rows.iter().all(Row::holds))
}

fn promises(peer: &Cost, ours: &Cost, all: &Cost) -> Vec<Row> {
    let row = |name, unit, limit, measured| Row { name, unit, limit, measured };
    let part =
        |name, of: fn(&Cost) -> f64, most| row(name, "of theirs", Limit::AtMost(most), of(ours) / of(peer));
    vec![
        part("wall time of a tick", |cost| cost.wall, 0.125),
        part("CPU of a tick", |cost| cost.cpu, 0.125),
        part("server time, a tenth of the streams moving", |cost| cost.server, 0.5),
        row("server time, all of them moving", "of theirs", Limit::AtMost(1.0), all.server / peer.server),
        row("resident memory, peak", "MiB", Limit::AtMost(25.0), ours.resident),
        row("series", "of theirs", Limit::AtLeast(1.0), ours.series / peer.series),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_held_to_parts_of_what_the_peer_takes() {
        let cost = |wall, server, resident| Cost {
            name: "x".to_owned(),
            wall,
            cpu: wall,
            commands: 1.0,
            server,
            resident,
            series: 10.0,
        };
        let held = |ours, all| promises(&cost(400.0, 20.0, 46.0), &ours, &all).iter().all(Row::holds);
        assert!(held(cost(50.0, 10.0, 25.0), cost(60.0, 20.0, 30.0)));
        assert!(!held(cost(51.0, 10.0, 25.0), cost(60.0, 20.0, 30.0)));
        assert!(!held(cost(50.0, 10.5, 25.0), cost(60.0, 20.0, 30.0)));
        assert!(!held(cost(50.0, 10.0, 25.5), cost(60.0, 20.0, 30.0)));
        assert!(!held(cost(50.0, 10.0, 25.0), cost(60.0, 20.5, 30.0)));
    }
}
