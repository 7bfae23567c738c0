//! The matrix: one row is one question, asked of every subject in turn.
//!
//! Rows that hold a promise run for several rounds; the others fill the matrix and run for one.

use std::time::Duration;

use streamgauge_pdata::Signal;

use super::promise::Bound;
use super::subject::Subject;
use super::wire::{Packing, Transport};

/// What the collector is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// One request in, the same request out, answered when it was delivered. What the floor does too.
    Pass,
    /// The same with the exporters' queue at its defaults: answered when the queue has it.
    Queue,
    /// A full queue makes senders wait, so that they are as fast as what leaves it.
    QueueBlock,
    /// The same with the queue on the disk.
    Disk,
    /// A queue that only memory bounds, and `memory_limiter` at [`MEMORY_MIB`].
    Overload,
    /// The same with the queue on the disk, which has room for all of it.
    OverloadDisk,
    /// Processor `batch` at its defaults.
    Batch,
    /// The same, and clients are answered when their records were delivered.
    BatchDelivered,
    /// One resource attribute upserted by processor `resource`.
    Tag,
    /// The same by our processor `project`.
    Project,
}

/// What `memory_limiter` bounds in the overload rows, in MiB.
pub const MEMORY_MIB: usize = 256;

/// How the far end behaves while the row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    Ok,
    /// Takes a third of what is offered.
    Slow,
    Stalled,
    /// Stands still until there is a backlog of some size, then takes it, and what comes meanwhile.
    Backlog,
}

/// What the row's own numbers are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The relay that looks at nothing.
    Floor,
    /// Ourselves without the job.
    OwnPass,
    /// Ourselves with the queue in memory.
    OwnMemory,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub signal: Signal,
    pub transport: Transport,
    pub packing: Packing,
    pub job: Job,
    pub sink: Sink,
    /// Records a request, and the resources they are spread over.
    pub records: usize,
    pub groups: usize,
    /// The resources have the attribute that is upserted.
    pub tagged: bool,
    /// Records a second; `None` is as fast as answers come.
    pub rate: Option<u64>,
    pub in_flight: usize,
    pub connections: usize,
    pub base: Base,
    /// What was promised of it.
    pub bounds: &'static [Bound],
}

/// The rows of `bench quick`: the most important three.
pub const QUICK: [&str; 3] = ["pass-logs-grpc", "tag", "small"];

const PASS: &[Bound] = &[Bound::OfBase(1.15), Bound::GoCpu(5.0)];
const SATURATED: &[Bound] = &[Bound::OfBase(1.3), Bound::GoCpu(7.0), Bound::GoRate(4.0)];
const TAG: &[Bound] = &[Bound::OfBase(1.1)];
const DISK: &[Bound] =
    &[Bound::MemoryOrDisk { memory: 0.5, disk: 0.8 }, Bound::GoSyncRate(5.0), Bound::GoRate(3.0)];
