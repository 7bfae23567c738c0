//! Which Redis servers a configuration names, and what is wanted of them.

use streamgauge_config::{Component, Config, Diagnostics, Secret};
use streamgauge_receivers::redis::RedisConfig;
use streamgauge_receivers::redis_stream_metrics::StreamConfig;
use streamgauge_redis::{EndpointKeys, Monitor, SentinelOptions, Target};
use streamgauge_transport::TlsClient;

use super::progress::Examination;
use super::{Limits, redis};

/// A server as one user sees it, whichever receivers ask it.
pub(super) struct Server {
    pub(super) target: Target,
    pub(super) tls: TlsClient,
    /// Ids of the receivers.
    pub(super) components: String,
    /// What is wanted of its streams, and in which database.
    pub(super) streams: Vec<(u32, StreamConfig)>,
    /// Whether all servers that belong together with it are meant.
    pub(super) follow: bool,
    /// Where it is a sentinel.
    pub(super) sentinel: SentinelOptions,
}

/// One examination for each server and user that a pipeline's receivers ask.
pub(super) fn examinations(config: &Config, limits: Limits) -> Result<Vec<Examination>, Diagnostics> {
    let mut servers: Vec<(String, Server)> = Vec::new();
    let in_use = |receiver: &&Component| {
        config.service.pipelines.iter().any(|pipeline| pipeline.receivers.contains(&receiver.id))
    };
    for receiver in config.receivers.iter().filter(in_use) {
        let Some(server) = server(receiver)? else { continue };
        let key = Monitor::key(&server.target, &format!("{:?}", server.tls));
        match servers.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => {
                known.components = format!("{}, {}", known.components, server.components);
                known.streams.extend(server.streams);
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

fn server(receiver: &Component) -> Result<Option<Server>, Diagnostics> {
    let section = &receiver.section;
    let (target, tls, follow, sentinel, streams) = match receiver.type_name.as_str() {
        "redis" => {
            let config: RedisConfig = section.read()?;
            let keys = EndpointKeys {
                endpoint: &config.endpoint,
                transport: config.transport.map(Into::into),
                username: config.username.as_deref(),
                password: config.password.as_ref().map(Secret::expose),
                password_file: config.password_file.as_deref(),
                tls: config.tls.as_ref().map(|tls| !tls.insecure),
                db: None,
            };
            (Target::new(&keys), config.tls, config.topology.follows(), config.sentinel, None)
        }
        "redis_stream_metrics" => {
            let config: StreamConfig = section.read()?;
            let keys = EndpointKeys {
                endpoint: &config.endpoint,
                transport: config.transport.map(Into::into),
                username: config.username.as_deref(),
                password: config.password.as_ref().map(Secret::expose),
                password_file: config.password_file.as_deref(),
                tls: config.tls.as_ref().map(|tls| !tls.insecure),
                db: config.db,
            };
            let (tls, follow, sentinel) =
                (config.tls.clone(), config.topology.follows(), config.sentinel.clone());
            (Target::new(&keys), tls, follow, sentinel, Some(config))
        }
        _ => return Ok(None),
    };
    // Loading has checked them already.
    let Ok(target) = target else { return Ok(None) };
    let streams = streams.map(|streams| (target.db, streams)).into_iter().collect();
    let components = receiver.id.to_string();
    let sentinel = sentinel.map(|sentinel| sentinel.options(&target)).unwrap_or_default();
    Ok(Some(Server { target, tls: tls.unwrap_or_default(), components, streams, follow, sentinel }))
}
