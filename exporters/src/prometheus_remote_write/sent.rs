//! What was last sent of each series.
//!
//! Prometheus refuses a whole message for one sample that is not newer than the last of its series, so the exporter
//! must know. It remembers a bounded number of series in two generations: a full young one becomes the old one, and
//! what neither sending nor asking has touched since is forgotten with the next change.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// A series' identity: 64 bits of a keyed hash of its labels.
pub(super) type Key = u64;

/// The last sample of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The value's bits (of a histogram: a mix of its numbers), to know the same sample when it comes again.
    pub bits: u64,
}

#[derive(Debug)]
pub(super) struct Sent {
    hasher: RandomState,
    young: HashMap<Key, Last>,
    old: HashMap<Key, Last>,
    /// Of one generation.
    capacity: usize,
}

impl Sent {
    /// Remembers about `series` series, at least half of them for certain.
    pub fn new(series: usize) -> Self {
        let capacity = (series / 2).max(1);
        Self { hasher: RandomState::new(), young: HashMap::new(), old: HashMap::new(), capacity }
    }

    pub fn key(&self, labels: &[u8]) -> Key {
        self.hasher.hash_one(labels)
    }

    pub fn last(&self, key: Key) -> Option<Last> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    pub fn set(&mut self, key: Key, last: Last) {
        self.young.insert(key, last);
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Last, Sent};

    fn at(timestamp_ms: i64) -> Last {
        Last { timestamp_ms, bits: 0 }
    }

    #[test]
    fn the_last_sample_of_a_series_is_known() {
        let mut sent = Sent::new(100);
        let (a, b) = (sent.key(b"a"), sent.key(b"b"));
        sent.set(a, at(1));
        sent.set(a, at(2));
        assert_eq!((sent.last(a), sent.last(b)), (Some(at(2)), None));
    }

    #[test]
    fn memory_is_bounded_and_what_is_sent_on_is_kept() {
        let mut sent = Sent::new(10);
        for i in 0..1000_i64 {
            sent.set(7_777, at(i));
            sent.set(i as u64, at(i));
            assert!(sent.young.len() + sent.old.len() <= 10);
            assert_eq!(sent.last(7_777), Some(at(i)));
        }
        assert_eq!(sent.last(0), None);
    }
}
