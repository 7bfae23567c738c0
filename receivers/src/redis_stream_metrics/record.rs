//! From what was seen to points.

use std::collections::HashSet;

use streamgauge_redis::StreamId;

use super::lag::lag;
use super::metrics::*;
use super::observe::{Group, Observation, Stream};
use crate::scrape::recorder::{Number, Recorder};

/// Ids before 2000 are no times: somebody has chosen them.
const EARLIEST_MS: u64 = 946_684_800_000;
/// Nor are those that lie further ahead of the server's clock than clocks do.
const AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

/// Records a round. `now_ms` is used where the server's clock is not known.
pub(crate) fn record(seen: &Observation, db: u32, now_ms: u64, recorder: &mut Recorder) {
    let db = db.to_string();
    let now_ms = seen.server_ms.unwrap_or(now_ms);
    for stream in &seen.streams {
        record_stream(stream, &db, now_ms, recorder);
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
            || (idle_unknown.contains(stream) && metric.name == METRICS[CONSUMER_IDLE].name)
    });
}

/// What XLEN and XINFO GROUPS tell, in every round.
const BASIC: [&str; 8] = [
    "redis.stream.length",
    "redis.stream.groups",
    "redis.stream.group.lag",
    "redis.stream.group.lag_quality",
    "redis.stream.group.pending",
    "redis.stream.group.consumers",
    "redis.stream.group.entries_read",
    "redis.stream.group.last_delivered_time",
];

fn record_stream(stream: &Stream, db: &str, now_ms: u64, recorder: &mut Recorder) {
    let name = String::from_utf8_lossy(&stream.name);
    let labels = [db, &*name];
    recorder.record(LENGTH, &labels, stream.length);
    put(recorder, GROUPS, &labels, stream.group_count);
    put(recorder, DETAIL_AGE, &labels, stream.age.map(|age| Seconds(age.as_secs_f64())));
    if let Some(info) = &stream.info {
        put(recorder, ENTRIES_ADDED, &labels, info.entries_added);
        put(recorder, FIRST_ENTRY_TIME, &labels, time(info.first_entry, now_ms));
        put(recorder, LAST_ENTRY_TIME, &labels, time(info.last_entry, now_ms));
    }
    for group in &stream.groups {
        record_group(stream, group, labels, now_ms, recorder);
    }
}

fn record_group(stream: &Stream, group: &Group, [db, name]: [&str; 2], now_ms: u64, recorder: &mut Recorder) {
    let info = &group.info;
    let group_name = String::from_utf8_lossy(&info.name);
    let labels = [db, name, &*group_name];
    let (lag, quality) = lag(info, stream.length, stream.info.as_ref().filter(|_| stream.is_fresh));
    put(recorder, LAG, &labels, lag);
    recorder.record(LAG_QUALITY, &labels, Number::Int(quality as i64));
    recorder.record(PENDING, &labels, info.pending);
    let oldest = group.oldest_pending.as_ref().and_then(|pending| time(pending.oldest, now_ms));
    let age = oldest.map(|Seconds(at)| Seconds((now_ms as f64 / 1000.0 - at).max(0.0)));
    put(recorder, OLDEST_PENDING_AGE, &labels, age);
    recorder.record(CONSUMERS, &labels, info.consumers);
    put(recorder, ENTRIES_READ, &labels, info.entries_read);
    put(recorder, LAST_DELIVERED_TIME, &labels, time(info.last_delivered_id, now_ms));
    for consumer in &group.consumers {
        let consumer_name = String::from_utf8_lossy(&consumer.name);
        let labels = [db, name, &*group_name, &*consumer_name];
        recorder.record(CONSUMER_PENDING, &labels, consumer.pending);
        let idle = consumer.idle_ms.filter(|_| group.is_fresh);
        put(recorder, CONSUMER_IDLE, &labels, idle.map(|ms| Seconds(ms as f64 / 1000.0)));
    }
}

/// Seconds.
#[derive(Clone, Copy)]
struct Seconds(f64);

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

/// The time in an id, seconds since 1970; `None` when the id is no time.
fn time(id: Option<StreamId>, now_ms: u64) -> Option<Seconds> {
    let ms = id?.ms;
    (EARLIEST_MS..=now_ms.saturating_add(AHEAD_MS)).contains(&ms).then_some(Seconds(ms as f64 / 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_somebody_chose_is_no_time() {
        let now = 1_700_000_000_000;
        let at = |ms| time(Some(StreamId { ms, seq: 0 }), now).map(|Seconds(s)| s);
        assert_eq!(at(now + 500), Some(1_700_000_000.5));
        assert_eq!(at(1), None);
        assert_eq!(at(now + 2 * AHEAD_MS), None);
        assert_eq!(at(u64::MAX), None);
        assert!(time(None, now).is_none());
    }
}
