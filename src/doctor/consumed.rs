//! The Redis servers whose streams receiver `redis_stream` reads for a group: is somebody there, does the login work, may the
//! user do what the receiver does, are the streams streams, and is the group there? Nothing is read and nothing made.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge_component::{Clock, Host, Kind as Part};
use streamgauge_config::{Config, Diagnostics};
use streamgauge_receivers::redis_stream::{Place, RedisStreamConfig};
use streamgauge_redis::{Info, Monitor, Unreachable};
use streamgauge_streams::{Kind, Link, Owners, Reply, Request};
use tokio::time::Instant;

use super::finding::{Chart, Finding};
use super::progress::Examination;
use super::rights::{consumer, example};
use super::written::{open, unreachable};
use super::{Limits, state};
use crate::redis_section::RedisSection;

/// Pages of SCAN, keys in each, and streams that are looked at.
const PAGES: usize = 40;
const PAGE: &[u8] = b"500";
const STREAMS: usize = 500;

/// One examination for each receiver that a pipeline uses.
pub(super) fn examinations(config: &Config, limits: Limits) -> Result<Vec<Examination>, Diagnostics> {
    let mut all = Vec::new();
    let is_used = |id| config.service.pipelines.iter().any(|pipeline| pipeline.receivers.contains(id));
    for receiver in config.receivers.iter().filter(|receiver| is_used(&receiver.id)) {
        let Some(RedisSection::Consumes(config)) = RedisSection::of_receiver(receiver)? else { continue };
        let Ok(target) = config.keys().target() else { continue };
        let (id, name) = (receiver.id.to_string(), target.address.to_string());
        all.push(Examination { run: Box::pin(examine(id, name.clone(), *config, limits)), name });
    }
    Ok(all)
}

async fn examine(id: String, name: String, config: RedisStreamConfig, limits: Limits) -> Vec<Finding> {
    let mut chart = Chart::new(id.clone(), name);
    let host = Host::new(Clock::system(), Arc::default(), Arc::default()).for_component(Part::Receiver, &id);
    let deadline = Instant::now() + limits.timeout;
    if let Err(error) = deployment(&host, &config, deadline, &mut chart).await {
        unreachable(&error, &config.keys().tls(), &mut chart);
    }
    chart.findings()
}

async fn deployment(
    host: &Host,
    config: &RedisStreamConfig,
    deadline: Instant,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    let (deployment, _) = config
        .keys()
        .deployment(host)
        .map_err(|error| Unreachable { stage: "connect", message: error.to_string() })?;
    let owners = Owners::new(deployment);
    let nodes = owners.all(deadline).await?;
    let has_slots = owners.has_slots(deadline).await?;
    for node in nodes {
        chart.about(node.target().address.to_string());
        let Some(mut link) = open(&node, &config.keys().tls(), deadline, chart).await else { continue };
        look(&mut link, &node, config, has_slots, deadline, chart).await?;
    }
    Ok(())
}

async fn look(
    link: &mut Link,
    node: &Monitor,
    config: &RedisStreamConfig,
    has_slots: bool,
    deadline: Instant,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    let replies = link.call(&Request::of(&[b"INFO", b"memory"]), deadline).await?;
    if let Some(text) = replies.last().text() {
        state::memory(&Info::parse(&String::from_utf8_lossy(text)), true, chart);
    }
    let meant = config.places(has_slots);
    let mut streams: BTreeMap<String, Place> = BTreeMap::new();
    for place in &meant {
        if place.is_glob {
            for name in search(link, &place.stream, deadline).await? {
                streams.extend(config.found(&name, has_slots).map(|place| (name, place)));
            }
        } else {
            streams.insert(place.stream.clone(), place.clone());
        }
    }
    let server = node.target().address.to_string();
    let streams: Vec<_> = streams.into_values().take(STREAMS).collect();
    for place in &streams {
        chart.about(format!("{server} {}", place.stream));
        stream(link, place, config.group.create, deadline, chart).await?;
    }
    chart.about(server);
    chart.ok("streams", format!("looked at; streams: {}", streams.len()));
    let mut needs: Vec<_> = meant.iter().flat_map(|place| config.needs(place, example)).collect();
    // One transaction at the very end: what came behind one that may not be ended would wait in it.
    needs.sort_by_key(|need| {
        ["multi", "exec"].iter().position(|rule| *rule == need.rule).map_or(0, |at| at + 1)
    });
    needs.dedup_by(|one, other| one.words == other.words);
    consumer::examine(link, node.target().user(), needs, deadline, chart).await
}

