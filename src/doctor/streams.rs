//! Streams that are watched: groups that nobody reads for, consumers that have leaked, entries that nobody claims.

mod find;

use std::time::Duration;

use streamgauge_receivers::redis_stream_metrics::StreamConfig;
use streamgauge_redis::{CallResult, ConsumerInfo, Fault, GroupInfo, ReadCommand, Unreachable, Value};

use super::finding::Chart;
use super::redis::{Patient, text};
use crate::human;

/// Groups that are looked into, of all streams together.
const GROUPS: usize = 500;
/// A larger group would hold the server for a millisecond.
const CONSUMERS: u64 = 900;
/// The oldest pending entries of a group.
const OLDEST: u32 = 100;
/// Names that one finding tells.
const NAMED: usize = 5;

/// A group and the stream it reads.
struct Group {
    db: u32,
    stream: Vec<u8>,
    info: GroupInfo,
}

/// Looks at every stream that a receiver would watch, within bounds.
pub(super) async fn examine(patient: &Patient<'_>, chart: &mut Chart) -> Result<(), Unreachable> {
    let server = patient.address();
    for (db, config) in &patient.server.streams {
        let streams = find::streams(patient, *db, config, chart).await?;
        let mut groups = groups(patient, *db, config, &streams, &server, chart).await?;
        let all = groups.len();
        groups.truncate(GROUPS);
        if groups.len() < all {
            let what = format!("{all} groups: looked into the first {GROUPS} only");
            chart.note("streams", what, "name fewer under `streams`, and run it again");
        }
        let mut suspects = 0;
        for group in &groups {
            chart.about(format!("{server} {} {}", show(&group.stream), show(&group.info.name)));
            suspects += usize::from(look_into(patient, group, chart).await?);
        }
        chart.about(server.as_str());
        let what = format!("looked at; streams: {}, groups: {all}, with findings: {suspects}", streams.len());
        chart.ok("streams", what);
    }
    Ok(())
}

/// The groups that are watched.
async fn groups(
    patient: &Patient<'_>,
    db: u32,
    config: &StreamConfig,
    streams: &[Vec<u8>],
    server: &str,
    chart: &mut Chart,
) -> Result<Vec<Group>, Unreachable> {
    let commands: Vec<_> = streams.iter().map(|stream| ReadCommand::xinfo_groups(stream, 10)).collect();
    let answers = patient.ask_db(db, &commands).await?;
    let mut found = Vec::new();
    for (stream, answer) in streams.iter().zip(answers) {
        chart.about(format!("{server} {}", show(stream)));
        match answer {
            Ok(answer) => {
                let watched = |group: &GroupInfo| {
                    config.groups.iter().any(|pattern| pattern.matches(&show(&group.name)))
                };
                let all = GroupInfo::parse_all(&answer).unwrap_or_default();
                let groups = all.into_iter().filter(watched).take(config.max_groups);
                found.extend(groups.map(|info| Group { db, stream: stream.clone(), info }));
            }
            Err(error) => refused(error.fault, &error.message, chart),
        }
    }
    chart.about(server);
    Ok(found)
}

fn refused(fault: Fault, message: &str, chart: &mut Chart) {
    match fault {
        Fault::NoSuchKey => {
            let todo = "correct its name under `streams`, if it is not made later";
            chart.warn("streams", "there is no such stream", todo);
        }
        Fault::WrongType => {
            chart.warn("streams", "this key is no stream", "correct its name under `streams`")
        }
        // What is missing stands in the finding about rights; a node of a cluster has only its own keys.
        Fault::NoPermission | Fault::Moved => {}
        _ => chart.note("streams", format!("was not told: {message}"), ""),
    }
}

