//! What has been told so far: with a storage it outlives the process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamgauge_redis::{LoggedCommand, View};

use super::acl::Seen;
use super::failover::Primaries;
use super::latency::Spikes;

/// The most servers that are remembered after they have left the deployment.
const GONE: usize = 1_000;

/// Of the whole deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Book {
    /// By address.
    pub(super) nodes: BTreeMap<String, NodeBook>,
    pub(super) primaries: Primaries,
}

/// Of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct NodeBook {
    /// Its process: the ids of another one begin at 0 again.
    pub(super) run_id: String,
    /// Its logs, by name.
    pub(super) logs: BTreeMap<String, Cursor>,
    /// `None` until somebody has looked.
    pub(super) latency: Option<Spikes>,
    pub(super) denials: Option<Vec<Seen>>,
    pub(super) role: Option<String>,
    /// Settings that hold no secret.
    pub(super) settings: BTreeMap<String, String>,
}

/// How far a log has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The first id that has not; `None` when all that is there is new, and nothing is known to be missing.
    next: Option<u64>,
}

/// What has come since.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    /// The oldest first.
    pub(super) entries: Vec<LoggedCommand>,
    /// How many the server has dropped before they were read, or are beyond one page.
    pub(super) lost: u64,
    /// Where to go on.
    pub(super) cursor: Cursor,
}

impl Book {
    /// Forgets servers that are gone, when they are many.
    pub(super) fn prune(&mut self, view: &View) {
        if self.nodes.len() > GONE + view.nodes.len() {
            self.nodes.retain(|address, _| view.nodes.iter().any(|n| n.address().to_string() == *address));
        }
    }
}

impl Cursor {
    /// A process that nobody has read yet: its first id is 0.
    pub(super) const BEGINNING: Cursor = Cursor { next: Some(0) };

    /// Behind all that is there.
    pub(super) fn behind(newest: Option<&LoggedCommand>) -> Cursor {
        Cursor { next: newest.map(|entry| entry.id + 1) }
    }

    /// How many ids there are up to the newest one; `None` when that cannot be said.
    pub(super) fn missing(self, newest: u64) -> Option<u64> {
        Some((newest + 1).saturating_sub(self.next?))
    }

    /// What of a page is new.
    pub(super) fn read(self, mut page: Vec<LoggedCommand>) -> Fresh {
        let next = self.next.unwrap_or(0);
        page.retain(|entry| entry.id >= next);
        page.sort_by_key(|entry| entry.id);
        page.dedup_by_key(|entry| entry.id);
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            return Fresh { entries: page, lost: 0, cursor: self };
        };
        let there = page.len() as u64;
        let begin = self.next.unwrap_or(first.id);
        let cursor = Cursor { next: Some(last.id + 1) };
        Fresh { lost: last.id + 1 - begin - there, cursor, entries: page }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[u64]) -> Vec<LoggedCommand> {
        let entry = |id: &u64| LoggedCommand {
            id: *id,
            time: 0,
            amount: 0,
            arguments: Vec::new(),
            left_out: 0,
            client: String::new(),
            client_name: String::new(),
        };
        ids.iter().map(entry).collect()
    }

    fn read(next: Option<u64>, ids: &[u64]) -> (Vec<u64>, u64, Option<u64>) {
        let fresh = Cursor { next }.read(page(ids));
        (fresh.entries.iter().map(|entry| entry.id).collect(), fresh.lost, fresh.cursor.next)
    }

    #[test]
    fn every_entry_is_told_once_and_in_order() {
        assert_eq!(read(Some(3), &[5, 4, 3, 2]), (vec![3, 4, 5], 0, Some(6)));
        assert_eq!(read(Some(6), &[5, 4, 3]), (vec![], 0, Some(6)));
        assert_eq!(read(Some(6), &[]), (vec![], 0, Some(6)));
    }

    #[test]
    fn a_gap_in_the_ids_is_the_number_of_lost_entries() {
        assert_eq!(read(Some(3), &[9, 8]), (vec![8, 9], 5, Some(10)));
        assert_eq!(read(Some(0), &[2]), (vec![2], 2, Some(3)));
    }

    #[test]
    fn what_came_before_anybody_looked_is_not_lost() {
        assert_eq!(read(None, &[9, 8]), (vec![8, 9], 0, Some(10)));
        let newest = page(&[9]);
        assert_eq!(Cursor::behind(newest.first()).missing(9), Some(0));
        assert_eq!(Cursor::behind(None).missing(9), None);
    }

    #[test]
    fn a_book_reads_back_as_it_was_written() {
        let logs = BTreeMap::from([("slow".to_owned(), Cursor { next: Some(7) })]);
        let settings = BTreeMap::from([("hz".to_owned(), "10".to_owned())]);
        let latency = Some(BTreeMap::from([("fork".to_owned(), (5, 7))]));
        let node = NodeBook { run_id: "r".to_owned(), logs, settings, latency, ..NodeBook::default() };
        let primaries = BTreeMap::from([(String::new(), "h:1".to_owned())]);
        let book = Book { nodes: BTreeMap::from([("h:1".to_owned(), node)]), primaries };
        let text = serde_json::to_vec(&book).unwrap();
        assert_eq!(serde_json::from_slice::<Book>(&text).unwrap(), book);
    }
}
