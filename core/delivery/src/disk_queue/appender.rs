//! The one task that appends to a log: what it appends lands in the order of the records' numbers, also when whoever sent
//! it has gone meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use streamgauge_component::storage::{RecordId, StorageError};
use streamgauge_component::stored;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::store::Core;
use crate::load::Load;

/// How often the gauges are read.
const GAUGES: Duration = Duration::from_secs(1);

/// A load that is to be a record. Refused, it comes back.
pub(super) struct Entry {
    pub(super) load: Load,
    pub(super) done: oneshot::Sender<Result<(), (Load, StorageError)>>,
}

pub(super) struct Appender {
    core: Arc<Core>,
    inlet: mpsc::UnboundedReceiver<Entry>,
}

impl Appender {
    pub(super) fn new(core: Arc<Core>, inlet: mpsc::UnboundedReceiver<Entry>) -> Self {
        Appender { core, inlet }
    }

    /// Runs until the store is gone and all is written.
    pub(super) async fn run(mut self) {
        let mut under_way: FuturesOrdered<BoxFuture<'static, (Entry, Result<RecordId, StorageError>)>> =
            FuturesOrdered::new();
        let mut gauges = interval(GAUGES);
        gauges.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        while open || !under_way.is_empty() {
            tokio::select! {
                biased;
                Some((entry, result)) = under_way.next() => self.finish(entry, result),
                entry = self.inlet.recv(), if open => match entry {
                    Some(entry) => {
                        let core = self.core.clone();
                        under_way.push_back(Box::pin(async move {
                            let result = core.log.append(stored(entry.load.batch())).await;
                            (entry, result)
                        }));
                    }
                    None => open = false,
                },
                _ = gauges.tick() => self.core.gauges.read(&self.core),
            }
        }
    }

    fn finish(&self, entry: Entry, result: Result<RecordId, StorageError>) {
        let Entry { load, done } = entry;
        match result {
            Ok(id) => {
                self.core.land(id, load.into_batch());
                let _ = done.send(Ok(())); // whoever sent it may have gone
            }
            Err(error) => {
                self.core.turn_away(load.batch());
                let _ = done.send(Err((load, error)));
            }
        }
    }
}
