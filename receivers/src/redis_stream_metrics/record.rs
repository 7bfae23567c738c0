//! From what was seen to points.

use std::collections::HashSet;
use std::time::Duration;

use streamgauge_redis::StreamId;

use super::clock::{age_ms, time_ms};
use super::consumers::{OTHER, score};
use super::lag::Quality;
use super::memory::{GroupInsight, Memory, Moment};
use super::metrics::*;
use super::observe::{Group, Observation, Stream};
use super::pending::{DELIVERIES, IDLE, Tally};
use crate::scrape::recorder::{Number, Recorder};

/// Records a round, and what follows from it and the rounds before. `now` has our own clock where the server's is not
/// known.
pub(crate) fn record(seen: &Observation, db: u32, now: Moment, memory: &mut Memory, recorder: &mut Recorder) {
    let db = db.to_string();
    let now = Moment { server: seen.server_ms.unwrap_or(now.server), ..now };
    for stream in &seen.streams {
        record_stream(stream, &db, now, memory, recorder);
    }
    for (stream, group, is_there) in &seen.named {
        let (stream, group) = (String::from_utf8_lossy(stream), String::from_utf8_lossy(group));
        recorder.record(PRESENT, &[&db, &stream, &group], u64::from(*is_there));
    }
    let unanswered: HashSet<_> = seen.unanswered.iter().map(|name| String::from_utf8_lossy(name)).collect();
    let names = |which: fn(&&Stream) -> bool| -> HashSet<_> {
        seen.streams.iter().filter(which).map(|stream| String::from_utf8_lossy(&stream.name)).collect()
    };
    // What is not asked in this round has no point in it, and goes on.
    let outdated = names(|stream| stream.is_outdated);
    let idle_unknown = names(|stream| stream.groups.iter().any(|group| !group.is_fresh));
    let uncounted = names(|stream| stream.group_count.is_none());
    recorder.keep(|metric, values| {
        let Some(stream) = values.get(1).map(|stream| &**stream) else { return false };
        unanswered.contains(stream)
            || uncounted.contains(stream)
            || (outdated.contains(stream) && !BASIC.contains(&metric.name))
            || (idle_unknown.contains(stream) && OF_THE_MOMENT.contains(&metric.name))
    });
}

/// What grows old while nobody asks.
const OF_THE_MOMENT: [&str; 5] = [
    "redis.stream.consumer.idle",
    "redis.stream.consumer.inactive",
    "redis.stream.consumer.score",
    "redis.stream.group.oldest_pending_idle",
    "redis.stream.group.pending_by_idle",
];

/// What XLEN and XINFO GROUPS tell, in every round.
const BASIC: [&str; 10] = [
    "redis.stream.length",
    "redis.stream.groups",
    "redis.stream.group.lag",
    "redis.stream.group.lag_quality",
    "redis.stream.group.pending",
    "redis.stream.group.consumers",
    "redis.stream.group.entries_read",
    "redis.stream.group.last_delivered_time",
    "redis.stream.group.state",
    "redis.stream.group.present",
];

fn record_stream(stream: &Stream, db: &str, now: Moment, memory: &mut Memory, recorder: &mut Recorder) {
    let name = String::from_utf8_lossy(&stream.name);
    let labels = [db, &*name];
    let insight = memory.look(stream, now);
    recorder.record(LENGTH, &labels, stream.length);
    put(recorder, GROUPS, &labels, stream.group_count);
    put(recorder, DETAIL_AGE, &labels, stream.age.map(|age| Seconds(age.as_secs_f64())));
    put(recorder, RATE_IN, &labels, insight.rate_in);
    put(recorder, RATE_REMOVED, &labels, insight.rate_removed);
    if let Some(info) = &stream.info {
        put(recorder, ENTRIES_ADDED, &labels, info.entries_added);
        put(recorder, FIRST_ENTRY_TIME, &labels, time(info.first_entry, now));
        put(recorder, LAST_ENTRY_TIME, &labels, time(info.last_entry, now));
    }
    for (group, insight) in stream.groups.iter().zip(&insight.groups) {
        let group_name = String::from_utf8_lossy(&group.info.name);
        let labels = [db, &*name, &*group_name];
        record_group(group, labels, now, recorder);
        record_scores(group, insight, labels, memory.stop_after(), recorder);
        record_insight(insight, labels, recorder);
    }
    if !stream.rest.is_empty() {
        let other = String::from_utf8_lossy(OTHER);
        let labels = [db, &*name, &*other];
        recorder.record(PENDING, &labels, stream.rest.iter().map(|group| group.pending).sum::<u64>());
        recorder.record(CONSUMERS, &labels, stream.rest.iter().map(|group| group.consumers).sum::<u64>());
    }
}

