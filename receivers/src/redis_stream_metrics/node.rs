//! One node's part of a round.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use streamgauge_redis::{Address, CommandError, Identity, Unreachable};
use tokio::time::Instant;

use super::catalog::Catalog;
use super::config::StreamConfig;
use super::failures::{Failures, LeftOut};
use super::memory::{Memory, Moment};
use super::metrics::*;
use super::observe::Observer;
use super::record::{record_rest, record_stream};
use super::seen::{Asked, Observation, Wants};
use crate::scrape::poll::Found;
use crate::scrape::recorder::Recorder;
use crate::scrape::redis::{Patience, ResourceAttributes, Server};
use crate::scrape::table::Table as _;

/// The scope of the points.
const SCOPE: &str = "streamgauge/receiver/redis_stream_metrics";
/// Streams that are asked for and told together: what is known of the others meanwhile is only what must last.
const PAGE: usize = 64;

/// What lasts from round to round.
pub(crate) struct StreamNode {
    pub(crate) server: Server,
    resource: ResourceAttributes,
    catalog: Catalog,
    observer: Observer,
    memory: Memory,
    started: Instant,
    recorder: Recorder,
    patience: Patience,
    /// What the server said of itself last: one round without it makes no other resource.
    identity: Option<Arc<Identity>>,
    /// What this round has seen, whether it tells anything, and why it saw no more.
    seen: Observation,
    has_begun: bool,
    down: Option<Unreachable>,
    refused: Option<CommandError>,
}

/// One round of all nodes.
pub(crate) struct Round<'a> {
    pub(crate) deadline: Instant,
    /// Nanoseconds since 1970.
    pub(crate) now: u64,
    pub(crate) found: &'a Found,
    /// Streams that nodes of a cluster have told: while a slot moves both ends may answer for one.
    pub(crate) told: Mutex<HashSet<Vec<u8>>>,
}

/// A stream that is asked for elsewhere.
pub(crate) struct Moved {
    pub(crate) stream: Asked,
    /// The node that has it.
    pub(crate) to: Address,
}

impl StreamNode {
    pub(crate) fn new(config: &StreamConfig, server: Server) -> Self {
        let recorder = Recorder::new(StreamMetrics::metrics(), config.metrics.enabled());
        let any = |metrics: &[usize]| metrics.iter().any(|metric| recorder.wants(*metric));
        let wants = Wants {
            consumers: any(&[
                CONSUMER_PENDING,
                CONSUMER_IDLE,
                CONSUMER_INACTIVE,
                CONSUMER_SHARE,
                CONSUMERS_ACTIVE,
                CLAIMED,
                BATCH,
                CONSUMERS_NEEDED,
                STATE,
            ]),
            pending: any(&[
                OLDEST_PENDING_AGE,
                OLDEST_PENDING_IDLE,
                PENDING_SEEN,
                PENDING_BY_DELIVERIES,
                PENDING_BY_IDLE,
                POISON,
                POISON_DELIVERIES,
                DANGLING,
                STATE,
            ]),
            lag_time: any(&[LAG_TIME, STATE]),
        };
        StreamNode {
            resource: config.resource_attributes.clone(),
            catalog: Catalog::new(config),
            observer: Observer::new(config, wants),
            memory: Memory::new(config),
            started: Instant::now(),
            recorder,
            patience: Patience::default(),
            identity: None,
            seen: Observation::default(),
            has_begun: false,
            down: None,
            refused: None,
            server,
        }
    }

    /// Knows what another node, whose place this one has taken, had found.
    pub(crate) fn inherit(&mut self, old: &StreamNode) {
        self.catalog.inherit(&old.catalog);
    }

    /// The node serves no keys any more: its series end.
    pub(crate) fn end(self, now: u64) -> Option<(Bytes, usize)> {
        self.recorder.end(now, SCOPE)
    }

    /// Looks for streams, asks for all that are known and tells what it learns.
    pub(crate) async fn ask(&mut self, round: &Round<'_>) {
        (self.seen, self.down, self.refused) = (Observation::default(), None, None);
        self.has_begun = false;
        let deadline = self.patience.until(round.deadline);
        if let Err(error) = self.ask_all(round, deadline).await {
            self.down = Some(error);
        }
        self.patience.learn(self.down.as_ref());
    }

    async fn ask_all(&mut self, round: &Round<'_>, deadline: Instant) -> Result<(), Unreachable> {
        self.refused = self.catalog.step(&self.server, deadline).await?;
        let node = &self.server.node;
        let mut streams: Vec<_> = self
            .catalog
            .streams()
            .filter(|(name, named)| !named || node.has(name))
            .map(|(name, named)| Asked { name: name.to_vec(), named, asking: false })
            .collect();
        self.observer.begin();
        // Each round begins elsewhere, so that what there is no time or budget for is not always the same.
        let first = (self.observer.round() as usize).wrapping_mul(PAGE) % streams.len().max(1);
        streams.rotate_left(first);
        self.observe(streams, round, deadline).await?;
        self.seen.gone.drain(..).for_each(|name| self.catalog.forget(&name));
        Ok(())
    }

