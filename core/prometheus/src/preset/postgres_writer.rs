//! What the postgres-writer tells of the streams it reads, seen from the server: of one consumer group.

use super::From::Attribute;
use super::{COUNTER, GAUGE, Label, Row, Table, label, row};

pub(super) static TABLE: Table = Table { replaces: false, rows: ROWS, ratios: &[], labels: &[] };

const STREAM: &[Label] = &[label("stream_name", Attribute("stream"))];

static ROWS: &[Row] = &[
    row("redis.stream.group.lag", "stream_lag", GAUGE, STREAM),
    row("redis.stream.group.pending", "stream_pending_messages", GAUGE, STREAM),
    row("redis.stream.group.last_delivered_time", "stream_last_message_timestamp", GAUGE, STREAM),
    row("redis.stream.group.entries_read", "stream_messages_consumed_total", COUNTER, STREAM),
    row("redis.stream.group.claimed", "stream_messages_claimed_total", COUNTER, STREAM),
    row("redis.stream.group.batch", "stream_batch_size", GAUGE, STREAM),
];
