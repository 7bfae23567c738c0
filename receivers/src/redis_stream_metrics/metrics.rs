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

/// Rows of [`METRICS`].
pub(crate) const LENGTH: usize = 0;
pub(crate) const ENTRIES_ADDED: usize = 1;
pub(crate) const GROUPS: usize = 2;
pub(crate) const FIRST_ENTRY_TIME: usize = 3;
pub(crate) const LAST_ENTRY_TIME: usize = 4;
pub(crate) const LAG: usize = 5;
pub(crate) const LAG_QUALITY: usize = 6;
pub(crate) const PENDING: usize = 7;
pub(crate) const OLDEST_PENDING_AGE: usize = 8;
pub(crate) const CONSUMERS: usize = 9;
pub(crate) const ENTRIES_READ: usize = 10;
pub(crate) const LAST_DELIVERED_TIME: usize = 11;
pub(crate) const CONSUMER_PENDING: usize = 12;
pub(crate) const CONSUMER_IDLE: usize = 13;
pub(crate) const DETAIL_AGE: usize = 14;

/// All metrics.
#[rustfmt::skip]
pub(crate) static METRICS: &[Metric] = &[
    metric("redis.stream.length", Kind::Gauge, "{entry}", STREAM, "Entries in the stream"),
    metric("redis.stream.entries_added", COUNTER, "{entry}", STREAM, "Entries that were ever added; since Redis 7.0"),
    metric("redis.stream.groups", Kind::Gauge, "{group}", STREAM, "Consumer groups of the stream, watched or not"),
    metric("redis.stream.first_entry_time", Kind::Gauge, "s", STREAM, "Time of the oldest entry, seconds since 1970, from its id"),
    metric("redis.stream.last_entry_time", Kind::Gauge, "s", STREAM, "Time of the youngest entry, seconds since 1970, from its id"),
    metric("redis.stream.group.lag", Kind::Gauge, "{entry}", GROUP, "Entries that are still to be delivered to the group; absent when nobody knows"),
    metric("redis.stream.group.lag_quality", Kind::Gauge, "", GROUP, "Where the lag is from: 0 unknown, 1 estimated, 2 bounded, 3 exact, 4 server"),
    metric("redis.stream.group.pending", Kind::Gauge, "{entry}", GROUP, "Entries that were delivered and not acknowledged"),
    metric("redis.stream.group.oldest_pending_age", Kind::Gauge, "s", GROUP, "Time since the oldest unacknowledged entry was added; absent when nothing is pending"),
    metric("redis.stream.group.consumers", Kind::Gauge, "{consumer}", GROUP, "Consumers that the group knows"),
    metric("redis.stream.group.entries_read", COUNTER, "{entry}", GROUP, "Entries that the group has read; absent when the server does not know"),
    metric("redis.stream.group.last_delivered_time", Kind::Gauge, "s", GROUP, "Time of the entry that was delivered last, seconds since 1970, from its id"),
    metric("redis.stream.consumer.pending", Kind::Gauge, "{entry}", CONSUMER, "Entries that the consumer holds unacknowledged"),
    metric("redis.stream.consumer.idle", Kind::Gauge, "s", CONSUMER, "Time since the consumer last asked for or claimed something; in rounds that ask for it"),
    metric("redis.stream.detail_age", Kind::Gauge, "s", STREAM, "Time since the oldest of what is told besides XLEN and XINFO GROUPS was asked for"),
];