/// Whether there was something to find.
async fn look_into(patient: &Patient<'_>, group: &Group, chart: &mut Chart) -> Result<bool, Unreachable> {
    let Group { db, stream, info } = group;
    let mut suspect = false;
    if info.consumers == 0 {
        suspect = true;
        let waiting = info.lag.map_or("nobody knows how many".to_owned(), |lag| lag.to_string());
        let todo = format!("start a consumer, or XGROUP DESTROY {} {}", show(stream), show(&info.name));
        let what =
            format!("the group has no consumer; entries waiting: {waiting}, pending: {}", info.pending);
        chart.warn("consumers", what, todo);
    } else if info.consumers > CONSUMERS {
        suspect = true;
        let what =
            format!("{} consumers: not looked at one by one, it would hold the server", info.consumers);
        chart.warn(
            "consumers",
            what,
            "consumers with a new name at each start leak: give them lasting names",
        );
    } else {
        let ask = ReadCommand::xinfo_consumers(stream, &info.name, info.consumers);
        let answer = patient.ask_db(*db, &[ask]).await?.pop();
        let consumers = answer.and_then(Result::ok).and_then(|answer| ConsumerInfo::parse_all(&answer));
        suspect |= leaked(group, &consumers.unwrap_or_default(), patient.limits.leaked_after, chart);
    }
    if info.pending > 0 {
        let ask = ReadCommand::xpending_oldest(stream, &info.name, OLDEST);
        let answer = patient.ask_db(*db, &[ask]).await?.pop();
        suspect |= forgotten(group, answer.as_ref(), patient.limits.forgotten_after, chart);
    }
    Ok(suspect)
}

fn leaked(group: &Group, consumers: &[ConsumerInfo], after: Duration, chart: &mut Chart) -> bool {
    let limit = after.as_millis();
    let is_leaked = |consumer: &&ConsumerInfo| {
        consumer.pending == 0 && consumer.idle_ms.is_some_and(|idle| u128::from(idle) >= limit)
    };
    let leaked: Vec<_> = consumers.iter().filter(is_leaked).collect();
    let Some(first) = leaked.first() else { return false };
    let names: Vec<_> = leaked.iter().take(NAMED).map(|consumer| show(&consumer.name)).collect();
    let more = if leaked.len() > NAMED { ", ..." } else { "" };
    let what = format!(
        "{} hold nothing and have done nothing for {} or longer: {}{more}",
        human::count(leaked.len() as u64, "consumer"),
        human::age(after.as_secs()),
        names.join(", ")
    );
    let (stream, name) = (show(&group.stream), show(&group.info.name));
    let todo = format!("if they are gone: XGROUP DELCONSUMER {stream} {name} {}", show(&first.name));
    chart.warn("consumers", what, todo);
    true
}

fn forgotten(group: &Group, answer: Option<&CallResult>, after: Duration, chart: &mut Chart) -> bool {
    let limit = after.as_millis();
    let Some(Ok(Value::Array(page))) = answer else { return false };
    let old: Vec<_> =
        page.iter().filter_map(pending).filter(|(_, idle)| u128::from(*idle) >= limit).collect();
    let Some((owner, longest)) = old.iter().max_by_key(|(_, idle)| *idle) else { return false };
    let of = if page.len() < OLDEST as usize { "" } else { "oldest " };
    let what = format!(
        "{} of the {of}{} pending entries have been left alone for {} or longer, by {owner} for {}",
        old.len(),
        page.len(),
        human::age(after.as_secs()),
        human::age(longest / 1000)
    );
    let (stream, name) = (show(&group.stream), show(&group.info.name));
    let todo = format!("let a living consumer take them: XAUTOCLAIM {stream} {name} CONSUMER {limit} 0");
    chart.warn("pending", what, todo);
    true
}

/// Owner and idle milliseconds of a pending entry. One that was handed back has no owner and idle -1.
fn pending(entry: &Value) -> Option<(String, u64)> {
    let Value::Array(fields) = entry else { return None };
    let [_, owner, Value::Int(idle), _] = fields.as_slice() else { return None };
    Some((text(owner), u64::try_from(*idle).ok()?))
}

/// A name for people.
fn show(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