const BACKLOG: &[Bound] = &[Bound::Steady(0.7), Bound::Peak(150)];
const OVERLOAD: &[Bound] = &[Bound::Peak(MEMORY_MIB + 64), Bound::OnlyRetryable];

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
        rows.push(plain("pass").of(signal).held_to(PASS));
        rows.push(plain("pass").of(signal).saturated().held_to(SATURATED));
    }
    for (name, groups, tagged, job) in [
        ("tag", 1, false, Job::Tag),
        ("tag-groups", 100, false, Job::Tag),
        ("tag-there", 1, true, Job::Tag),
        ("project", 1, false, Job::Project),
        ("project-groups", 100, false, Job::Project),
    ] {
        rows.push(Row { groups, tagged, job, base: Base::OwnPass, ..named(name) }.held_to(TAG));
    }
    let small = Row { job: Job::Batch, records: 10, rate: Some(20_000), ..named("small") };
    rows.push(small.clone().held_to(&[Bound::OfBase(0.65), Bound::GoCpu(3.0)]));
    rows.push(small.clone().saturated().held_to(&[Bound::OfBase(0.45), Bound::GoCpu(3.0)]));
    let delivered = Row { name: "small-delivered".to_owned(), job: Job::BatchDelivered, ..small.clone() };
    rows.push(delivered.held_to(&[Bound::OfBase(0.9)]));
    let packed = |packing| plain("pass").packed(packing);
    rows.push(packed(Packing::Gzip).held_to(&[Bound::GoCpu(6.0), Bound::GoBytes(1.1)]));
    rows.push(packed(Packing::Zstd).held_to(&[Bound::GoCpu(5.0), Bound::GoBytes(1.02)]));
    rows.extend(matrix());
    for (name, sink) in [("slow-sink", Sink::Slow), ("stalled-sink", Sink::Stalled)] {
        for connections in [4, 100] {
            let name = format!("{name}-{connections}");
            let in_flight = connections.max(16);
            let overload = Row { name, job: Job::Overload, sink, in_flight, connections, ..named("") };
            rows.push(overload.held_to(OVERLOAD));
        }
    }
    rows.extend(disk());
    rows
}

/// The queue on the disk. Ours syncs before it answers.
fn disk() -> Vec<Row> {
    let saturated = |name: &str, job| Row { job, rate: None, ..named(name) };
    let overload = |name: &str, sink| Row { job: Job::OverloadDisk, sink, connections: 4, ..named(name) };
    let disk = Row { base: Base::OwnMemory, ..saturated("queue-disk-saturated", Job::Disk) };
    let backlog = Row { sink: Sink::Backlog, ..saturated("backlog", Job::OverloadDisk) };
    vec![
        saturated("queue-logs-grpc-saturated", Job::QueueBlock),
        disk.held_to(DISK),
        backlog.held_to(BACKLOG),
        overload("slow-sink-disk", Sink::Slow).held_to(OVERLOAD),
        overload("stalled-sink-disk", Sink::Stalled).held_to(OVERLOAD),
    ]
}

/// What no promise is made of: the other combinations of signal, transport, packing and job.
fn matrix() -> Vec<Row> {
    let mut rows = Vec::new();
    for signal in [Signal::Traces, Signal::Metrics] {
        rows.extend([Packing::Gzip, Packing::Zstd].map(|packing| plain("pass").of(signal).packed(packing)));
    }
    for signal in [Signal::Logs, Signal::Traces, Signal::Metrics] {
        for packing in [Packing::None, Packing::Gzip, Packing::Zstd] {
            rows.push(plain("pass").of(signal).over_http().packed(packing));
        }
    }
    rows.push(plain("pass").over_http().saturated());
    rows.push(Row { job: Job::Queue, ..plain("queue") });
    let batch = Row { job: Job::Batch, ..plain("batch") };
    rows.extend([Signal::Logs, Signal::Traces, Signal::Metrics].map(|signal| batch.clone().of(signal)));
    rows.push(batch.clone().saturated());
    rows.push(batch.over_http());
    let tag = Row { job: Job::Tag, base: Base::OwnPass, ..plain("tag") };
    rows.extend([Signal::Traces, Signal::Metrics].map(|signal| tag.clone().of(signal)));
    rows.push(tag.clone().saturated());
    rows.push(tag.over_http());
    let small = Row { job: Job::Batch, records: 10, rate: Some(20_000), ..plain("small") };
    rows.extend([Signal::Traces, Signal::Metrics].map(|signal| small.clone().of(signal)));
    rows.push(small.over_http());
    rows
}

/// A row of 1,000 logs a request at 100,000 a second by gRPC, named after its job, signal, transport and packing.
fn plain(job: &str) -> Row {
    named(&format!("{job}-logs-grpc"))
}

fn named(name: &str) -> Row {
    Row {
        name: name.to_owned(),
        signal: Signal::Logs,
        transport: Transport::Grpc,
        packing: Packing::None,
        job: Job::Pass,
        sink: Sink::Ok,
        records: 1000,
        groups: 1,
        tagged: false,
        rate: Some(100_000),
        in_flight: 16,
        connections: 1,
        base: Base::Floor,
        bounds: &[],
    }
}

