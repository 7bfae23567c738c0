//! A backlog that is written while the sink stands still, and drains once it is back, while new data arrives.

use std::path::Path;
use std::time::{Duration, Instant};

use super::child::Helper;
use super::load::LoadCounts;
use super::rows::Row;
use super::run::{Measured, Run, Times};
use super::subject::{Programs, Subject};
use super::writer;
use crate::proc;

/// What arrives while the backlog drains, in records a second.
const MEANWHILE: u64 = 20_000;
/// Nobody needs longer to write the backlog, or to drain it.
const PATIENCE: Duration = Duration::from_secs(900);
const SAMPLE: Duration = Duration::from_millis(50);
/// A drain of fewer seconds is cut into so many pieces all the same.
const PIECES: f64 = 20.0;

/// Runs `subject` through the row.
pub fn run(row: &Row, subject: Subject, programs: &Programs, times: Times, dir: &Path) -> Measured {
    let mut run = Run::prepare(row, subject, programs, dir);
    run.tell("mode stalled");
    let mut load = run.load(row);
    let records = (times.backlog as f64 / (writer::request(row).len() as f64 / row.records as f64)) as u64;
    let start = Instant::now();
    while load.ask::<LoadCounts>("counts").acked < records {
        assert!(start.elapsed() < PATIENCE, "{} has not taken the backlog in time", subject.name());
        std::thread::sleep(SAMPLE);
    }
    let filling = start.elapsed();
    load.ask::<LoadCounts>(&format!("rate {MEANWHILE}"));
    load.ask::<LoadCounts>("mark");
    let cpu = run.cpu();
    run.tell("mode ok");
    let samples = drain(&mut run, &mut load);
    let (cpu, rss_mib) = (run.cpu() - cpu, proc::resident_mib(run.id()).unwrap_or(f64::NAN));
    let counts: LoadCounts = load.ask("counts");
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let rates = rates(&samples);
    println!(
        "{}: {records} records taken in {:.1} s; delivered again from {:.1} s after the sink was back, and all {:.1} s later; \
         thousands a second: {}",
        subject.name(),
        filling.as_secs_f64(),
        first.0,
        last.0 - first.0,
        rates.iter().map(|rate| format!("{:.0}", rate / 1e3)).collect::<Vec<_>>().join(" "),
    );
    Measured {
        cpu_ns: cpu.as_nanos() as f64 / (last.1 - first.1),
        rate: (last.1 - first.1) / (last.0 - first.0),
        p50_us: counts.p50_us,
        p99_us: counts.p99_us,
        rss_mib,
        steady: Some(steadiness(rates)),
        ..run.settle(row, subject, &mut load)
    }
}

/// Seconds since the sink was back, and records that it had then.
type Sample = (f64, f64);

/// From the last moment without any record until all that were acknowledged by then have arrived.
fn drain(run: &mut Run, load: &mut Helper) -> Vec<Sample> {
    let (start, before) = (Instant::now(), run.counts().records);
    let mut samples: Vec<Sample> = Vec::new();
    // By the sample before: what has been acknowledged since then may still be on its way.
    let mut acked = u64::MAX;
    loop {
        let sample = (start.elapsed().as_secs_f64(), run.counts().records);
        if sample.1 == before {
            samples.clear();
        }
        samples.push((sample.0, sample.1 as f64));
        let drained = sample.1 >= acked;
        acked = load.ask::<LoadCounts>("counts").acked;
        if samples.len() > 1 && (drained || start.elapsed() > PATIENCE) {
            return samples;
        }
        std::thread::sleep(SAMPLE);
    }
}

/// Records a second in each piece: a second, or a twentieth of a drain that takes less than twenty.
fn rates(samples: &[Sample]) -> Vec<f64> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
    let pieces = (last.0 - first.0).floor().max(PIECES);
    let piece = (last.0 - first.0) / pieces;
    let at = |n: f64| {
        let time = first.0 + n * piece;
        let next = samples.partition_point(|sample| sample.0 < time).clamp(1, samples.len() - 1);
        let (a, b) = (samples[next - 1], samples[next]);
        a.1 + (b.1 - a.1) * (time - a.0) / (b.0 - a.0)
    };
    (0..pieces as usize).map(|n| (at(n as f64 + 1.0) - at(n as f64)) / piece).collect()
}

/// The slowest tenth, of the median.
fn steadiness(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    let tenth = rates.len().div_ceil(10).saturating_sub(1);
    rates[tenth] / rates[rates.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_drain_is_steady_and_a_pause_is_seen() {
        let even: Vec<Sample> =
            (0..=100).map(|n| (3.0 + f64::from(n) * 0.05, f64::from(n) * 100.0)).collect();
        let rates_of_even = rates(&even);
        assert_eq!(rates_of_even.len(), 20);
        assert!(rates_of_even.iter().all(|rate| (rate - 2000.0).abs() < 1.0), "{rates_of_even:?}");
        assert!((steadiness(rates_of_even) - 1.0).abs() < 0.01);
        // Half a second of five in which hardly anything comes: two of twenty pieces.
        let paused: Vec<Sample> =
            even.iter().map(|s| (s.0 + if s.1 > 5000.0 { 0.6 } else { 0.0 }, s.1)).collect();
        assert!(steadiness(rates(&paused)) < 0.3);
        // Long drains are judged by the second.
        assert_eq!(rates(&[(0.0, 0.0), (40.5, 81_000.0)]).len(), 40);
    }
}
