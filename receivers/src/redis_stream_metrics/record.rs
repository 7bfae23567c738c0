//! From what was seen to points.

use std::collections::HashMap;
use std::time::Duration;

use streamgauge_redis::StreamId;

use super::clock::{age_ms, time_ms};
use super::consumers::{OTHER, score};
use super::lag::Quality;
use super::memory::{GroupInsight, Memory, Moment};
use super::metrics::*;
use super::pending::{DELIVERIES, IDLE, Tally};
use super::seen::{Group, Kept, Observation, Stream};
use crate::scrape::recorder::{Number, Place, Recorder};

/// Records a stream, and what follows from it and the rounds before.
pub(crate) fn record_stream(
    stream: Stream,
    seen: &mut Observation,
    db: u32,
    now: Moment,
    memory: &mut Memory,
    recorder: &mut Recorder,
) {
    let db = recorder.at(&[&db.to_string()]);
    record_numbers(&stream, db, now, memory, recorder);
    // What is not asked in this round has no point in it, and goes on.
    if stream.group_count.is_none() {
        seen.kept.insert(stream.name, Kept::All);
    } else if stream.is_outdated {
        seen.kept.insert(stream.name, Kept::Details);
    }
}

/// Records what is left when all streams are.
pub(crate) fn record_rest(seen: &Observation, db: u32, recorder: &mut Recorder) {
    let db = db.to_string();
    for (stream, group, is_there) in &seen.named {
        let (stream, group) = (String::from_utf8_lossy(stream), String::from_utf8_lossy(group));
        recorder.record(PRESENT, &[&db, &stream, &group], u64::from(*is_there));
    }
    if seen.kept.is_empty() {
        return;
    }
    let kept: HashMap<_, _> =
        seen.kept.iter().map(|(name, kept)| (String::from_utf8_lossy(name), *kept)).collect();
    recorder.keep(|metric, values| match values.get(1).and_then(|stream| kept.get(*stream)) {
        Some(Kept::All) => true,
        Some(Kept::Details) => !BASIC.contains(&metric.name),
        None => false,
    });
}

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

fn record_numbers(stream: &Stream, db: Place, now: Moment, memory: &mut Memory, recorder: &mut Recorder) {
    let at = recorder.below(db, &String::from_utf8_lossy(&stream.name));
    let insight = memory.look(stream, now);
    recorder.put(LENGTH, at, stream.length);
    put(recorder, GROUPS, at, stream.group_count);
    put(recorder, DETAIL_AGE, at, stream.age.map(|age| Seconds(age.as_secs_f64())));
    put(recorder, RATE_IN, at, insight.rate_in);
    put(recorder, RATE_REMOVED, at, insight.rate_removed);
    if let Some(info) = &stream.info {
        put(recorder, ENTRIES_ADDED, at, info.entries_added);
        put(recorder, FIRST_ENTRY_TIME, at, time(info.first_entry, now));
        put(recorder, LAST_ENTRY_TIME, at, time(info.last_entry, now));
    }
    for (group, insight) in stream.groups.iter().zip(&insight.groups) {
        let at = recorder.below(at, &String::from_utf8_lossy(&group.info.name));
        record_group(group, at, now, recorder);
        record_scores(group, insight, at, memory.stop_after(), recorder);
        record_insight(insight, at, recorder);
    }
    if !stream.rest.is_empty() {
        let other = recorder.below(at, &String::from_utf8_lossy(OTHER));
        recorder.put(PENDING, other, stream.rest.iter().map(|group| group.pending).sum::<u64>());
        recorder.put(CONSUMERS, other, stream.rest.iter().map(|group| group.consumers).sum::<u64>());
    }
}

