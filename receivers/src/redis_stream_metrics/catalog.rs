//! Which streams there are: names as given, and what a slow walk through the keyspace finds.

use std::collections::BTreeSet;
use std::time::Duration;

use streamgauge_redis::{CommandError, ReadCommand, Unreachable, scan_page};
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
    walk: Option<Walk>,
    next_walk: Instant,
    refresh: Duration,
    keys_a_round: u32,
    max: usize,
    left_out: bool,
}

/// A walk that is under way: SCAN's cursor, and what it has found.
#[derive(Default)]
struct Walk {
    cursor: u64,
    found: BTreeSet<Vec<u8>>,
}

impl Catalog {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        let named = config.streams.iter().filter_map(literal).map(|name| name.as_bytes().to_vec()).collect();
        let globs: Vec<_> = config.streams.iter().filter(|p| literal(p).is_none()).cloned().collect();
        let server_glob = match globs.as_slice() {
            [one] if !one.as_str().starts_with('/') => one.as_str(),
            _ => "*",
        };
        Catalog {
            named,
            server_glob: server_glob.as_bytes().to_vec(),
            globs,
            found: BTreeSet::new(),
            walk: None,
            next_walk: Instant::now(),
            refresh: config.refresh_interval,
            keys_a_round: config.scan_keys,
            max: config.max_streams,
            left_out: false,
        }
    }

    /// The streams to ask for, names first, and whether each was named.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let named = self.named.iter().map(|name| (name.as_slice(), true));
        let found =
            self.found.iter().filter(|name| !self.named.contains(*name)).map(|n| (n.as_slice(), false));
        named.chain(found).take(self.max)
    }

    /// Whether more streams match than may be watched.
    pub(crate) fn left_out(&self) -> bool {
        self.left_out
    }

    /// A found stream is there no more.
    pub(crate) fn forget(&mut self, name: &[u8]) {
        self.found.remove(name);
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
                self.left_out = walk.found.len() + self.named.len() > self.max;
                self.found = walk.found;
                self.next_walk = Instant::now() + self.refresh;
                return Ok(None);
            }
        }
        self.walk = Some(walk);
        Ok(None)
    }

    fn add(&mut self, walk: &mut Walk, key: Vec<u8>) {
        let name = String::from_utf8_lossy(&key);
        // One more than may be watched tells that there are more.
        if self.globs.iter().any(|glob| glob.matches(&name)) && walk.found.len() <= self.max {
            self.found.insert(key.clone());
            walk.found.insert(key);
        }
    }
}