    /// Asks for these streams and tells them, page by page.
    async fn observe(
        &mut self,
        streams: Vec<Asked>,
        round: &Round<'_>,
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let (mut streams, mut deadline) = (streams.into_iter().peekable(), deadline);
        loop {
            let page = streams.by_ref().take(PAGE).collect();
            self.observer.observe(&self.server, page, &mut self.seen, deadline).await?;
            self.begin(round);
            if self.server.node.slots.is_some() {
                let mut told = round.told.lock().unwrap_or_else(PoisonError::into_inner);
                self.seen.streams.retain(|stream| told.insert(stream.name.clone()));
            }
            let now = self.moment(round);
            for stream in std::mem::take(&mut self.seen.streams) {
                let (seen, recorder) = (&mut self.seen, &mut self.recorder);
                record_stream(stream, seen, self.server.db, now, &mut self.memory, recorder);
                if let Some(part) = recorder.cut(SCOPE) {
                    let waits = Instant::now();
                    round.found.send(Some(part)).await;
                    // Whoever is slow to take it is not the server.
                    deadline += waits.elapsed();
                }
            }
            if streams.peek().is_none() {
                return Ok(());
            }
        }
    }

    /// Begins to tell, once it is known who does.
    fn begin(&mut self, round: &Round<'_>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        self.identity = self.seen.identity.clone().map(Arc::new).or_else(|| self.identity.take());
        let resource = self.resource.of(&self.server.node, self.identity.as_deref(), self.server.node.role);
        self.recorder.begin(round.now, resource);
        self.memory.begin(self.identity.as_ref().and_then(|identity| identity.version.as_deref()));
    }

    /// Now, by our clock where the server's is not known.
    fn moment(&self, round: &Round<'_>) -> Moment {
        let steady = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let server = match self.seen.clock {
            Some((ms, then)) => ms + u64::try_from(then.elapsed().as_millis()).unwrap_or(0),
            None => round.now / 1_000_000,
        };
        Moment { steady, server }
    }

    /// The streams that this node has given away. What is given for good is forgotten here.
    pub(crate) fn take_moved(&mut self) -> Vec<Moved> {
        let mut moved = std::mem::take(&mut self.seen.moved);
        for Moved { stream, to } in &mut moved {
            match stream.asking {
                true => self.catalog.lend(&stream.name),
                false => self.catalog.forget(&stream.name),
            }
            // A server without a name for itself means the host that was asked.
            if let (Address::Tcp(host, _), Address::Tcp(here, _)) = (to, self.server.node.address())
                && host.is_empty()
            {
                *host = here.clone();
            }
        }
        moved
    }

    /// Asks for streams that another node has sent here. What was given for good is known here from now on.
    pub(crate) async fn ask_moved(&mut self, moved: Vec<Moved>, round: &Round<'_>) {
        for Moved { stream, .. } in moved.iter().filter(|moved| !moved.stream.asking && !moved.stream.named) {
            self.catalog.adopt(&stream.name);
        }
        let streams = moved.into_iter().map(|moved| moved.stream).collect();
        if let Err(error) = self.observe(streams, round, round.deadline).await {
            self.down = Some(error);
        }
        self.seen.gone.clear();
    }

    /// Ends the round: the rest of its points, and what is wrong.
    pub(crate) fn finish(
        &mut self,
        round: &Round<'_>,
        failures: &mut Failures,
        left_out: &mut LeftOut,
    ) -> (Option<(Bytes, usize)>, Option<String>) {
        if self.down.is_some() && self.identity.is_none() {
            return (None, self.down.take().map(|error| error.to_string()));
        }
        self.begin(round);
        self.observer.miss_everywhere(&self.server, &mut self.seen);
        let mut seen = std::mem::take(&mut self.seen);
        if let Some(error) = &self.refused {
            failures.add(b"", None, error);
        }
        for (stream, group, error) in &seen.failed {
            failures.add(stream, group.as_deref(), error);
        }
        seen.left_out.streams = self.catalog.left_out();
        left_out.add(&seen.left_out);
        record_rest(&seen, self.server.db, &mut self.recorder);
        if self.down.is_some() {
            self.recorder.missed();
        }
        let refused = self.refused.as_ref();
        let problem =
            self.down.as_ref().map(ToString::to_string).or_else(|| {
                refused.map(|error| format!("SCAN is refused, streams cannot be found: {error}"))
            });
        (self.recorder.finish(SCOPE), problem)
    }
}
