//! OpsConductor's messages by their type: those that it publishes are counted each, any other one is told once.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use streamgauge_streams::Entry;
use streamgauge_streams::encoding::opsconductor::known;

use super::job::Job;
use super::stream::Stream;

/// Types that nobody knows and that are told, of one receiver.
const MOST: usize = 100;

/// What one read brought.
#[derive(Debug, Default)]
pub(super) struct Events {
    known: HashMap<&'static str, u64>,
    unknown: u64,
}

/// Types that nobody knows and that were told.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<HashSet<Vec<u8>>>);

impl Strangers {
    /// Whether a type is to be told.
    fn is_new(&self, event_type: &[u8]) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !told.contains(event_type) && told.len() < MOST && told.insert(event_type.to_vec())
    }
}

impl Events {
    /// A message that was decoded.
    pub fn note(&mut self, job: &Job, stream: &Stream, entry: &Entry<'_>) {
        let Some(event_type) = entry.field(b"event_type") else { return };
        if let Some(name) = known(event_type) {
            *self.known.entry(name).or_default() += 1;
            return;
        }
        self.unknown += 1;
        if job.strangers.is_new(event_type) {
            tracing::warn!(
                receiver = %job.host.id(), stream = stream.shown, message_id = %entry.id,
                event_type = %String::from_utf8_lossy(event_type),
                "messages of this type are not known to OpsConductor; they go on as any other"
            );
        }
    }

    /// Counts what the read brought.
    pub fn count(&self, job: &Job) {
        for (event_type, messages) in &self.known {
            job.counters.events(event_type, *messages);
        }
        job.counters.unknown_events.value.add(self.unknown);
    }
}
