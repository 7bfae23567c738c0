//! The ledger of all runs so far, as it is stored.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use streamgauge_component::{Kind, KnownQueue, Reason, Registry};

use super::counts::Counts;
use super::{EdgeRow, Ledger, edges};

/// What a cell holds: the sums of all runs up to a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// When the first run began, seconds since the Unix epoch.
    pub(super) since: u64,
    /// Runs that are in it.
    pub(super) runs: u64,
    components: Vec<Counts>,
    edges: Vec<EdgeRow>,
    /// The number of the next record of each queue on the disk, by `Earlier::key`, and the exporter's name and signal.
    pub(super) queues: BTreeMap<String, Mark>,
}

/// A queue on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// `otlp_http/eu/logs`.
    pub(super) queue: String,
    pub(super) next: u64,
}

impl Saved {
    /// The first of all runs begins.
    pub(super) fn new(since: u64) -> Self {
        Saved { since, ..Saved::default() }
    }

    /// What the queues on the disk held.
    pub(super) fn known(&self) -> HashMap<String, KnownQueue> {
        let known = |(key, mark): (&String, &Mark)| {
            let held = self.components.iter().find(|c| mark.is_of(c)).map_or(0, |c| c.held);
            (key.clone(), KnownQueue { next: mark.next, held })
        };
        self.queues.iter().map(known).collect()
    }

    /// The process has ended since: what was inside, and on no disk, is not any more.
    pub(super) fn ended(&mut self) {
        let (components, queues) = (&mut self.components, &self.queues);
        for counts in components.iter_mut().filter(|c| !queues.values().any(|mark| mark.is_of(c))) {
            let held = std::mem::take(&mut counts.held);
            if held > 0 {
                *counts.returned.entry(Reason::Restart.as_str().to_owned()).or_default() += held;
            }
        }
    }

    /// With this run on top.
    pub(super) fn with(&self, registry: &Registry) -> Saved {
        let mut all = self.clone();
        all.runs += 1;
        for node in registry.nodes() {
            let run = Counts::of(&node);
            match all.components.iter_mut().find(|counts| counts.is_of(&run)) {
                Some(counts) => counts.add(&run, &node),
                None => all.components.push(run),
            }
        }
        for edge in edges(registry) {
            match all.edges.iter_mut().find(|known| known.is_of(&edge)) {
                Some(known) => {
                    known.items += edge.items;
                    known.bytes += edge.bytes;
                }
                None => all.edges.push(edge),
            }
        }
        all
    }

    pub(super) fn ledger(self) -> Ledger {
        Ledger { since: Some(self.since), runs: self.runs, ..Ledger::of(&self.components, self.edges) }
    }

    /// Items of a queue have ended while no collector ran: they were dropped for this reason, or delivered.
    fn end(&mut self, queue: &str, items: u64, dropped: Option<Reason>) {
        let mark = Mark { queue: queue.to_owned(), next: 0 };
        let Some(counts) = self.components.iter_mut().find(|counts| mark.is_of(counts)) else { return };
        let items = items.min(counts.held);
        counts.held -= items;
        match dropped {
            Some(reason) => *counts.dropped.entry(reason.as_str().to_owned()).or_default() += items,
            None => counts.delivered += items,
        }
    }

    /// The name of the cell.
    pub const CELL: &str = "ledger";

    /// Changes what a stored ledger says of a queue that was worked on while no collector ran.
    ///
    /// # Errors
    /// It is no ledger.
    pub fn amended(
        stored: &[u8],
        queue: &str,
        items: u64,
        dropped: Option<Reason>,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let mut saved: Saved = serde_json::from_slice(stored)?;
        saved.end(queue, items, dropped);
        serde_json::to_vec(&saved)
    }
}

impl Mark {
    fn is_of(&self, counts: &Counts) -> bool {
        let (id, signal) = self.queue.rsplit_once('/').unwrap_or_default();
        counts.kind == Kind::Exporter && counts.component == id && counts.signal.name() == signal
    }
}
