//! One node's part of a round.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use streamgauge_redis::{Address, CommandError, Identity, Unreachable};
use tokio::time::Instant;

use super::catalog::Catalog;
use super::config::StreamConfig;
use super::failures::{Failures, LeftOut};
use super::memory::{Memory, Moment};
use super::metrics::*;
use super::observe::{Asked, Observation, Observer, Wants};
use super::record::record;
use crate::scrape::recorder::Recorder;
use crate::scrape::redis::{Patience, ResourceAttributes, Server};
use crate::scrape::table::Table as _;

/// The scope of the points.
const SCOPE: &str = "streamgauge/receiver/redis_stream_metrics";

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
    /// What this round has seen, and why it saw no more.
    seen: Observation,
    down: Option<Unreachable>,
    refused: Option<CommandError>,
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

    /// Looks for streams, and asks for all that are known.
    pub(crate) async fn ask(&mut self, deadline: Instant) {
        (self.seen, self.down, self.refused) = (Observation::default(), None, None);
        self.ask_all(self.patience.until(deadline)).await;
        self.patience.learn(self.down.as_ref());
    }

    async fn ask_all(&mut self, deadline: Instant) {
        match self.catalog.step(&self.server, deadline).await {
            Ok(refused) => self.refused = refused,
            Err(error) => return self.down = Some(error),
        }
        let node = &self.server.node;
        let streams: Vec<_> = self
            .catalog
            .streams()
            .filter(|(name, named)| !named || node.has(name))
            .map(|(name, named)| Asked { name: name.to_vec(), named, asking: false })
            .collect();
        self.observer.begin();
        match self.observer.observe(&self.server, streams, &mut self.seen, deadline).await {
            Ok(()) => {
                self.identity = self.seen.identity.take().map(Arc::new).or_else(|| self.identity.take());
            }
            Err(error) => self.down = Some(error),
        }
        self.seen.gone.drain(..).for_each(|name| self.catalog.forget(&name));
    }

    /// The streams that this node has given away. What is given for good is forgotten here.
    pub(crate) fn take_moved(&mut self) -> Vec<Moved> {
        let mut moved = std::mem::take(&mut self.seen.moved);
        for Moved { stream, to } in &mut moved {
            if !stream.asking {
                self.catalog.forget(&stream.name);
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
    pub(crate) async fn ask_moved(&mut self, moved: Vec<Moved>, deadline: Instant) {
        for Moved { stream, .. } in moved.iter().filter(|moved| !moved.stream.asking && !moved.stream.named) {
            self.catalog.adopt(&stream.name);
        }
        let streams = moved.into_iter().map(|moved| moved.stream).collect();
        if let Err(error) = self.observer.observe(&self.server, streams, &mut self.seen, deadline).await {
            self.down = Some(error);
        }
        self.seen.gone.clear();
        self.identity = self.seen.identity.take().map(Arc::new).or_else(|| self.identity.take());
    }

    /// Ends the round: its points, and what is wrong. `told` are the streams that other nodes of a cluster have told.
    pub(crate) fn finish(
        &mut self,
        now: u64,
        told: &mut HashSet<Vec<u8>>,
        failures: &mut Failures,
        left_out: &mut LeftOut,
    ) -> (Option<(Bytes, usize)>, Option<String>) {
        if self.down.is_some() && self.identity.is_none() {
            return (None, self.down.take().map(|error| error.to_string()));
        }
        let mut seen = std::mem::take(&mut self.seen);
        if self.server.node.slots.is_some() {
            // While a slot moves both ends may answer for a stream.
            seen.streams.retain(|stream| told.insert(stream.name.clone()));
        }
        if let Some(error) = &self.refused {
            failures.add(b"", None, error);
        }
        for (stream, group, error) in &seen.failed {
            failures.add(stream, group.as_deref(), error);
        }
        seen.left_out.streams = self.catalog.left_out();
        left_out.add(&seen.left_out);
        let resource = self.resource.of(&self.server.node, self.identity.as_deref(), self.server.node.role);
        self.recorder.begin(now, resource);
        let steady = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let moment = Moment { steady, server: now / 1_000_000 };
        self.memory.begin(self.identity.as_ref().and_then(|identity| identity.version.as_deref()));
        record(&seen, self.server.db, moment, &mut self.memory, &mut self.recorder);
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