fn record_group(group: &Group, [db, name, group_name]: [&str; 3], now: Moment, recorder: &mut Recorder) {
    let info = &group.info;
    let labels = [db, name, group_name];
    recorder.record(PENDING, &labels, info.pending);
    if let Some(oldest) = group.oldest.as_ref().filter(|_| info.pending > 0) {
        put(recorder, OLDEST_PENDING_AGE, &labels, age_ms(Some(oldest.id), now.server).map(Seconds::of_ms));
        let idle = oldest.idle_ms.filter(|_| group.is_fresh);
        put(recorder, OLDEST_PENDING_IDLE, &labels, idle.map(Seconds::of_ms));
    }
    if let Some(tally) = &group.tally {
        record_tally(tally, labels, recorder);
    }
    recorder.record(CONSUMERS, &labels, info.consumers);
    put(recorder, CONSUMERS_ACTIVE, &labels, group.consumers.active);
    put(recorder, ENTRIES_READ, &labels, info.entries_read);
    put(recorder, LAST_DELIVERED_TIME, &labels, time(info.last_delivered_id, now));
    let share =
        |pending: u64| (info.pending > 0).then(|| Number::Double(pending as f64 / info.pending as f64));
    for consumer in &group.consumers.top {
        let consumer_name = String::from_utf8_lossy(&consumer.name);
        let labels = [db, name, group_name, &*consumer_name];
        recorder.record(CONSUMER_PENDING, &labels, consumer.pending);
        put(recorder, CONSUMER_SHARE, &labels, share(consumer.pending));
        if group.is_fresh {
            put(recorder, CONSUMER_IDLE, &labels, consumer.idle_ms.map(Seconds::of_ms));
            put(recorder, CONSUMER_INACTIVE, &labels, consumer.inactive_ms.map(Seconds::of_ms));
        }
    }
    let rest = group.consumers.rest;
    if rest.count > 0 && !group.consumers.top.is_empty() {
        let other = String::from_utf8_lossy(OTHER);
        let labels = [db, name, group_name, &*other];
        recorder.record(CONSUMER_PENDING, &labels, rest.pending);
        put(recorder, CONSUMER_SHARE, &labels, share(rest.pending));
    }
}

/// How they do, where it is known how long they idle.
fn record_scores(
    group: &Group,
    insight: &GroupInsight,
    [db, name, group_name]: [&str; 3],
    stop: Duration,
    recorder: &mut Recorder,
) {
    if !group.is_fresh || !recorder.wants(CONSUMER_SCORE) {
        return;
    }
    for consumer in &group.consumers.top {
        let consumer_name = String::from_utf8_lossy(&consumer.name);
        let score = score(consumer, &group.info, insight.lag.entries, stop);
        put(recorder, CONSUMER_SCORE, &[db, name, group_name, &*consumer_name], score);
    }
}

fn record_tally(tally: &Tally, [db, name, group]: [&str; 3], recorder: &mut Recorder) {
    let labels = [db, name, group];
    recorder.record(PENDING_SEEN, &labels, tally.seen);
    recorder.record(POISON, &labels, tally.poison);
    recorder.record(DANGLING, &labels, tally.dangling);
    for ((band, _), count) in DELIVERIES.iter().zip(tally.by_deliveries).filter(|(_, count)| *count > 0) {
        recorder.record(PENDING_BY_DELIVERIES, &[db, name, group, band], count);
    }
    for ((band, _), count) in IDLE.iter().zip(tally.by_idle).filter(|(_, count)| *count > 0) {
        recorder.record(PENDING_BY_IDLE, &[db, name, group, band], count);
    }
    for (deliveries, id) in &tally.worst {
        recorder.record(POISON_DELIVERIES, &[db, name, group, &id.to_string()], *deliveries);
    }
}

fn record_insight(insight: &GroupInsight, [db, name, group]: [&str; 3], recorder: &mut Recorder) {
    let labels = [db, name, group];
    let lag = &insight.lag;
    put(recorder, LAG, &labels, lag.entries);
    recorder.record(LAG_QUALITY, &labels, Number::Int(lag.quality as i64));
    put(recorder, LAG_LEAST, &labels, lag.least.filter(|_| lag.quality < Quality::Exact));
    put(recorder, LAG_TIME, &labels, insight.lag_time);
    recorder.record(LAG_TIME_QUALITY, &labels, Number::Int(insight.lag_time_quality as i64));
    put(recorder, SKIPPED, &labels, insight.lost);
    put(recorder, RATE_OUT, &labels, insight.rate_out);
    put(recorder, ACK_RATE, &labels, insight.ack_rate);
    put(recorder, VELOCITY, &labels, insight.velocity);
    put(recorder, ETA, &labels, insight.eta);
    put(recorder, HEADROOM, &labels, insight.headroom);
    put(recorder, CONSUMERS_NEEDED, &labels, insight.needed.map(|(consumers, _)| consumers));
    put(recorder, CONSUMERS_NEEDED_CONFIDENCE, &labels, insight.needed.map(|(_, confidence)| confidence));
    let (state, reason) = insight.state;
    recorder.record(STATE, &[db, name, group, state, reason], Number::Int(1));
}

/// Seconds.
#[derive(Clone, Copy)]
struct Seconds(f64);

impl Seconds {
    fn of_ms(ms: u64) -> Seconds {
        Seconds(ms as f64 / 1000.0)
    }
}

impl From<Seconds> for Number {
    fn from(Seconds(value): Seconds) -> Self {
        Number::Double(value)
    }
}

fn put(recorder: &mut Recorder, metric: usize, labels: &[&str], value: Option<impl Into<Number>>) {
    if let Some(value) = value {
        recorder.record(metric, labels, value);
    }
}

/// The time in an id, since 1970.
fn time(id: Option<StreamId>, now: Moment) -> Option<Seconds> {
    time_ms(id, now.server).map(Seconds::of_ms)
}
