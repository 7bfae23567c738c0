//! The last place for data that did not get to its peer.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use streamgauge_component::{Context, Reason, Signal};
use streamgauge_pdata::Body;
use streamgauge_pdata::edit::edit_resources;

mod edge;
mod file;

pub use edge::DeadLetterEdge;
pub use file::DeadLetterFile;

/// Takes what did not get to its peer.
#[async_trait]
pub trait DeadLetter: Send + Sync {
    /// Takes a letter or says that it cannot.
    async fn bury(&self, letter: &Letter) -> Burial;
}

/// Data that did not get to its peer.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Id of the exporter that it was meant for.
    pub exporter: Arc<str>,
    /// What the parts hold.
    pub signal: Signal,
    /// Where the first part came from.
    pub context: Arc<Context>,
    /// One `Export*ServiceRequest` each, with its items.
    pub parts: Vec<(Bytes, usize)>,
    /// Why it did not get there.
    pub reason: Reason,
    /// The same for a person.
    pub detail: Arc<str>,
    /// When it was given up.
    pub time: SystemTime,
}

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Burial {
    /// It is held: it has left the exporter, and whoever holds it has counted that on an edge.
    Held,
    /// It has left the exporter, and was given back or refused where it went: it is counted there.
    Returned,
    /// It is not held, for this reason; the exporter has it still.
    Refused(String),
}

impl Letter {
    /// Spans, data points or log records.
    pub fn items(&self) -> usize {
        self.parts.iter().map(|(_, items)| items).sum()
    }

    /// Encoded size.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(bytes, _)| bytes.len()).sum()
    }

    /// A part with the circumstances as resource attributes. One that cannot be read stays as it is.
    fn stamped(&self, part: &Bytes) -> Bytes {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        let mut stamped = Body::from(part.clone());
        let _malformed = edit_resources(self.signal, &mut stamped, |resource| {
            resource.upsert("streamgauge.dead_letter.exporter", &*self.exporter);
            resource.upsert("streamgauge.dead_letter.reason", self.reason.as_str());
            resource.upsert("streamgauge.dead_letter.detail", &*self.detail);
            resource.upsert("streamgauge.dead_letter.time_unix_nano", time);
        });
        stamped.into()
    }
}
