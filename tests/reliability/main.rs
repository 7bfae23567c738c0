//! Whatever happens to the collector, its disk or its peer: what was acknowledged arrives, or is counted.
//!
//! Records are numbered where they are sent and counted where they arrive. `UPDATE=1` writes the table of what happened to
//! `docs/reliability.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests: what is not as it should be fails the test at its place"
)]

mod ledger;
mod rig;
mod scenarios;

use std::fmt::Write as _;

use ledger::Row;

/// Text above the table.
const HEAD: &str = "# What happens to records

Numbered log records are sent to the collector by OTLP/HTTP and counted where they arrive. The exporter has a queue on disk
(`sending_queue.storage`). Acknowledged: the sender had its 200. Duplicated: arrived more than once; a crash repeats what was on
its way at that moment, and no more. Lost: acknowledged and not arrived. Written by
`UPDATE=1 cargo test --test reliability`.

| scenario | sent | acknowledged | delivered | duplicated | lost |
|---|---:|---:|---:|---:|---:|
";

#[test]
fn what_is_acknowledged_is_delivered_or_counted_in_every_scenario() {
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let runs: Vec<_> = scenarios::ALL.iter().map(|scenario| scope.spawn(scenario)).collect();
        runs.into_iter().map(|run| run.join().expect("a scenario holds")).collect()
    });
    let mut table = HEAD.to_owned();
    for row in rows {
        println!("{row:?}");
        row.check();
        let Row { name, sent, acked, delivered, duplicated, lost, .. } = row;
        writeln!(table, "| {name} | {sent} | {acked} | {delivered} | {duplicated} | {lost} |").unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(rig::root().join("docs/reliability.md"), table).unwrap();
    }
}
