//! The matrix: one row is one question, asked of every subject in turn.

use streamgauge_pdata::Signal;

use super::wire::{Packing, Transport};

/// What the collector is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// One request in, the same request out, answered when it was delivered. What the floor does too.
    Pass,
    /// The same with the exporters' queue at its defaults: answered when the queue has it.
    Queue,
    /// Processor `batch` at its defaults.
    Batch,
    /// The same, and clients are answered when their records were delivered.
    BatchDelivered,
    /// One resource attribute upserted.
    Tag,
}

/// How the far end behaves while the row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    Ok,
    /// Takes a third of what is offered.
    Slow,
    Stalled,
}

/// What the row's own numbers are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The relay that looks at nothing.
    Floor,
    /// Ourselves without the job.
    OwnPass,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
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
    /// The most of the base's CPU a record that ours may take.
    pub most_of_base: Option<f64>,
    /// How many times our CPU a record the Go Collector must take at least.
    pub least_of_go: Option<f64>,
}

const PLAIN: Row = Row {
    name: "",
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
    most_of_base: None,
    least_of_go: None,
};

const TAG: Row = Row { job: Job::Tag, base: Base::OwnPass, most_of_base: Some(1.1), ..PLAIN };
const SMALL: Row = Row { job: Job::Batch, records: 10, rate: Some(20_000), least_of_go: Some(3.0), ..PLAIN };
const OVERLOAD: Row = Row { job: Job::Queue, rate: Some(30_000), ..PLAIN };

/// The rows of `bench quick`: the most important three.
pub const QUICK: [&str; 3] = ["pass-grpc", "tag", "small"];

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    let pass = Row { name: "pass-grpc", most_of_base: Some(1.15), least_of_go: Some(5.0), ..PLAIN };
    let full = Row {
        name: "pass-grpc-saturated",
        rate: None,
        most_of_base: Some(1.3),
        least_of_go: Some(7.0),
        ..PLAIN
    };
    vec![
        pass.clone(),
        full.clone(),
        Row { name: "pass-grpc-traces", signal: Signal::Traces, ..pass.clone() },
        Row { name: "pass-grpc-metrics", signal: Signal::Metrics, ..pass.clone() },
        Row { name: "pass-grpc-traces-saturated", signal: Signal::Traces, ..full.clone() },
        Row { name: "pass-grpc-metrics-saturated", signal: Signal::Metrics, ..full },
        Row { name: "pass-http", transport: Transport::Http, ..PLAIN },
        Row { name: "pass-http-saturated", transport: Transport::Http, rate: None, ..PLAIN },
        Row { name: "queue-grpc", job: Job::Queue, ..PLAIN },
        Row { name: "batch-grpc", job: Job::Batch, ..PLAIN },
        Row { name: "batch-grpc-saturated", job: Job::Batch, rate: None, ..PLAIN },
        Row { name: "tag", ..TAG },
        Row { name: "tag-saturated", rate: None, ..TAG },
        Row { name: "tag-groups", groups: 100, ..TAG },
        Row { name: "tag-there", tagged: true, ..TAG },
        Row { name: "small", most_of_base: Some(0.65), ..SMALL },
        Row { name: "small-saturated", rate: None, most_of_base: Some(0.45), ..SMALL },
        Row {
            name: "small-delivered",
            job: Job::BatchDelivered,
            most_of_base: Some(0.9),
            least_of_go: None,
            ..SMALL
        },
        Row { name: "gzip", packing: Packing::Gzip, rate: Some(40_000), least_of_go: Some(6.0), ..PLAIN },
        Row { name: "zstd", packing: Packing::Zstd, rate: Some(40_000), least_of_go: Some(5.0), ..PLAIN },
        Row {
            name: "gzip-http",
            transport: Transport::Http,
            packing: Packing::Gzip,
            rate: Some(40_000),
            ..PLAIN
        },
        Row { name: "slow-sink-4", sink: Sink::Slow, connections: 4, ..OVERLOAD },
        Row { name: "slow-sink-100", sink: Sink::Slow, connections: 100, in_flight: 100, ..OVERLOAD },
        Row { name: "stalled-sink-4", sink: Sink::Stalled, connections: 4, ..OVERLOAD },
        Row { name: "stalled-sink-100", sink: Sink::Stalled, connections: 100, in_flight: 100, ..OVERLOAD },
    ]
}

impl Row {
    /// The subjects of one round, in an order in which slow drift of the machine falls on both sides alike.
    pub fn round(&self) -> Vec<super::subject::Subject> {
        use super::subject::Subject::{Floor, Go, Ours, OwnPass, Rotel};
        let base = if self.base == Base::Floor { Floor } else { OwnPass };
        match (self.sink, self.job) {
            (Sink::Ok, Job::BatchDelivered) => vec![base, Ours, Ours, base],
            (Sink::Ok, _) => vec![base, Ours, Ours, base, Go, Rotel],
            _ => vec![Ours, Go, Rotel],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_quick_rows_exist() {
        let mut names: Vec<_> = all().iter().map(|row| row.name).collect();
        assert!(QUICK.iter().all(|quick| names.contains(quick)));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_round_is_balanced_between_ours_and_its_base() {
        use super::super::subject::Subject;
        for row in all().iter().filter(|row| row.sink == Sink::Ok) {
            let places = |wanted: Subject| -> usize {
                row.round().iter().enumerate().filter(|(_, s)| **s == wanted).map(|(n, _)| n).sum()
            };
            let base = if row.base == Base::Floor { Subject::Floor } else { Subject::OwnPass };
            assert_eq!(places(base), places(Subject::Ours), "{}", row.name);
        }
    }
}
