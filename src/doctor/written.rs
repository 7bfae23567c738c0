//! The Redis servers that exporters write to: is somebody there, does the login work, may it write? Nothing is written.

use std::sync::Arc;

use streamgauge_component::{Clock, Host, Kind};
use streamgauge_config::{Config, Diagnostics};
use streamgauge_exporters::redis_stream::RedisStreamConfig;
use streamgauge_redis::{Monitor, Unreachable};
use streamgauge_streams::{Link, Owners, Reply, Request};
use streamgauge_transport::TlsClient;
use tokio::time::Instant;

use super::finding::{Chart, Finding};
use super::peers::in_use;
use super::progress::Examination;
use super::{Limits, tls};
use crate::redis_section::RedisSection;

/// One examination for each exporter that a pipeline uses.
pub(super) fn examinations(config: &Config, limits: Limits) -> Result<Vec<Examination>, Diagnostics> {
    let mut all = Vec::new();
    for exporter in in_use(config) {
        let Some(RedisSection::Produces(config)) = RedisSection::of_exporter(exporter)? else { continue };
        let Ok(target) = config.keys().target() else { continue };
        let id = exporter.id.to_string();
        all.push(Examination {
            name: target.address.to_string(),
            run: Box::pin(examine(id, *config, limits)),
        });
    }
    Ok(all)
}

async fn examine(id: String, config: RedisStreamConfig, limits: Limits) -> Vec<Finding> {
    let mut chart = Chart::new(id.clone(), config.endpoint.split('@').next_back().unwrap_or_default());
    let host = Host::new(Clock::system(), Arc::default(), Arc::default()).for_component(Kind::Exporter, &id);
    let deadline = Instant::now() + limits.timeout;
    let nodes = match config.keys().deployment(&host) {
        Ok((deployment, _)) => Owners::new(deployment).all(deadline).await,
        Err(error) => Err(Unreachable { stage: "connect", message: error.to_string() }),
    };
    match nodes {
        Ok(nodes) => {
            for node in nodes {
                chart.about(node.target().address.to_string());
                look(&node, &config, deadline, &mut chart).await;
            }
        }
        Err(error) => unreachable(&error, &config.keys().tls(), &mut chart),
    }
    chart.findings()
}

/// A connection to a server, or why there is none.
pub(super) async fn open(
    node: &Monitor,
    tls: &TlsClient,
    deadline: Instant,
    chart: &mut Chart,
) -> Option<Link> {
    match Link::open(node, "streamgauge-doctor", deadline).await {
        Ok(link) => {
            chart.ok("reach", "connected and logged in");
            return Some(link);
        }
        Err(error) if error.stage == "auth" => {
            chart.fail("auth", error.to_string(), "correct `username` and `password`");
        }
        Err(error) => unreachable(&error, tls, chart),
    }
    None
}

/// Why a server, or its deployment, is not there.
pub(super) fn unreachable(error: &Unreachable, tls: &TlsClient, chart: &mut Chart) {
    let text = error.to_string();
    if error.stage == "tls" || text.contains("received fatal alert") {
        let todo = tls::advice(&text, tls, "is this a port that speaks TLS (tls-port)?");
        return chart.fail("tls", text, todo);
    }
    let check = if error.stage == "auth" { "auth" } else { "reach" };
    chart.fail(check, text, "start the server, or correct `endpoint`, `topology` or the login");
}

async fn look(node: &Monitor, config: &RedisStreamConfig, deadline: Instant, chart: &mut Chart) {
    let Some(mut link) = open(node, &config.keys().tls(), deadline, chart).await else { return };
    let user = node.target().user().to_owned();
    let mut request = Request::of(&[b"COMMAND", b"INFO", b"XCFGSET"]);
    // Asked of the server's rules, since 7.0: nothing is added.
    request.command(&[
        b"ACL",
        b"DRYRUN",
        user.as_bytes(),
        b"XADD",
        config.stream.as_bytes(),
        b"*",
        b"a",
        b"1",
    ]);
    let Ok(replies) = link.call(&request, deadline).await else { return };
    let mut replies = replies.iter();
    let knows = |reply: Option<Reply<'_>>| {
        reply.is_some_and(|r| r.list().next().is_some_and(|c| c.list().next().is_some()))
    };
    let is_idempotent = knows(replies.next());
    let has_places = config.stream.contains(['{', '}']) || config.shards > 1;
    if let Some(Reply::Text(answer)) = replies.next().filter(|_| !has_places) {
        let answer = String::from_utf8_lossy(answer);
        match answer == "OK" {
            true => chart.ok("rights", format!("user {user} may add to {}", config.stream)),
            false => chart.fail("rights", answer, format!("ACL SETUSER {user} +xadd ~{}", config.stream)),
        }
    }
    if config.idempotent && !is_idempotent {
        let what = "the server does not know IDMP (Redis 8.6): an answer that is lost may make a duplicate";
        chart.note("duplicates", what, "readers know entries by what is in them, or Redis is newer");
    }
}
