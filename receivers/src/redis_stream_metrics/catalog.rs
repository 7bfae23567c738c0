//! Which streams there are: names as given, and what a slow walk through the keyspace finds.

use std::collections::BTreeSet;
use std::time::Duration;

use streamgauge_redis::{CommandError, Fault, ReadCommand, Unreachable, scan_page};
use streamgauge_series::Pattern;
use tokio::time::Instant;

use super::config::{StreamConfig, literal};
use crate::scrape::redis::Server;

/// Keys of one SCAN page: a quarter of a millisecond.
const PAGE: u32 = 250;

/// The streams to watch.
pub(crate) struct Catalog {
    named: BTreeSet<Vec<u8>>,
    globs: Vec<Pattern>,
    /// What the server filters by: the one glob, or everything.
    server_glob: Vec<u8>,
    found: BTreeSet<Vec<u8>>,
    /// Found streams that are with another node already, while their slot is on its way there: no walk finds them here, and the
    /// other node does not tell of them unless it is asked as this one is told to ask.
    away: BTreeSet<Vec<u8>>,
    walk: Option<Walk>,
    next_walk: Instant,
    refresh: Duration,
    keys_a_round: u32,
    max: usize,
    /// How many of the found streams may be watched: what the named ones leave.
    room: usize,
    /// How many the last walk found and had no room for.
    left_out: u64,
}

/// A walk that is under way: SCAN's cursor, what it has found, and how many streams it had no room for.
#[derive(Default)]
struct Walk {
    cursor: u64,
    found: BTreeSet<Vec<u8>>,
    left_out: u64,
}

impl Catalog {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        let names = config.streams.iter().filter_map(literal);
        let named: BTreeSet<_> = names.map(|name| name.as_bytes().to_vec()).collect();
        let globs: Vec<_> = config.streams.iter().filter(|p| literal(p).is_none()).cloned().collect();
        let server_glob = match globs.as_slice() {
            [one] if !one.as_str().starts_with('/') => one.as_str(),
            _ => "*",
        };
        Catalog {
            server_glob: server_glob.as_bytes().to_vec(),
            globs,
            found: BTreeSet::new(),
            away: BTreeSet::new(),
            walk: None,
            next_walk: Instant::now(),
            refresh: config.refresh_interval,
            keys_a_round: config.scan_keys,
            max: config.max_streams,
            room: config.max_streams.saturating_sub(named.len()),
            left_out: 0,
            named,
        }
    }

    /// The streams to ask for, names first, and whether each was named.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let named = self.named.iter().take(self.max).map(|name| (name.as_slice(), true));
        named.chain(self.found.iter().map(|name| (name.as_slice(), false)))
    }

    /// How many streams are meant that may not be watched, as far as the last walk knows.
    pub(crate) fn left_out(&self) -> u64 {
        self.named.len().saturating_sub(self.max) as u64 + self.left_out
    }

    /// A found stream is there no more.
    pub(crate) fn forget(&mut self, name: &[u8]) {
        self.found.remove(name);
        self.away.remove(name);
    }

    /// A stream is with another node for the time being: the walk that is under way does not drop it.
    pub(crate) fn lend(&mut self, name: &[u8]) {
        if self.found.contains(name) {
            self.away.insert(name.to_vec());
        }
    }

    /// Another node has given this stream to the one that is walked here.
    pub(crate) fn adopt(&mut self, name: &[u8]) {
        if self.found.len() < self.room && !self.named.contains(name) {
            self.found.insert(name.to_vec());
        }
    }

    /// The walk of another node that held the same keys: its streams are known, and searched for again in time.
    pub(crate) fn inherit(&mut self, old: &Catalog) {
        (self.found, self.left_out, self.next_walk) = (old.found.clone(), old.left_out, old.next_walk);
    }

    /// Goes on with the walk for as many keys as a round may look at. A walk starts when the last is old enough; what
    /// it finds is watched at once, what it did not find is dropped at its end.
    pub(crate) async fn step(
        &mut self,
        server: &Server,
        deadline: Instant,
    ) -> Result<Option<CommandError>, Unreachable> {
        if self.globs.is_empty() || (self.walk.is_none() && Instant::now() < self.next_walk) {
            return Ok(None);
        }
        let mut walk = self.walk.take().unwrap_or_default();
        let page_size = PAGE.min(self.keys_a_round);
        for _ in 0..self.keys_a_round.div_ceil(page_size) {
            let command = ReadCommand::scan_streams(walk.cursor, &self.server_glob, page_size);
            let page = server.ask(command, deadline).await?;
            let page = page.and_then(|value| scan_page(&value).ok_or_else(CommandError::unexpected));
            let (cursor, keys) = match page {
                Ok(page) => page,
                Err(error) if error.fault == Fault::Shed => break,
                Err(error) => {
                    self.next_walk = Instant::now() + self.refresh;
                    return Ok(Some(error));
                }
            };
            for key in keys {
                self.add(&mut walk, key);
            }
            walk.cursor = cursor;
            if cursor == 0 {
                self.end(walk);
                return Ok(None);
            }
        }
        self.walk = Some(walk);
        Ok(None)
    }

    fn end(&mut self, walk: Walk) {
        (self.found, self.left_out) = (walk.found, walk.left_out);
        self.found.append(&mut self.away);
        self.next_walk = Instant::now() + self.refresh;
    }

    fn add(&mut self, walk: &mut Walk, key: Vec<u8>) {
        let name = String::from_utf8_lossy(&key);
        if self.named.contains(&key) || !self.globs.iter().any(|glob| glob.matches(&name)) {
            return;
        }
        if self.found.len() < self.room {
            self.found.insert(key.clone());
        }
        // The first in order, whatever the order of the walk: the same streams every time.
        walk.found.insert(key);
        if walk.found.len() > self.room {
            walk.found.pop_last();
            walk.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(catalog: &Catalog) -> Vec<&[u8]> {
        catalog.streams().map(|(name, _)| name).collect()
    }

    #[tokio::test]
    async fn a_stream_whose_slot_is_on_its_way_outlives_walks_that_do_not_find_it() {
        let mut catalog = Catalog::new(&StreamConfig::default());
        let walk = |names: &[&[u8]]| Walk {
            found: names.iter().map(|name| name.to_vec()).collect(),
            ..Walk::default()
        };
        catalog.end(walk(&[b"a", b"b", b"c"]));
        for _ in 0..2 {
            catalog.lend(b"b");
            catalog.end(walk(&[b"a"]));
            assert_eq!(found(&catalog), [b"a", b"b"]);
        }
        catalog.lend(b"b");
        catalog.forget(b"b");
        catalog.lend(b"unknown");
        catalog.end(walk(&[b"a"]));
        assert_eq!(found(&catalog), [b"a"]);
    }
}
