//! Every metric, declared once.

use std::sync::LazyLock;

use crate::scrape::table::{Kind, Metric, Since, Table};

/// The receiver's table.
#[derive(Debug)]
pub struct StreamMetrics;

impl Table for StreamMetrics {
    #[allow(private_interfaces)]
    fn metrics() -> impl Iterator<Item = &'static Metric> {
        METRICS.iter()
    }

    fn names() -> &'static [&'static str] {
        static NAMES: LazyLock<Vec<&'static str>> =
            LazyLock::new(|| METRICS.iter().map(|m| m.name).collect());
        &NAMES
    }
}

const STREAM: &[&str] = &["db", "stream"];
const GROUP: &[&str] = &["db", "stream", "group"];
const DELIVERIES: &[&str] = &["db", "stream", "group", "deliveries"];
const IDLE: &[&str] = &["db", "stream", "group", "idle"];
const ENTRY: &[&str] = &["db", "stream", "group", "entry"];
const STATE_AND_REASON: &[&str] = &["db", "stream", "group", "state", "reason"];
const CONSUMER: &[&str] = &["db", "stream", "group", "consumer"];
const COUNTER: Kind = Kind::Counter(Since::Series);

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    attributes: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { name, unit, kind, enabled: true, attributes, about }
}

/// One that must be asked for.
const fn off(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    attributes: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric { enabled: false, ..metric(name, kind, unit, attributes, about) }
}

/// Rows of [`METRICS`].
pub(crate) const LENGTH: usize = 0;
pub(crate) const ENTRIES_ADDED: usize = 1;
pub(crate) const GROUPS: usize = 2;
pub(crate) const FIRST_ENTRY_TIME: usize = 3;
pub(crate) const LAST_ENTRY_TIME: usize = 4;
pub(crate) const RATE_IN: usize = 5;
pub(crate) const RATE_REMOVED: usize = 6;
pub(crate) const DETAIL_AGE: usize = 7;
pub(crate) const LAG: usize = 8;
pub(crate) const LAG_QUALITY: usize = 9;
pub(crate) const LAG_LEAST: usize = 10;
pub(crate) const LAG_TIME: usize = 11;
pub(crate) const LAG_TIME_QUALITY: usize = 12;
pub(crate) const SKIPPED: usize = 13;
pub(crate) const RATE_OUT: usize = 14;
pub(crate) const ACK_RATE: usize = 15;
pub(crate) const VELOCITY: usize = 16;
pub(crate) const ETA: usize = 17;
pub(crate) const HEADROOM: usize = 18;
pub(crate) const PENDING: usize = 19;
pub(crate) const OLDEST_PENDING_AGE: usize = 20;
pub(crate) const OLDEST_PENDING_IDLE: usize = 21;
pub(crate) const PENDING_SEEN: usize = 22;
pub(crate) const PENDING_BY_DELIVERIES: usize = 23;
pub(crate) const PENDING_BY_IDLE: usize = 24;
pub(crate) const POISON: usize = 25;
pub(crate) const POISON_DELIVERIES: usize = 26;
pub(crate) const DANGLING: usize = 27;
pub(crate) const CONSUMERS: usize = 28;
pub(crate) const CONSUMERS_ACTIVE: usize = 29;
pub(crate) const CONSUMERS_NEEDED: usize = 30;
pub(crate) const CONSUMERS_NEEDED_CONFIDENCE: usize = 31;
pub(crate) const ENTRIES_READ: usize = 32;
pub(crate) const LAST_DELIVERED_TIME: usize = 33;
pub(crate) const STATE: usize = 34;
pub(crate) const PRESENT: usize = 35;
pub(crate) const CONSUMER_PENDING: usize = 36;
pub(crate) const CONSUMER_IDLE: usize = 37;
pub(crate) const CONSUMER_INACTIVE: usize = 38;
pub(crate) const CONSUMER_SHARE: usize = 39;
pub(crate) const CONSUMER_SCORE: usize = 40;
pub(crate) const CLAIMED: usize = 41;
pub(crate) const BATCH: usize = 42;