/// Names of streams that match a glob, within bounds; none where the user may not search, which the rights tell.
async fn search(link: &mut Link, glob: &str, deadline: Instant) -> Result<Vec<String>, Unreachable> {
    let (mut names, mut cursor) = (Vec::new(), b"0".to_vec());
    for _ in 0..PAGES {
        let words: [&[u8]; 8] =
            [b"SCAN", &cursor, b"MATCH", glob.as_bytes(), b"COUNT", PAGE, b"TYPE", b"stream"];
        let replies = link.call(&Request::of(&words), deadline).await?;
        let mut page = replies.last().list();
        cursor = page.next().and_then(|next| next.text().map(<[u8]>::to_vec)).unwrap_or_default();
        let keys = page.next().into_iter().flat_map(|keys| keys.list());
        names.extend(keys.filter_map(|key| Some(String::from_utf8_lossy(key.text()?).into_owned())));
        if cursor == b"0" || cursor.is_empty() || names.len() >= STREAMS {
            break;
        }
    }
    Ok(names)
}

/// Whether it is a stream with its group, and its dead letter one too.
async fn stream(
    link: &mut Link,
    place: &Place,
    makes: bool,
    deadline: Instant,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    let Place { stream, group, dead_letter, .. } = place;
    let mut request = Request::of(&[b"XINFO", b"GROUPS", stream.as_bytes()]);
    if let Some(letter) = dead_letter {
        request.command(&[b"TYPE", letter.as_bytes()]);
    }
    let replies = link.call(&request, deadline).await?;
    let mut replies = replies.iter();
    let is_it = |info: Reply<'_>| {
        let words: Vec<_> = info.list().collect();
        words
            .chunks_exact(2)
            .any(|pair| pair[0].text() == Some(b"name") && pair[1].text() == Some(group.as_bytes()))
    };
    let make = format!("XGROUP CREATE {stream} {group} 0 MKSTREAM, or set `group: {{create: true}}`");
    match replies.next().map(Reply::ok) {
        Some(Ok(groups)) if groups.list().any(is_it) => {}
        Some(Ok(_)) if makes => chart.note("groups", format!("group {group} will be made"), ""),
        Some(Ok(_)) => chart.fail("groups", format!("there is no group {group}"), make),
        Some(Err(refusal)) => match refusal.kind {
            Kind::WrongType => {
                chart.fail("streams", "this key is no stream", "correct its name under `streams`");
            }
            Kind::NoSuchKey if makes => {
                chart.note("streams", format!("will be made, with group {group}"), "");
            }
            Kind::NoSuchKey => chart.fail("streams", "there is no such stream", make),
            // What is missing stands in the finding about rights; a node of a cluster has only its own keys.
            Kind::NoPermission | Kind::Moved | Kind::Ask => {}
            _ => chart.note("streams", format!("was not told: {refusal}"), ""),
        },
        None => {}
    }
    if let (Some(letter), Some(Reply::Text(kind))) = (dead_letter, replies.next())
        && ![&b"none"[..], b"stream"].contains(&kind)
    {
        let what = format!("the dead letter {letter} is a {} and no stream", String::from_utf8_lossy(kind));
        chart.fail("streams", what, "give `dead_letter: {stream}` another name, or delete that key");
    }
    Ok(())
}