impl Row {
    fn of(self, signal: Signal) -> Row {
        Row { name: self.name.replace("-logs", &format!("-{}", signal.name())), signal, ..self }
    }

    fn over_http(self) -> Row {
        Row { name: self.name.replace("-grpc", "-http"), transport: Transport::Http, ..self }
    }

    /// Packing costs the peers so much that they could not do 100,000 a second.
    fn packed(self, packing: Packing) -> Row {
        match packing {
            Packing::None => self,
            _ => {
                Row { name: format!("{}-{}", self.name, packing.name()), packing, rate: Some(40_000), ..self }
            }
        }
    }

    fn saturated(self) -> Row {
        Row { name: format!("{}-saturated", self.name), rate: None, ..self }
    }

    fn held_to(self, bounds: &'static [Bound]) -> Row {
        Row { bounds, ..self }
    }

    /// Whether requests have numbers, so that it is known which are lost and which came twice.
    pub fn numbered(&self) -> bool {
        matches!(self.job, Job::QueueBlock | Job::Disk | Job::OverloadDisk)
    }

    /// Whether throughput is what was delivered, and not what was acknowledged: a queue that is being filled would look fast.
    pub fn counts_delivered(&self) -> bool {
        matches!(self.job, Job::QueueBlock | Job::Disk)
    }

    /// What was acknowledged must have arrived so long after the load ended. What is on the disk may be much more, and a
    /// peer that is slow with it has not lost it.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(if self.job == Job::OverloadDisk { 240 } else { 30 })
    }

    pub fn base_subject(&self) -> Subject {
        match self.base {
            Base::Floor => Subject::Floor,
            Base::OwnPass => Subject::OwnPass,
            Base::OwnMemory => Subject::OwnMemory,
        }
    }

    /// How many rounds: as many as asked for where medians are held to something.
    pub fn rounds(&self, asked: usize) -> usize {
        if self.bounds.is_empty() || self.sink != Sink::Ok { 1 } else { asked }
    }

    /// The subjects of a round, in an order in which slow drift of the machine falls on both sides alike. Rotel is only
    /// shown beside, so it runs in the first one alone.
    pub fn round(&self, round: usize) -> Vec<Subject> {
        use Subject::{Go, GoSync, Ours, Rotel, Writer};
        let base = self.base_subject();
        let mut subjects = match self.sink {
            Sink::Ok if self.job == Job::Disk => vec![base, Ours, Ours, base, Writer, Go, GoSync],
            Sink::Ok => vec![base, Ours, Ours, base, Go],
            _ => vec![Ours, Go],
        };
        if round == 0 {
            subjects.push(Rotel);
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_quick_rows_exist() {
        let mut names: Vec<_> = all().into_iter().map(|row| row.name).collect();
        assert!(QUICK.iter().all(|quick| names.iter().any(|name| name == quick)));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_signal_goes_by_both_transports_in_every_packing() {
        for signal in Signal::ALL {
            for transport in [Transport::Grpc, Transport::Http] {
                for packing in [Packing::None, Packing::Gzip, Packing::Zstd] {
                    let is = |row: &Row| {
                        (row.job, row.signal, row.transport, row.packing)
                            == (Job::Pass, signal, transport, packing)
                    };
                    assert!(all().iter().any(is), "{} {transport:?} {packing:?}", signal.name());
                }
            }
        }
    }

    #[test]
    fn a_round_is_balanced_between_ours_and_its_base() {
        for row in all().iter().filter(|row| row.sink == Sink::Ok) {
            let places = |wanted: Subject| -> usize {
                row.round(0).iter().enumerate().filter(|(_, s)| **s == wanted).map(|(n, _)| n).sum()
            };
            assert_eq!(places(row.base_subject()), places(Subject::Ours), "{}", row.name);
        }
    }
}
