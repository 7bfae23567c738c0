//! Sending queues on the disk, as people look at them and empty them.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Serialize, Serializer};

/// A queue on the disk of a running collector. See [`Host::stored_queues`](crate::Host::stored_queues).
pub trait StoredQueue: Send + Sync {
    /// Its numbers now.
    fn status(&self) -> QueueStatus;

    /// Drops what waits, for good, and counts it. What is being sent now is dropped if it comes back.
    ///
    /// # Errors
    /// The disk cannot be read; what was dropped before stays dropped.
    fn purge(&self) -> BoxFuture<'_, Result<Purged, String>>;
}

/// Numbers of a queue on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueStatus {
    /// The exporter's id and the signal: `otlp_http/eu/logs`.
    pub queue: String,
    /// The storage's directory.
    pub directory: PathBuf,
    /// Records that wait or are under way.
    pub records: u64,
    /// Spans, data points or log records in them; unknown while there is something of an earlier run that was not counted.
    pub items: Option<u64>,
    /// Bytes that the records take.
    pub bytes: u64,
    /// The number that the next record gets.
    #[serde(skip)]
    pub next: u64,
    /// How long the oldest has been here.
    #[serde(rename = "oldest_seconds", serialize_with = "seconds")]
    pub oldest: Option<Duration>,
    /// Records that are being sent now.
    pub under_way: u64,
    /// Records that were found damaged and set aside since the start.
    pub damaged: u64,
    /// Bytes of disk that the log takes.
    pub allocated: u64,
    /// Bytes of disk that it may take.
    pub quota: u64,
}

/// What a purge dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Records.
    pub records: u64,
    /// Spans, data points or log records in them.
    pub items: u64,
    /// Bytes that the records took.
    pub bytes: u64,
    /// Records that are being sent: they go if they come back.
    pub under_way: u64,
}

fn seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs()).serialize(serializer)
}
