//! What XINFO and XPENDING say about streams. A nil stays `None`.

use redis::Value;

use crate::id::StreamId;
use crate::reply::{bytes, count, get, items, size};

/// XINFO STREAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Entries in the stream.
    pub length: u64,
    /// Consumer groups.
    pub groups: Option<u64>,
    /// The id of the entry that was added last, even when it is gone.
    pub last_generated_id: Option<StreamId>,
    /// Entries that were ever added; since Redis 7.0.
    pub entries_added: Option<u64>,
    /// The oldest entry; `None` when the stream is empty.
    pub first_entry: Option<StreamId>,
    /// The youngest entry; `None` when the stream is empty.
    pub last_entry: Option<StreamId>,
    /// Size of the reply in bytes, nearly all of it the payload of these two entries.
    pub reply_bytes: usize,
}

impl StreamInfo {
    /// Reads a reply; `None` when it is something else.
    pub fn parse(value: &Value) -> Option<StreamInfo> {
        let entry = |key| get(value, key).and_then(items).and_then(|entry| id(entry.first()?));
        Some(StreamInfo {
            length: get(value, "length").and_then(count)?,
            groups: get(value, "groups").and_then(count),
            last_generated_id: get(value, "last-generated-id").and_then(id),
            entries_added: get(value, "entries-added").and_then(count),
            first_entry: entry("first-entry"),
            last_entry: entry("last-entry"),
            reply_bytes: size(value),
        })
    }
}

/// A group in XINFO GROUPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// Its name.
    pub name: Vec<u8>,
    /// Consumers that the group knows.
    pub consumers: u64,
    /// Entries that were delivered and not acknowledged.
    pub pending: u64,
    /// The id of the entry that was delivered last.
    pub last_delivered_id: Option<StreamId>,
    /// Entries that were read, by the server's count; `None` when it does not know.
    pub entries_read: Option<u64>,
    /// Entries that are still to be delivered; `None` when the server does not know.
    pub lag: Option<u64>,
}

impl GroupInfo {
    /// Reads a reply. A group that cannot be read is left out.
    pub fn parse_all(value: &Value) -> Option<Vec<GroupInfo>> {
        Some(items(value)?.iter().filter_map(GroupInfo::parse).collect())
    }

    fn parse(value: &Value) -> Option<GroupInfo> {
        Some(GroupInfo {
            name: bytes(get(value, "name")?)?.to_vec(),
            consumers: get(value, "consumers").and_then(count)?,
            pending: get(value, "pending").and_then(count)?,
            last_delivered_id: get(value, "last-delivered-id").and_then(id),
            entries_read: get(value, "entries-read").and_then(count),
            lag: get(value, "lag").and_then(count),
        })
    }
}

/// A consumer in XINFO CONSUMERS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// Its name.
    pub name: Vec<u8>,
    /// Entries that it holds unacknowledged.
    pub pending: u64,
    /// Milliseconds since it last tried to do something.
    pub idle_ms: Option<u64>,
    /// Milliseconds since it last did something; since Redis 7.2, and `None` when it never did.
    pub inactive_ms: Option<u64>,
}

impl ConsumerInfo {
    /// Reads a reply. A consumer that cannot be read is left out.
    pub fn parse_all(value: &Value) -> Option<Vec<ConsumerInfo>> {
        Some(items(value)?.iter().filter_map(ConsumerInfo::parse).collect())
    }

    fn parse(value: &Value) -> Option<ConsumerInfo> {
        Some(ConsumerInfo {
            name: bytes(get(value, "name")?)?.to_vec(),
            pending: get(value, "pending").and_then(count)?,
            idle_ms: get(value, "idle").and_then(count),
            inactive_ms: get(value, "inactive").and_then(count),
        })
    }
}

/// XPENDING without a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSummary {
    /// Entries that were delivered and not acknowledged.
    pub count: u64,
    /// The oldest of them; `None` when there is none.
    pub oldest: Option<StreamId>,
}

impl PendingSummary {
    /// Reads a reply, of the summary or of the first page `- + 1`.
    pub fn parse(value: &Value) -> Option<PendingSummary> {
        match items(value)? {
            [number, first, _, _] if !matches!(number, Value::Array(_)) => {
                Some(PendingSummary { count: count(number)?, oldest: id(first) })
            }
            page => Some(PendingSummary {
                count: page.len() as u64,
                oldest: page.first().and_then(items).and_then(|entry| id(entry.first()?)),
            }),
        }
    }
}

fn id(value: &Value) -> Option<StreamId> {
    StreamId::parse(bytes(value)?)
}

#[cfg(test)]
mod tests;
