//! Redis streams in, OTLP out: the receiver `redis_stream` beside a loop that reads and acknowledges and does nothing else.
//!
//! - `resp`: just enough of the protocol. `entries`: what is added. `producer`, `bare`: this program in other modes, as children.
//! - `run`: one run of ours or of the bare loop, and the time from XADD to the sink.

pub mod bare;
mod entries;
pub mod producer;
pub mod resp;
mod run;

use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::table::{Limit, Row};
use run::Setting;

#[derive(Args, Clone, Debug)]
pub struct StreamsArgs {
    /// Entries that wait in the stream before anything reads, in thousands.
    #[arg(long, default_value_t = 4500)]
    thousands: u64,
    /// The measured part of a run, in seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Runs of ours; the bare loop has one more, so that ours stand between.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Entries a read.
    #[arg(long, default_value_t = 500)]
    count: u64,
    /// Entries that may be read and not yet acknowledged.
    #[arg(long, default_value_t = 5000)]
    in_flight: u64,
    /// Print JSON in place of the table.
    #[arg(long)]
    pub json: bool,
}

/// Ours and the bare loop in turn, then the latency at 1,000 entries a second.
pub fn measure(args: &StreamsArgs, binary: &Path) -> Result<Vec<Row>, String> {
    let window = Duration::from_secs(args.seconds);
    let setting =
        Setting { count: args.count, in_flight: args.in_flight, entries: args.thousands * 1000, window };
    let redis = run::server();
    eprintln!("adding {} entries", setting.entries);
    producer::fill(&redis.addr(), run::STREAM, setting.entries);
    let mut bare = vec![run::bare(&redis, &setting)];
    let mut ours = Vec::new();
    for _ in 0..args.rounds {
        let measured = run::ours(&redis, &setting, binary)?;
        eprintln!("ours: {:.0} entries/s, {:.0} ns of CPU an entry", measured.rate, measured.cpu_ns);
        ours.push(measured);
        bare.push(run::bare(&redis, &setting));
    }
    // The server's memory is given back before the second part.
    drop(redis);
    let paced = run::paced(binary, window)?;
    let lowest = |of: &mut dyn Iterator<Item = f64>| of.reduce(f64::min).unwrap_or(f64::NAN);
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let rate = mean(&ours.iter().map(|run| run.rate).collect::<Vec<_>>());
    let bare_rate = mean(&bare);
    let row = |name, unit, limit, measured| Row { name, unit, limit, measured };
    Ok(vec![
        row(
            "streams: delivered, slowest run",
            "entries/s",
            Limit::AtLeast(100_000.0),
            lowest(&mut ours.iter().map(|run| run.rate)),
        ),
        row(
            "streams: slowest second",
            "entries/s",
            Limit::None,
            lowest(&mut ours.iter().map(|run| run.slowest)),
        ),
        row("streams: bare loop", "entries/s", Limit::None, bare_rate),
        row("streams: delivered, of bare loop", "x", Limit::AtLeast(0.5), rate / bare_rate),
        row(
            "streams: CPU",
            "ns/entry",
            Limit::None,
            mean(&ours.iter().map(|run| run.cpu_ns).collect::<Vec<_>>()),
        ),
        row(
            "streams: peak memory",
            "MiB",
            Limit::None,
            ours.iter().map(|run| run.peak_mib).fold(0.0, f64::max),
        ),
        row("streams: XADD to sink at 1,000/s, p50", "ms", Limit::None, paced.p50_us / 1e3),
        row("streams: XADD to sink at 1,000/s, p99", "ms", Limit::AtMost(10.0), paced.p99_us / 1e3),
        row("streams: not delivered at 1,000/s", "entries", Limit::AtMost(0.0), paced.missing),
        row("streams: left pending", "entries", Limit::AtMost(0.0), paced.pending),
    ])
}
