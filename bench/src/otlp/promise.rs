//! What was promised of a row, and whether it held.

use super::rows::Row;
use super::run::Measured;
use super::subject::Subject;
use super::table::Done;

/// A limit that a row keeps or breaks. Numbers are medians of the row's runs, but for the peak, which is the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The most of the base's CPU a record that ours may take.
    OfBase(f64),
    /// How many times our CPU a record the Go Collector takes at least.
    GoCpu(f64),
    /// How many times the Go Collector's throughput ours is at least.
    GoRate(f64),
    /// The same of the Go Collector whose storage syncs.
    GoSyncRate(f64),
    /// What our queue on disk does at least of what our queue in memory does, or of what the bare writer does where the disk
    /// is slower than that.
    MemoryOrDisk { memory: f64, disk: f64 },
    /// The slowest tenth of a drain's rates is at least so much of their median.
    Steady(f64),
    /// The most bytes a record that ours sends, of those that the Go Collector sends.
    GoBytes(f64),
    /// The most resident memory, in MiB.
    Peak(usize),
    /// No refusal but with a retryable code and a delay, and no request without an answer.
    OnlyRetryable,
}

/// A sentence that is true or not.
#[derive(Debug)]
pub struct Promise {
    pub text: String,
    pub holds: bool,
}

/// The promises of a row; what was not measured holds nothing. That nothing acknowledged is lost is promised of all.
pub fn of(done: &Done) -> Vec<Promise> {
    let mut found: Vec<Promise> = done.row.bounds.iter().filter_map(|bound| bound.check(done)).collect();
    let lost = done.sum(Subject::Ours, |run| run.lost);
    found.push(promise(&done.row, lost == 0, &format!("{lost} acknowledged records lost")));
    found
}

fn promise(row: &Row, holds: bool, text: &str) -> Promise {
    Promise { text: format!("{}: {text}", row.name), holds }
}

impl Bound {
    /// `None` where the other side was not measured.
    fn check(self, done: &Done) -> Option<Promise> {
        let ours_to = |subject: Subject, value: fn(&Measured) -> f64| {
            let ratio = done.median(Subject::Ours, value) / done.median(subject, value);
            ratio.is_finite().then_some(ratio)
        };
        let (holds, text) = match self {
            Bound::OfBase(most) => {
                let ratio = ours_to(done.base(), |run| run.cpu_ns)?;
                (ratio <= most, format!("CPU {ratio:.2} x {}, at most {most}", done.base().name()))
            }
            Bound::GoCpu(least) => {
                let ratio = 1.0 / ours_to(Subject::Go, |run| run.cpu_ns)?;
                (ratio >= least, format!("the Go Collector takes {ratio:.1} x our CPU, at least {least}"))
            }
            Bound::GoRate(least) => {
                let ratio = ours_to(Subject::Go, |run| run.rate)?;
                (ratio >= least, format!("{ratio:.1} x the Go Collector's throughput, at least {least}"))
            }
            Bound::GoSyncRate(least) => {
                let ratio = ours_to(Subject::GoSync, |run| run.rate)?;
                let go = Subject::GoSync.name();
                (ratio >= least, format!("{ratio:.1} x the throughput of {go}, at least {least}"))
            }
            Bound::MemoryOrDisk { memory, disk } => {
                let of_memory = ours_to(Subject::OwnMemory, |run| run.rate)?;
                let of_disk = ours_to(Subject::Writer, |run| run.rate)?;
                let text = format!(
                    "{of_memory:.2} x the throughput of our memory queue, at least {memory}, \
                     or {of_disk:.2} x that of the bare writer, at least {disk}"
                );
                (of_memory >= memory || of_disk >= disk, text)
            }
            Bound::Steady(least) => {
                let steady = done.of(Subject::Ours).filter_map(|run| run.steady).reduce(f64::min)?;
                (
                    steady >= least,
                    format!("the slowest tenth of the drain at {steady:.2} x its median, at least {least}"),
                )
            }
            Bound::GoBytes(most) => {
                let ratio = ours_to(Subject::Go, |run| run.bytes_out)?;
                (ratio <= most, format!("{ratio:.2} x the Go Collector's bytes out, at most {most}"))
            }
            Bound::Peak(most) => {
                let peak = done.of(Subject::Ours).map(|run| run.peak_mib).reduce(f64::max)?;
                (peak <= most as f64, format!("peak of resident memory {peak:.0} MiB, at most {most}"))
            }
            Bound::OnlyRetryable => {
                let other = done.sum(Subject::Ours, |run| run.refused + run.failed);
                let later = done.sum(Subject::Ours, |run| run.refused_with_delay);
                let text =
                    format!("{later} refusals retryable with a delay, {other} others or without an answer");
                (other == 0, text)
            }
        };
        Some(promise(&done.row, holds, &text))
    }
}
