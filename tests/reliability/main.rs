//! Whatever happens to the collector, its disk or its peer: what was acknowledged arrives, or is counted.
//!
//! Records are numbered where they are sent and counted where they arrive. `UPDATE=1` writes the tables of what happened to
//! `docs/reliability.md`. `CHAOS_SECONDS` repeats all scenarios for so long; `CHAOS_ONLY` runs those with that text in
//! their names.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests: what is not as it should be fails the test at its place"
)]

mod ledger;
mod rig;
mod row;
mod scenarios;
mod stream_rig;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use row::Row;
use scenarios::Scenario;

/// Scenarios that run at the same time: most of them wait most of the time.
const AT_ONCE: usize = 8;

#[test]
fn what_is_acknowledged_is_delivered_or_counted_in_every_scenario() {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let duration = Duration::from_secs(variable("CHAOS_SECONDS").parse().unwrap_or(0));
    let only = variable("CHAOS_ONLY");
    let scenarios: Vec<Scenario> =
        scenarios::all().into_iter().filter(|scenario| scenario.name.contains(&only)).collect();
    let begun = Instant::now();
    let mut totals: Vec<Option<Row>> = scenarios.iter().map(|_| None).collect();
    for round in 1.. {
        let rows = run(&scenarios, &begun);
        for (total, row) in totals.iter_mut().zip(rows) {
            if let Some(row) = row {
                total.get_or_insert_default().add(row);
            }
        }
        if begun.elapsed() >= duration {
            break;
        }
        println!("round {round} has ended after {:.0?} of {duration:?}", begun.elapsed());
    }
    let rows: Vec<(&Scenario, Row)> =
        scenarios.iter().zip(totals).filter_map(|(scenario, row)| Some((scenario, row?))).collect();
    let page = row::page(&rows);
    println!("{page}");
    if std::env::var_os("UPDATE").is_some() {
        assert_eq!((rows.len(), only.as_str()), (scenarios.len(), ""), "not every scenario could run here");
        std::fs::write(rig::root().join("docs/reliability.md"), page).unwrap();
    }
}

/// Runs every scenario once. All of them, also when one fails.
fn run(scenarios: &[Scenario], begun: &Instant) -> Vec<Option<Row>> {
    let results = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(at) else { break };
                    let started = Instant::now();
                    let result =
                        std::panic::catch_unwind(|| (scenario.run)().inspect(|row| row.check(scenario.name)));
                    let (time, took) = (begun.elapsed(), started.elapsed());
                    println!("{time:6.1?} ({took:.1?}) {}: {result:?}", scenario.name);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    let failed = results.iter().filter(|(_, result)| result.is_err());
    let failed: Vec<&str> = failed.map(|(at, _)| scenarios[*at].name).collect();
    assert!(failed.is_empty(), "failed, with the reasons above: {failed:#?}");
    results.into_iter().map(|(_, result)| result.ok().flatten()).collect()
}