/// All metrics.
#[rustfmt::skip]
pub(crate) static METRICS: &[Metric] = &[
    metric("redis.stream.length", Kind::Gauge, "{entry}", STREAM, "Entries in the stream"),
    metric("redis.stream.entries_added", COUNTER, "{entry}", STREAM, "Entries that were ever added; since Redis 7.0"),
    metric("redis.stream.groups", Kind::Gauge, "{group}", STREAM, "Consumer groups of the stream, watched or not"),
    metric("redis.stream.first_entry_time", Kind::Gauge, "s", STREAM, "Time of the oldest entry, seconds since 1970, from its id"),
    metric("redis.stream.last_entry_time", Kind::Gauge, "s", STREAM, "Time of the youngest entry, seconds since 1970, from its id"),
    metric("redis.stream.rate_in", Kind::Gauge, "{entry}/s", STREAM, "Entries added a second; since Redis 7.0"),
    metric("redis.stream.rate_removed", Kind::Gauge, "{entry}/s", STREAM, "Entries trimmed or deleted a second; since Redis 7.0"),
    metric("redis.stream.detail_age", Kind::Gauge, "s", STREAM, "Time since the oldest of what is told besides XLEN and XINFO GROUPS was asked for"),
    metric("redis.stream.group.lag", Kind::Gauge, "{entry}", GROUP, "Entries that are still to be delivered to the group; absent when nobody knows"),
    metric("redis.stream.group.lag_quality", Kind::Gauge, "", GROUP, "Where the lag is from: 0 unknown, 1 estimated, 2 bounded, 3 exact, 4 server"),
    metric("redis.stream.group.lag_least", Kind::Gauge, "{entry}", GROUP, "The lag is no less than this; where its quality is 1 or 2"),
    metric("redis.stream.group.lag_time", Kind::Gauge, "s", GROUP, "Time since the oldest entry that is still to be delivered was added, from its id; 0 when there is none"),
    metric("redis.stream.group.lag_time_quality", Kind::Gauge, "", GROUP, "Where the lag time is from: 0 unknown, 2 bounded (from the entry before), 3 exact"),
    metric("redis.stream.group.skipped", COUNTER, "{entry}", GROUP, "Entries that were trimmed or deleted before the group had read them; since Redis 7.0"),
    metric("redis.stream.group.rate_out", Kind::Gauge, "{entry}/s", GROUP, "Entries delivered to the group a second; since Redis 7.0"),
    metric("redis.stream.group.ack_rate", Kind::Gauge, "{entry}/s", GROUP, "Entries acknowledged a second: those delivered less those that became pending"),
    metric("redis.stream.group.velocity", Kind::Gauge, "{entry}/s", GROUP, "Change of the lag in a second; the group catches up below 0"),
    metric("redis.stream.group.eta", Kind::Gauge, "s", GROUP, "Time until the group has caught up at this rate; infinite when it does not"),
    metric("redis.stream.group.headroom", Kind::Gauge, "s", GROUP, "Time until unread entries are trimmed, if the group stood still from now on; absent while nothing is trimmed"),
    metric("redis.stream.group.pending", Kind::Gauge, "{entry}", GROUP, "Entries that were delivered and not acknowledged"),
    metric("redis.stream.group.oldest_pending_age", Kind::Gauge, "s", GROUP, "Time since the oldest unacknowledged entry was added; absent when nothing is pending"),
    metric("redis.stream.group.oldest_pending_idle", Kind::Gauge, "s", GROUP, "Time since the oldest unacknowledged entry was delivered last"),
    metric("redis.stream.group.pending_seen", Kind::Gauge, "{entry}", GROUP, "Pending entries that the metrics below stand on: all of them after one walk through the list"),
    metric("redis.stream.group.pending_by_deliveries", Kind::Gauge, "{entry}", DELIVERIES, "Pending entries by how often they were delivered: 1, 2, 3-4, 5-9, 10+; empty bands are absent"),
    metric("redis.stream.group.pending_by_idle", Kind::Gauge, "{entry}", IDLE, "Pending entries by the time since their last delivery: <1s, <10s, <1m, <10m, <1h, >=1h; empty bands are absent"),
    metric("redis.stream.group.poison", Kind::Gauge, "{entry}", GROUP, "Pending entries that were delivered `poison_deliveries` times or more"),
    metric("redis.stream.group.poison_deliveries", Kind::Gauge, "{delivery}", ENTRY, "Deliveries of the five entries that were delivered most often, of those"),
    metric("redis.stream.group.dangling", Kind::Gauge, "{entry}", GROUP, "Pending entries that are older than everything left in the stream: they cannot be read again"),
    metric("redis.stream.group.consumers", Kind::Gauge, "{consumer}", GROUP, "Consumers that the group knows"),
    metric("redis.stream.group.consumers_active", Kind::Gauge, "{consumer}", GROUP, "Consumers that have asked for something within `states.stop_after`"),
    metric("redis.stream.group.consumers_needed", Kind::Gauge, "{consumer}", GROUP, "Consumers that what comes in would keep busy for 80 % of their time; told while entries always wait"),
    metric("redis.stream.group.consumers_needed_confidence", Kind::Gauge, "1", GROUP, "How sure that is, from 0 to 1"),
    metric("redis.stream.group.entries_read", COUNTER, "{entry}", GROUP, "Entries that the group has read; absent when the server does not know"),
    metric("redis.stream.group.last_delivered_time", Kind::Gauge, "s", GROUP, "Time of the entry that was delivered last, seconds since 1970, from its id"),
    metric("redis.stream.group.state", Kind::Gauge, "", STATE_AND_REASON, "1 for the state of the group, with the reason in words"),
    metric("redis.stream.group.present", Kind::Gauge, "", GROUP, "1 when a group that the settings name is in a stream that they name, else 0"),
    metric("redis.stream.consumer.pending", Kind::Gauge, "{entry}", CONSUMER, "Entries that the consumer holds unacknowledged"),
    metric("redis.stream.consumer.idle", Kind::Gauge, "s", CONSUMER, "Time since the consumer last asked for or claimed something; in rounds that ask for it"),
    metric("redis.stream.consumer.inactive", Kind::Gauge, "s", CONSUMER, "Time since the consumer last got something, in rounds that ask for it; since Redis 7.2"),
    off("redis.stream.consumer.share", Kind::Gauge, "1", CONSUMER, "The consumer's part of the group's pending entries, from 0 to 1"),
    off("redis.stream.consumer.score", Kind::Gauge, "", CONSUMER, "How well the consumer does its part, from 0 to 100, in rounds that ask for it; 100 while there is nothing to do"),
    off("redis.stream.group.claimed", COUNTER, "{entry}", GROUP, "Entries that went from one consumer of the group to another (XCLAIM, XAUTOCLAIM) while it is watched: no less than this"),
    off("redis.stream.group.batch", Kind::Gauge, "{entry}", GROUP, "Entries that the consumer who got some last holds unacknowledged: the batch in work"),
];
