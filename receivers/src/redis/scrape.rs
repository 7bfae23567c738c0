//! One round: ask, notice restarts, record.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_redis::{Info, ReadCommand, Value};
use tokio::time::Instant;

use super::config::RedisConfig;
use super::info;
use super::metrics::{ROWS, RedisMetrics, needs_cluster_info};
use crate::scrape::poll::Scrape;
use crate::scrape::recorder::{Number, Recorder};
use crate::scrape::redis::{ResourceAttributes, Server};
use crate::scrape::table::Table;

/// The scope of the points.
const SCOPE: &str = "streamgauge/receiver/redis";
/// The row of `redis.up`.
const UP: usize = 0;

/// What lasts from round to round.
pub(crate) struct RedisScrape {
    server: Server,
    resource: ResourceAttributes,
    recorder: Recorder,
    wants_cluster: bool,
    /// The process that answered last: its run id, its uptime in seconds.
    process: Option<(String, i64)>,
    /// Its version.
    version: Option<String>,
}

impl RedisScrape {
    pub(crate) fn new(config: &RedisConfig, server: Server) -> Self {
        let enabled = config.metrics.enabled();
        let wants_cluster = ROWS.iter().zip(&enabled).any(|(row, on)| *on && needs_cluster_info(row.source));
        RedisScrape {
            server,
            resource: config.resource_attributes.clone(),
            recorder: Recorder::new(RedisMetrics::metrics(), enabled),
            wants_cluster,
            process: None,
            version: None,
        }
    }

    async fn one_round(&mut self) -> Option<(Bytes, usize)> {
        let deadline = self.server.deadline();
        let answer = self.server.ask(ReadCommand::info_everything(), deadline).await;
        let now = self.server.host().clock().now().unix_nanos;
        match answer {
            Ok(Ok(value)) => {
                let text = text(&value);
                let info = Info::parse(&text);
                self.version = info.version().map(str::to_owned).or(self.version.take());
                self.begin(now);
                self.notice_restart(&info, now);
                let cluster = self.cluster_info(&info, deadline).await;
                let (cluster, problem) = (cluster.as_deref(), cluster.as_ref().err().cloned());
                let cluster = cluster.ok().map(Info::parse);
                info::record(&info, cluster.as_ref(), &mut self.recorder);
                self.server.report(problem);
            }
            Ok(Err(error)) => self.down(now, format!("INFO is refused: {error}")),
            Err(error) => self.down(now, error.to_string()),
        }
        self.recorder.finish(SCOPE)
    }

    fn begin(&mut self, now: u64) {
        let resource = self.resource.of(self.server.target(), self.version.as_deref());
        self.recorder.begin(now, resource);
    }

    /// Nothing is known but that the server did not answer: no series ends, none goes on. The resource stays that of
    /// the server that answered last.
    fn down(&mut self, now: u64, why: String) {
        self.begin(now);
        self.recorder.record(UP, &[], Number::Int(0));
        self.recorder.missed();
        self.server.report(Some(why));
    }

    fn notice_restart(&mut self, info: &Info<'_>, now: u64) {
        let (run_id, uptime) =
            (info.text("run_id").unwrap_or(""), info.int("uptime_in_seconds").unwrap_or(0));
        let same = matches!(&self.process, Some((id, before)) if id == run_id && *before <= uptime);
        if !same {
            let uptime = u64::try_from(uptime).unwrap_or(0).saturating_mul(1_000_000_000);
            self.recorder.restarted(now.saturating_sub(uptime));
        }
        self.process = Some((run_id.to_owned(), uptime));
    }

    /// CLUSTER INFO, empty when nobody wants it or the server is in no cluster.
    async fn cluster_info(&mut self, info: &Info<'_>, deadline: Instant) -> Result<String, String> {
        if !self.wants_cluster || info.int("cluster_enabled") != Some(1) {
            return Ok(String::new());
        }
        let failed = match self.server.ask(ReadCommand::cluster_info(), deadline).await {
            Ok(Ok(value)) => return Ok(text(&value)),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.recorder.keep(|metric, _| metric.name.starts_with("redis.cluster."));
        Err(format!("CLUSTER INFO is refused: {failed}"))
    }
}

impl Scrape for RedisScrape {
    fn round(&mut self) -> BoxFuture<'_, Option<(Bytes, usize)>> {
        Box::pin(self.one_round())
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}
