//! One round: find streams, ask, record.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_redis::Unreachable;

use super::catalog::Catalog;
use super::config::StreamConfig;
use super::failures::Failures;
use super::metrics::{CONSUMER_IDLE, CONSUMER_PENDING, OLDEST_PENDING_AGE, StreamMetrics};
use super::observe::Observer;
use super::record::record;
use crate::scrape::poll::Scrape;
use crate::scrape::recorder::Recorder;
use crate::scrape::redis::{ResourceAttributes, Server};
use crate::scrape::table::Table as _;

/// The scope of the points.
const SCOPE: &str = "streamgauge/receiver/redis_stream_metrics";

/// What lasts from round to round.
pub(crate) struct StreamScrape {
    server: Server,
    resource: ResourceAttributes,
    catalog: Catalog,
    observer: Observer,
    failures: Failures,
    recorder: Recorder,
    /// The version of the server that told it last: one round without it makes no other resource.
    version: Option<String>,
}

impl StreamScrape {
    pub(crate) fn new(config: &StreamConfig, server: Server) -> Self {
        let recorder = Recorder::new(StreamMetrics::metrics(), config.metrics.enabled());
        let wants_consumers = recorder.wants(CONSUMER_PENDING) || recorder.wants(CONSUMER_IDLE);
        StreamScrape {
            resource: config.resource_attributes.clone(),
            catalog: Catalog::new(config),
            observer: Observer::new(config, wants_consumers, recorder.wants(OLDEST_PENDING_AGE)),
            failures: Failures::new(server.host().clone()),
            recorder,
            version: None,
            server,
        }
    }

    async fn ask(&mut self) -> Result<Option<(Bytes, usize)>, Unreachable> {
        let deadline = self.server.deadline();
        let refused = self.catalog.step(&self.server, deadline).await?;
        if let Some(error) = &refused {
            self.failures.add(b"", None, error);
        }
        self.failures.limit("max_streams", self.catalog.left_out());
        let mut seen =
            self.observer.observe(&self.server, &mut self.catalog, &mut self.failures, deadline).await?;
        self.failures.finish();
        let now = self.server.host().clock().now().unix_nanos;
        self.version = seen.version.take().or(self.version.take());
        let resource = self.resource.of(self.server.target(), self.version.as_deref());
        self.recorder.begin(now, resource);
        record(&seen, self.server.db, now / 1_000_000, &mut self.recorder);
        self.server.report(refused.map(|error| format!("SCAN is refused, streams cannot be found: {error}")));
        Ok(self.recorder.finish(SCOPE))
    }
}

impl Scrape for StreamScrape {
    fn round(&mut self) -> BoxFuture<'_, Option<(Bytes, usize)>> {
        Box::pin(async {
            match self.ask().await {
                Ok(points) => points,
                Err(error) => {
                    self.server.report(Some(error.to_string()));
                    None
                }
            }
        })
    }
}
