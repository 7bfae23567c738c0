//! What people see of a queue on disk, and how they empty it.

use std::sync::atomic::Ordering;

use streamgauge_component::storage::Record;
use streamgauge_component::{BoxFuture, Purged, QueueStatus, Reason, StoredQueue, restored};

use super::store::Core;

impl StoredQueue for Core {
    fn status(&self) -> QueueStatus {
        let stats = self.log.stats();
        let state = self.lock();
        QueueStatus {
            queue: format!("{}/{}", self.host.id(), self.node.signal.name()),
            directory: self.directory.clone(),
            records: stats.records,
            items: self.items_known.load(Ordering::Relaxed).then_some(state.items),
            bytes: stats.bytes,
            next: self.log.next_number(),
            oldest: stats.oldest,
            under_way: state.in_flight.len() as u64,
            damaged: stats.damaged_records,
            allocated: stats.allocated,
            quota: stats.quota,
        }
    }

    fn purge(&self) -> BoxFuture<'_, Result<Purged, String>> {
        Box::pin(async {
            let last = {
                let mut state = self.lock();
                state.purged = state.landed;
                state.landed
            };
            let mut purged = Purged::default();
            let mut reader = self.log.reader();
            let result = loop {
                match reader.try_next().await {
                    Ok(Some(record)) if record.id.number() <= last => self.purge_one(&record, &mut purged),
                    Ok(_) => break Ok(()),
                    Err(error) => break Err(error.to_string()),
                }
            };
            purged.under_way = self.lock().in_flight.iter().filter(|number| **number <= last).count() as u64;
            self.changed.notify_one();
            self.room.notify_waiters();
            let (queue, Purged { records, items, bytes, under_way }) = (self.log.name(), purged);
            tracing::warn!(queue, records, items, bytes, under_way, "the queue was purged");
            result.map(|()| purged)
        })
    }
}

impl Core {
    fn purge_one(&self, record: &Record, purged: &mut Purged) {
        let items = match restored(&record.payload) {
            Ok(batch) => {
                if !self.drop_one(record, &batch, Reason::Purged) {
                    return;
                }
                batch.items() as u64
            }
            // Of what cannot be read nobody knows the items; it stands with what is under way.
            Err(_) => {
                let mut state = self.lock();
                if !self.log.settle(record.id) {
                    return;
                }
                if !state.in_flight.remove(&record.id.number()) {
                    state.waiting = state.waiting.saturating_sub(1);
                }
                0
            }
        };
        purged.records += 1;
        purged.items += items;
        purged.bytes += record.id.bytes();
    }
}
