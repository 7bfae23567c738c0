//! One node's part of a round: ask, notice restarts, record.

use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::Clock;
use streamgauge_redis::{Identity, Info, ReadCommand, Role, text};
use tokio::time::Instant;

use super::config::RedisConfig;
use super::custom::{self, Custom};
use super::detail::Detail;
use super::info::{self, Own};
use super::metrics::{ROWS, RedisMetrics, index, needs_cluster_info};
use super::time::Time;
use crate::scrape::recorder::{Number, Recorder};
use crate::scrape::redis::{Patience, ResourceAttributes, Server};
use crate::scrape::table::Table;

/// The scope of the points.
const SCOPE: &str = "streamgauge/receiver/redis";
/// The row of `redis.up`.
const UP: usize = 0;

/// What lasts from round to round.
pub(crate) struct NodeScrape {
    pub(crate) server: Server,
    resource: ResourceAttributes,
    recorder: Recorder,
    wants_cluster: bool,
    patience: Patience,
    detail: Detail,
    custom: Option<Custom>,
    time: Time,
    /// The process that answered last: its run id, its uptime in seconds.
    process: Option<(String, i64)>,
    /// What it said of itself, and what it does.
    identity: Option<Identity>,
    role: Option<Role>,
}

/// What a round found besides numbers.
#[derive(Default)]
pub(crate) struct Seen {
    /// What is wrong.
    pub(crate) problem: Option<String>,
    /// Whether the node is not what the deployment thinks it is.
    pub(crate) is_suspect: bool,
}

impl NodeScrape {
    pub(crate) fn new(config: &RedisConfig, server: Server) -> Self {
        let mut enabled = config.metrics.enabled();
        let wants_cluster = ROWS.iter().zip(&enabled).any(|(row, on)| *on && needs_cluster_info(row.source));
        let detail = Detail::new(config, &enabled);
        let metrics = RedisMetrics::metrics().chain(custom::metrics(config));
        enabled.resize(enabled.len() + config.custom_metrics.len(), true);
        NodeScrape {
            server,
            resource: config.resource_attributes.clone(),
            detail,
            custom: Custom::new(config),
            time: Time::new(),
            recorder: Recorder::new(metrics, enabled).limited(config.cardinality_limit),
            wants_cluster,
            patience: Patience::default(),
            process: None,
            identity: None,
            role: None,
        }
    }

    /// The node is gone: its series end.
    pub(crate) fn end(self, now: u64) -> Option<(Bytes, usize)> {
        self.recorder.end(now, SCOPE)
    }

    pub(crate) async fn round(&mut self, deadline: Instant, clock: &Clock) -> (Option<(Bytes, usize)>, Seen) {
        let node = &self.server.node;
        let deadline = self.patience.until(deadline);
        let answer = match node.monitor.known_identity(deadline).await {
            Ok(identity) => self.server.ask(identity.whole_info(), deadline).await,
            Err(error) => Err(error),
        };
        self.patience.learn(answer.as_ref().err());
        let now = clock.now().unix_nanos;
        let seen = match answer {
            Ok(Ok(value)) => {
                let text = text(&value);
                let info = Info::parse(&text);
                let role = role(&info);
                let is_suspect = role.is_some() && role != self.server.node.role;
                self.role = role.or(self.role);
                self.identity = Some(Identity::of(&info));
                self.begin(now);
                self.notice_restart(&info, now);
                let cluster = self.cluster_info(&info, deadline).await;
                let (cluster, problem) = (cluster.as_deref(), cluster.as_ref().err().cloned());
                let cluster = cluster.ok().map(Info::parse);
                let own = Own {
                    usage: self.server.node.monitor.usage(),
                    refused: self.server.node.monitor.refused(),
                };
                info::record(&info, cluster.as_ref(), &own, &mut self.recorder);
                let round_trip = self.round_trip(deadline).await;
                self.time.round(&info, &own.usage, round_trip, now, &mut self.recorder);
                self.detail.round(&self.server, &info, (deadline, now), &mut self.recorder).await;
                if let Some(custom) = &mut self.custom {
                    custom.round(&self.server, &info, deadline, &mut self.recorder).await;
                }
                Seen { problem, is_suspect }
            }
            Ok(Err(error)) => self.down(now, format!("INFO is refused: {error}")),
            Err(error) => self.down(now, error.to_string()),
        };
        (self.recorder.finish(SCOPE), seen)
    }

    /// Whether there is more to find before the next round.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.detail.is_unfinished()
    }

    /// Finds more of it; `when` is until when, and the time.
    pub(crate) async fn go_on(&mut self, when: (Instant, u64)) {
        self.detail.go_on(&self.server, when).await;
    }

    fn begin(&mut self, now: u64) {
        let resource = self.resource.of(&self.server.node, self.identity.as_ref(), self.role);
        self.recorder.begin(now, resource);
    }

    /// Nothing is known but that the server did not answer: no series ends, none goes on. The resource stays that of
    /// the server that answered last.
    fn down(&mut self, now: u64, why: String) -> Seen {
        self.begin(now);
        self.recorder.record(UP, &[], Number::Int(0));
        self.recorder.missed();
        Seen { problem: Some(why), is_suspect: true }
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

    /// How long a PING takes, where somebody wants to know and it went alone.
    async fn round_trip(&self, deadline: Instant) -> Option<Duration> {
        if !self.recorder.wants(index("redis.round_trip")) {
            return None;
        }
        self.server.ask(ReadCommand::ping(), deadline).await.ok()?.ok()?;
        self.server.node.monitor.round_trip()
    }

    /// CLUSTER INFO, empty when nobody wants it or the server is in no cluster.
    async fn cluster_info(&mut self, info: &Info<'_>, deadline: Instant) -> Result<String, String> {
        if !self.wants_cluster || info.int("cluster_enabled") != Some(1) {
            return Ok(String::new());
        }
        let failed = match self.server.ask(ReadCommand::cluster_info(), deadline).await {
            Ok(Ok(value)) => return Ok(text(&value).into_owned()),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.recorder.keep(|metric, _| metric.name.starts_with("redis.cluster."));
        Err(format!("CLUSTER INFO is refused: {failed}"))
    }
}

/// What the server does, by its own word.
pub(super) fn role(info: &Info<'_>) -> Option<Role> {
    match info.text("role") {
        Some("master") => Some(Role::Primary),
        Some("slave") => Some(Role::Replica),
        _ if info.mode() == Some("sentinel") => Some(Role::Sentinel),
        _ => None,
    }
}