fn record_group(group: &Group, at: Place, now: Moment, recorder: &mut Recorder) {
    let info = &group.info;
    recorder.put(PENDING, at, info.pending);
    if let Some(oldest) = group.oldest.as_ref().filter(|_| info.pending > 0) {
        put(recorder, OLDEST_PENDING_AGE, at, age_ms(Some(oldest.id), now.server).map(Seconds::of_ms));
        // How long something idles is of the moment it was asked.
        match group.is_fresh {
            true => put(recorder, OLDEST_PENDING_IDLE, at, oldest.idle_ms.map(Seconds::of_ms)),
            false => recorder.keep_at(OLDEST_PENDING_IDLE, at),
        }
    }
    recorder.put(CONSUMERS, at, info.consumers);
    put(recorder, CLAIMED, at, group.claimed);
    put(recorder, BATCH, at, group.consumers.batch);
    put(recorder, CONSUMERS_ACTIVE, at, group.consumers.active);
    put(recorder, ENTRIES_READ, at, info.entries_read);
    put(recorder, LAST_DELIVERED_TIME, at, time(info.last_delivered_id, now));
    if let Some(tally) = &group.tally {
        record_tally(tally, at, recorder);
    }
    let share =
        |pending: u64| (info.pending > 0).then(|| Number::Double(pending as f64 / info.pending as f64));
    for consumer in &group.consumers.top {
        let at = recorder.below(at, &String::from_utf8_lossy(&consumer.name));
        recorder.put(CONSUMER_PENDING, at, consumer.pending);
        put(recorder, CONSUMER_SHARE, at, share(consumer.pending));
        if group.is_fresh {
            put(recorder, CONSUMER_IDLE, at, consumer.idle_ms.map(Seconds::of_ms));
            put(recorder, CONSUMER_INACTIVE, at, consumer.inactive_ms.map(Seconds::of_ms));
        } else {
            recorder.keep_at(CONSUMER_IDLE, at);
            recorder.keep_at(CONSUMER_INACTIVE, at);
        }
    }
    let rest = group.consumers.rest;
    if rest.count > 0 && !group.consumers.top.is_empty() {
        let other = recorder.below(at, &String::from_utf8_lossy(OTHER));
        recorder.put(CONSUMER_PENDING, other, rest.pending);
        put(recorder, CONSUMER_SHARE, other, share(rest.pending));
    }
}

/// How they do, where it is known how long they idle.
fn record_scores(group: &Group, insight: &GroupInsight, at: Place, stop: Duration, recorder: &mut Recorder) {
    if !recorder.wants(CONSUMER_SCORE) {
        return;
    }
    for consumer in &group.consumers.top {
        let at = recorder.below(at, &String::from_utf8_lossy(&consumer.name));
        match group.is_fresh {
            true => {
                put(recorder, CONSUMER_SCORE, at, score(consumer, &group.info, insight.lag.entries, stop))
            }
            false => recorder.keep_at(CONSUMER_SCORE, at),
        }
    }
}

fn record_tally(tally: &Tally, at: Place, recorder: &mut Recorder) {
    recorder.put(PENDING_SEEN, at, tally.seen);
    recorder.put(POISON, at, tally.poison);
    recorder.put(DANGLING, at, tally.dangling);
    for ((band, _), count) in DELIVERIES.iter().zip(tally.by_deliveries).filter(|(_, count)| *count > 0) {
        let band = recorder.below(at, band);
        recorder.put(PENDING_BY_DELIVERIES, band, u64::from(count));
    }
    for ((band, _), count) in IDLE.iter().zip(tally.by_idle).filter(|(_, count)| *count > 0) {
        let band = recorder.below(at, band);
        recorder.put(PENDING_BY_IDLE, band, u64::from(count));
    }
    for (deliveries, id) in &tally.worst {
        let entry = recorder.below(at, &id.to_string());
        recorder.put(POISON_DELIVERIES, entry, *deliveries);
    }
}

fn record_insight(insight: &GroupInsight, at: Place, recorder: &mut Recorder) {
    let lag = &insight.lag;
    put(recorder, LAG, at, lag.entries);
    recorder.put(LAG_QUALITY, at, Number::Int(lag.quality as i64));
    put(recorder, LAG_LEAST, at, lag.least.filter(|_| lag.quality < Quality::Exact));
    put(recorder, LAG_TIME, at, insight.lag_time);
    recorder.put(LAG_TIME_QUALITY, at, Number::Int(insight.lag_time_quality as i64));
    put(recorder, SKIPPED, at, insight.lost);
    put(recorder, RATE_OUT, at, insight.rate_out);
    put(recorder, ACK_RATE, at, insight.ack_rate);
    put(recorder, VELOCITY, at, insight.velocity);
    put(recorder, ETA, at, insight.eta);
    put(recorder, HEADROOM, at, insight.headroom);
    put(recorder, CONSUMERS_NEEDED, at, insight.needed.map(|(consumers, _)| consumers));
    put(recorder, CONSUMERS_NEEDED_CONFIDENCE, at, insight.needed.map(|(_, confidence)| confidence));
    let (state, reason) = insight.state;
    let state = recorder.below(at, state);
    let with_reason = recorder.below(state, reason);
    recorder.put(STATE, with_reason, Number::Int(1));
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

fn put(recorder: &mut Recorder, metric: usize, at: Place, value: Option<impl Into<Number>>) {
    if let Some(value) = value {
        recorder.put(metric, at, value);
    }
}

/// The time in an id, since 1970.
fn time(id: Option<StreamId>, now: Moment) -> Option<Seconds> {
    time_ms(id, now.server).map(Seconds::of_ms)
}
