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

#[cfg(test)]
mod tests {
    use streamgauge_component::Signal;

    use super::*;

    /// A run in which two exporters took 10 items each, delivered 4 and held the rest; `a` on the disk.
    fn first_run() -> Saved {
        let registry = Registry::default();
        for id in ["a", "b"] {
            registry.edge("logs", "receiver/otlp", &format!("exporter/{id}"), Signal::Logs).items.add(10);
            let node = registry.node("", id, Kind::Exporter, Signal::Logs);
            node.delivered.add(4);
            node.held_items.add(6);
        }
        let mut past = Saved::new(1_700_000_000);
        past.queues.insert("/s: exporter/a/logs".to_owned(), Mark { queue: "a/logs".to_owned(), next: 7 });
        let stored = serde_json::to_vec(&past.with(&registry)).unwrap();
        serde_json::from_slice(&stored).unwrap()
    }

    #[test]
    fn what_was_inside_at_the_end_of_a_run_is_held_on_the_disk_or_returned_and_all_adds_up() {
        let mut past = first_run();
        past.ended();
        assert_eq!(
            past.known(),
            [("/s: exporter/a/logs".to_owned(), KnownQueue { next: 7, held: 6 })].into()
        );
        let before = past.clone().ledger();
        assert_eq!((before.since, before.runs), (Some(1_700_000_000), 1));
        // The next run meets 5 of the 6, and the sixth has ended.
        let registry = Registry::default();
        let node = registry.node("", "a", Kind::Exporter, Signal::Logs);
        node.created.add(5);
        node.resumed.add(5);
        node.delivered.add(5);
        node.settled_before.add(1);
        let all = past.with(&registry).ledger();
        let line = |id: &str| all.rows.iter().find(|row| row.component == id).unwrap();
        let a = line("a");
        assert_eq!((a.taken, a.created, a.held, a.delivered), (10, 0, 0, 10));
        assert_eq!(line("b").returned, [(Reason::Restart, 6)]);
        assert!(all.rows.iter().chain(&before.rows).all(|row| row.difference() == 0));
        assert_eq!(all.runs, 2);
    }

    #[test]
    fn a_queue_that_was_worked_on_in_between_holds_that_much_less() {
        let stored = serde_json::to_vec(&first_run()).unwrap();
        let stored = Saved::amended(&stored, "a/logs", 2, Some(Reason::Purged)).unwrap();
        let stored = Saved::amended(&stored, "a/logs", 3, None).unwrap();
        let saved: Saved = serde_json::from_slice(&stored).unwrap();
        let ledger = saved.ledger();
        let a = &ledger.rows[0];
        assert_eq!((a.held, a.delivered, a.dropped.as_slice()), (1, 7, &[(Reason::Purged, 2)][..]));
        assert_eq!(a.difference(), 0);
    }
}
