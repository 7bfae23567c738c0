//! The table of what a tick costs.

use serde_json::{Value, json};

use super::STREAMS;
use super::subject::{Cost, INTERVAL};
use crate::table::Row;

/// One line of text.
pub fn line(cost: &Cost) -> String {
    let Cost { name, wall, cpu, commands, server, resident, series } = cost;
    format!(
        "{name}: {wall:.1} ms, {cpu:.1} ms of CPU, {commands:.0} commands, {server:.2} ms of the server, {resident:.1} MiB, {series:.0} series"
    )
}

pub fn json(costs: &[Cost], rows: &[Row], about: &Value) -> Value {
    let cost = |cost: &Cost| {
        let Cost { name, wall, cpu, commands, server, resident, series } = cost;
        json!({"name": name, "wall_ms": wall, "cpu_ms": cpu, "commands": commands, "server_ms": server,
            "resident_mib": resident, "series": series})
    };
    let costs: Vec<_> = costs.iter().map(cost).collect();
    json!({"about": about, "ticks": costs, "rows": crate::table::json(rows)["rows"]})
}

/// The document.
pub fn document(costs: &[Cost], rows: &[Row], about: &Value) -> String {
    let of = |key: &str| about[key].as_str().unwrap_or("not there").to_owned();
    let mut table = String::new();
    for Cost { name, wall, cpu, commands, server, resident, series } in costs {
        table += &format!(
            "| {name} | {wall:.1} | {cpu:.1} | {commands:.0} | {server:.2} | {resident:.1} | {series:.0} |\n"
        );
    }
    format!(
        "# What watching Redis costs\n\n\
         Measured {date} on {cores} cores of {cpu}; load average at the start: {load}; our binary has {size:.1} MB (a \
         release has about 20, and what is read of it is part of the memory). This page is written by `bench watch --document`; `bench/results/watch.json` has the numbers.\n\n\
         {STREAMS} streams with 2 groups of 3 consumers and 20 entries of about 200 bytes each, and 20,000 plain keys, on the \
         machine's own Redis. Everybody watches the same data in the same run, every {seconds} seconds; redis_exporter with \
         `--check-streams`, ours with the receivers `redis` and `redis_stream_metrics` as they are by default. Unless the name says \
         otherwise a tenth of the streams gets an entry between ticks.\n\n\
         | who | wall ms | CPU ms | commands | server ms | memory MiB, peak | series |\n|---|---:|---:|---:|---:|---:|---:|\n{table}\n\
         - Wall: of a scrape to its last byte; of ours the rounds of both receivers, one after the other, though they run at once.\n\
         - CPU: of the process, out of the kernel's schedstat, own telemetry included. Server: what its `commandstats` say.\n\
         - Ours tells its points to the exporter `nop` (counted as points of a round), or keeps all series and serves them as text \
         once a tick.\n\n\
         ## What was promised\n\n{promises}",
        date = of("date"),
        cores = about["cores"],
        cpu = of("cpu"),
        load = of("load_average"),
        size = about["binary_mb"].as_f64().unwrap_or(0.0),
        seconds = INTERVAL.as_secs(),
        promises = crate::table::markdown(rows),
    )
}
