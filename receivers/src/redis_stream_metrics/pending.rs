//! What a group's pending entries are like: walked through in pages, a few at a time.

use streamgauge_redis::{PendingEntry, StreamId};

/// Bands of delivery counts, by the largest count of each.
pub(crate) const DELIVERIES: [(&str, u64); 5] =
    [("1", 1), ("2", 2), ("3-4", 4), ("5-9", 9), ("10+", u64::MAX)];
/// Bands of idle time, by the milliseconds that each stays below.
pub(crate) const IDLE: [(&str, u64); 6] = [
    ("<1s", 1_000),
    ("<10s", 10_000),
    ("<1m", 60_000),
    ("<10m", 600_000),
    ("<1h", 3_600_000),
    (">=1h", u64::MAX),
];
/// Entries delivered too often that are told one by one.
const WORST: usize = 5;

/// What a walk has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Entries that were looked at.
    pub(crate) seen: u64,
    pub(crate) by_deliveries: [u32; DELIVERIES.len()],
    pub(crate) by_idle: [u32; IDLE.len()],
    /// Entries that were delivered too often, and the worst of them with their delivery counts.
    pub(crate) poison: u64,
    pub(crate) worst: Vec<(u64, StreamId)>,
    /// Entries that are older than everything that is left in the stream: nobody can read them again.
    pub(crate) dangling: u64,
}

impl Tally {
    fn add(&mut self, entry: &PendingEntry, first: Option<StreamId>, poison: u64) {
        self.seen += 1;
        self.by_deliveries[DELIVERIES.iter().take_while(|(_, most)| entry.deliveries > *most).count()] += 1;
        if let Some(idle) = entry.idle_ms {
            self.by_idle[IDLE.iter().take_while(|(_, below)| idle >= *below).count().min(IDLE.len() - 1)] +=
                1;
        }
        if entry.deliveries >= poison {
            self.poison += 1;
            self.worst.push((entry.deliveries, entry.id));
            self.worst.sort_by_key(|(deliveries, id)| (std::cmp::Reverse(*deliveries), *id));
            self.worst.truncate(WORST);
        }
        self.dangling += u64::from(first.is_some_and(|first| entry.id < first));
    }
}

/// A walk through a group's pending entries, and what the last whole one has found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Where it goes on; `None` at the beginning.
    after: Option<StreamId>,
    tally: Option<Box<Tally>>,
    whole: Option<Box<Tally>>,
}

impl Walk {
    /// The id behind which the next page begins.
    pub(crate) fn after(&self) -> Option<StreamId> {
        self.after
    }

    /// Takes a page that holds all there is.
    pub(crate) fn take_all(&mut self, page: &[PendingEntry], first: Option<StreamId>, poison: u64) {
        (self.after, self.tally) = (None, None);
        self.take(page, u32::MAX, first, poison);
    }

    /// Takes a page, for which `asked` entries were asked. `first` is the oldest id that is left in the stream, and an
    /// id above all when nothing is.
    pub(crate) fn take(&mut self, page: &[PendingEntry], asked: u32, first: Option<StreamId>, poison: u64) {
        let tally = self.tally.get_or_insert_default();
        page.iter().for_each(|entry| tally.add(entry, first, poison));
        if page.len() < asked as usize {
            self.whole = self.tally.take();
            self.after = None;
        } else {
            self.after = page.last().map(|entry| entry.id);
        }
    }

    /// What the last whole walk has found; before there is one, what was found so far.
    pub(crate) fn tally(&self) -> Tally {
        self.whole.as_ref().or(self.tally.as_ref()).map(|tally| (**tally).clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(ms: u64, idle_ms: Option<u64>, deliveries: u64) -> PendingEntry {
        PendingEntry { id: StreamId { ms, seq: 0 }, consumer: b"c".to_vec(), idle_ms, deliveries }
    }

    #[test]
    fn every_entry_falls_into_one_band_of_deliveries_and_of_idle_time() {
        let mut walk = Walk::default();
        let page: Vec<_> = [(0, 1), (999, 2), (1000, 3), (59_999, 4), (600_000, 9), (u64::MAX, 10)]
            .into_iter()
            .enumerate()
            .map(|(n, (idle, deliveries))| entry(n as u64, Some(idle), deliveries))
            .collect();
        walk.take(&page, 100, None, 5);
        let tally = walk.tally();
        assert_eq!((tally.by_deliveries, tally.by_idle), ([1, 1, 2, 1, 1], [2, 1, 1, 0, 1, 1]));
        assert_eq!((tally.seen, tally.poison, tally.dangling), (6, 2, 0));
    }

    #[test]
    fn an_entry_that_was_declared_fatal_and_given_back_is_poison_without_an_idle_time() {
        let mut walk = Walk::default();
        walk.take(&[entry(1, None, i64::MAX as u64)], 10, None, 3);
        let tally = walk.tally();
        assert_eq!((tally.poison, tally.by_deliveries[4], tally.by_idle), (1, 1, [0; 6]));
        assert_eq!(tally.worst, [(i64::MAX as u64, StreamId { ms: 1, seq: 0 })]);
    }

    #[test]
    fn a_walk_in_pages_finds_what_one_page_would_and_tells_what_it_has_until_it_is_whole() {
        let all: Vec<_> = (0..25).map(|n| entry(n, Some(n * 700), 1 + n % 6)).collect();
        let first = Some(StreamId { ms: 4, seq: 0 });
        let (mut pages, mut once) = (Walk::default(), Walk::default());
        once.take(&all, 100, first, 3);
        for page in all.chunks(10) {
            pages.take(page, 10, first, 3);
            assert_eq!(pages.after().is_some(), page.len() == 10);
        }
        assert_eq!(pages.tally(), once.tally());
        assert_eq!((once.tally().dangling, once.tally().worst.len()), (4, 5));
        assert_eq!(once.tally().worst[0].0, 6);
        pages.take(&all[..10], 10, first, 3);
        assert_eq!(pages.tally().seen, 25, "the last whole walk is told while the next is under way");
    }
}
