//! Many series, bounded in number.

use std::collections::HashMap;

/// State for each of at most `limit` series. A series beyond the limit gets none and is counted; those that have
/// state keep it, so that a flood of new series cannot push out the living.
#[derive(Debug)]
pub struct SeriesMap<V> {
    entries: HashMap<Box<[u8]>, Entry<V>>,
    limit: usize,
    overflowed: u64,
}

#[derive(Debug)]
struct Entry<V> {
    last_seen: u64,
    value: V,
}

impl<V> SeriesMap<V> {
    /// For at most this many series.
    pub fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), limit, overflowed: 0 }
    }

    /// The state of a series seen at `now`, made if it is new; `None` beyond the limit. A known series costs no
    /// allocation.
    pub fn entry(&mut self, key: &[u8], now: u64, make: impl FnOnce() -> V) -> Option<&mut V> {
        if !self.entries.contains_key(key) {
            if self.entries.len() >= self.limit {
                self.overflowed += 1;
                return None;
            }
            self.entries.insert(key.into(), Entry { last_seen: now, value: make() });
        }
        let entry = self.entries.get_mut(key)?;
        entry.last_seen = entry.last_seen.max(now);
        Some(&mut entry.value)
    }

    /// The state of a series, if it has one.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Ends a series.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        self.entries.remove(key).map(|entry| entry.value)
    }

    /// Ends all series for which `keep` says no; it gets the state and when the series was last seen.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut V, u64) -> bool) {
        self.entries.retain(|_, entry| keep(&mut entry.value, entry.last_seen));
    }

    /// The state of all series, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|entry| &mut entry.value)
    }

    /// How many series have state.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often a series beyond the limit was asked for.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_new_series_are_counted_and_known_ones_live() {
        let mut map = SeriesMap::new(2);
        for key in [b"a", b"b", b"c", b"a", b"c"] {
            if let Some(n) = map.entry(key, 0, || 0) {
                *n += 1;
            }
        }
        assert_eq!((map.len(), map.overflowed()), (2, 2));
        assert_eq!(map.get_mut(b"a"), Some(&mut 2));
        assert_eq!(map.get_mut(b"c"), None);
    }

    #[test]
    fn a_silent_series_ends_and_makes_room() {
        let mut map = SeriesMap::new(1);
        map.entry(b"a", 10, || "a");
        map.entry(b"a", 20, || "never");
        map.retain(|_, last_seen| 29 - last_seen < 10);
        assert_eq!(map.len(), 1);
        map.retain(|_, last_seen| 30 - last_seen < 10);
        assert!(map.is_empty());
        assert!(map.entry(b"b", 40, || "b").is_some());
    }
}
