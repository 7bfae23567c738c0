//! Which Redis servers a configuration names, and what is wanted of them.

use streamgauge_config::{Component, Config, Diagnostics, Signal};
use streamgauge_receivers::redis::LogsConfig;
use streamgauge_receivers::redis::custom::{Check, CustomMetric};
use streamgauge_receivers::redis_stream_metrics::StreamConfig;
use streamgauge_redis::{Monitor, ReadCommand, SentinelOptions, Target};
use streamgauge_streams::Keys;
use streamgauge_transport::TlsClient;

use super::progress::Examination;
use super::{Limits, redis};
use crate::redis_section::RedisSection;

/// A server as one user sees it, whichever receivers ask it.
pub(super) struct Server {
    pub(super) target: Target,
    pub(super) tls: TlsClient,
    /// Ids of the receivers.
    pub(super) components: String,
    /// What is wanted of its streams, and in which database.
    pub(super) streams: Vec<(u32, StreamConfig)>,
    /// What the receivers declare themselves.
    pub(super) metrics: Vec<CustomMetric>,
    pub(super) checks: Vec<Check>,
    /// What logs pipelines want of it.
    pub(super) logs: Vec<LogsConfig>,
    /// What is sent only for metrics that are on, and what is missing without it.
    pub(super) optional: Vec<(ReadCommand, &'static str)>,
    /// Keys of leases.
    pub(super) leases: Vec<String>,
    /// Whether all servers that belong together with it are meant.
    pub(super) follow: bool,
    /// Where it is a sentinel.
    pub(super) sentinel: SentinelOptions,
}

/// One examination for each server and user that a pipeline's receivers ask.
pub(super) fn examinations(config: &Config, limits: Limits) -> Result<Vec<Examination>, Diagnostics> {
    let mut servers: Vec<(String, Server)> = Vec::new();
    let pipelines = |receiver: &Component| {
        let id = receiver.id.clone();
        config.service.pipelines.iter().filter(move |pipeline| pipeline.receivers.contains(&id))
    };
    for receiver in config.receivers.iter().filter(|receiver| pipelines(receiver).next().is_some()) {
        let has_logs = pipelines(receiver).any(|pipeline| pipeline.id.signal() == Signal::Logs);
        let Some(server) = server(receiver, has_logs)? else { continue };
        let key = Monitor::key(&server.target, &format!("{:?}", server.tls));
        match servers.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => {
                known.components = format!("{}, {}", known.components, server.components);
                known.streams.extend(server.streams);
                known.metrics.extend(server.metrics);
                known.checks.extend(server.checks);
                known.leases.extend(server.leases);
                known.optional.extend(server.optional);
                known.logs.extend(server.logs);
                known.follow |= server.follow;
                // Connecting with a database shows whether the user may select one.
                if known.target.db == 0 {
                    known.target = server.target;
                }
            }
            None => servers.push((key, server)),
        }
    }
    Ok(servers
        .into_iter()
        .map(|(_, server)| Examination {
            name: server.target.address.to_string(),
            run: Box::pin(redis::examine(server, limits)),
        })
        .collect())
}

fn server(receiver: &Component, has_logs: bool) -> Result<Option<Server>, Diagnostics> {
    let Some(section) = RedisSection::of_receiver(receiver)? else { return Ok(None) };
    let Some(server) = seen(receiver, &section.keys()) else { return Ok(None) };
    Ok(match section {
        RedisSection::Watches(config) => {
            let optional = config.optional_commands();
            let leases = config.lease.into_iter().map(|lease| lease.key).collect();
            let (metrics, checks) = (config.custom_metrics, config.checks);
            let logs = has_logs.then_some(config.logs).into_iter().collect();
            Some(Server { metrics, checks, logs, leases, optional, ..server })
        }
        RedisSection::Measures(config) => {
            let leases = config.lease.iter().map(|lease| lease.key.clone()).collect();
            Some(Server { streams: vec![(server.target.db, *config)], leases, ..server })
        }
        // `consumed` and `written` look at those.
        RedisSection::Consumes(_) | RedisSection::Produces(_) => None,
    })
}

/// `None` where the keys name no server: loading has checked them already.
fn seen(receiver: &Component, keys: &Keys<'_>) -> Option<Server> {
    let target = keys.target().ok()?;
    Some(Server {
        tls: keys.tls(),
        components: receiver.id.to_string(),
        streams: Vec::new(),
        metrics: Vec::new(),
        checks: Vec::new(),
        leases: Vec::new(),
        optional: Vec::new(),
        logs: Vec::new(),
        follow: keys.follows(),
        sentinel: keys.sentinel(&target),
        target,
    })
}
