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
    /// The largest id that XDEL has ever deleted, 0-0 when there was none; since Redis 7.0.
    pub max_deleted_id: Option<StreamId>,
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
            max_deleted_id: get(value, "max-deleted-entry-id").and_then(id),
            first_entry: entry("first-entry"),
            last_entry: entry("last-entry"),
            reply_bytes: size(value),
        })
    }
}

/// A group in XINFO GROUPS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// An entry that was delivered and not acknowledged, as XPENDING with a range tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEntry {
    /// The entry; it may be trimmed or deleted meanwhile.
    pub id: StreamId,
    /// Who holds it; empty when it was given back (XNACK, since Redis 8.8).
    pub consumer: Vec<u8>,
    /// Milliseconds since it was delivered last; `None` when it was given back.
    pub idle_ms: Option<u64>,
    /// How often it was delivered. 2^63-1 marks an entry that a consumer declared fatal (XNACK FATAL).
    pub deliveries: u64,
}

impl PendingEntry {
    /// Reads a page. An entry that cannot be read is left out.
    pub fn parse_page(value: &Value) -> Option<Vec<PendingEntry>> {
        Some(items(value)?.iter().filter_map(PendingEntry::parse).collect())
    }

    fn parse(value: &Value) -> Option<PendingEntry> {
        let [entry, consumer, idle, deliveries] = items(value)? else { return None };
        Some(PendingEntry {
            id: id(entry)?,
            consumer: bytes(consumer).unwrap_or_default().to_vec(),
            idle_ms: count(idle),
            deliveries: count(deliveries)?,
        })
    }
}

/// The ids of a page of XRANGE; the payload is not looked at.
pub fn entry_ids(value: &Value) -> Option<Vec<StreamId>> {
    items(value)?.iter().map(|entry| id(items(entry)?.first()?)).collect()
}

fn id(value: &Value) -> Option<StreamId> {
    StreamId::parse(bytes(value)?)
}

#[cfg(test)]
mod tests;
