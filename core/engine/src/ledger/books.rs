//! The ledger of all runs: read from a storage at the start, written to it now and then, and at the stop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use streamgauge_component::{Earlier, Host, Registry, StoredQueue};
use streamgauge_storage::Cell;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::Ledger;
use super::saved::{Mark, Saved};

/// A kill forgets what was counted since the last writing: no more than this.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// How often an extension is looked for that is configured and has not started yet.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// A disk that does not answer holds up no stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// The ledger, of this run and, where there is a storage, of those before.
pub struct Books {
    registry: Arc<Registry>,
    /// Id of the extension that stores it.
    storage: watch::Sender<Option<String>>,
    /// Of the runs before this one; `None` until it is read, and without a storage.
    past: Mutex<Option<Saved>>,
    /// What was last written. Held while it is: one at a time.
    written: tokio::sync::Mutex<Vec<u8>>,
}

/// What has to outlive the extensions, so that the last numbers can be written.
pub struct LastWrite {
    cell: Cell,
    queues: Vec<Arc<dyn StoredQueue>>,
}

impl Books {
    /// The counters of a process whose storage, if any, has this id. Queues on the disk wait a moment to be told of earlier runs.
    pub fn new(registry: Arc<Registry>, storage: Option<String>) -> Arc<Books> {
        if storage.is_some() {
            registry.earlier().expect();
        }
        Arc::new(Books {
            registry,
            storage: watch::Sender::new(storage),
            past: Mutex::default(),
            written: tokio::sync::Mutex::default(),
        })
    }

    /// Another configuration has another storage, or none. What was read stays.
    pub fn set_storage(&self, storage: Option<String>) {
        self.storage.send_replace(storage);
    }

    /// The ledger now.
    pub fn ledger(&self) -> Ledger {
        let all = lock(&self.past).as_ref().map(|past| past.with(&self.registry));
        all.map_or_else(|| Ledger::read(&self.registry), Saved::ledger)
    }

    /// Reads, then writes again and again until it is told to end.
    pub async fn keep(self: Arc<Self>, host: Host, mut end: oneshot::Receiver<()>) {
        let mut storage = self.storage.subscribe();
        loop {
            tokio::select! {
                _ = storage.wait_for(Option::is_some) => {}
                _ = &mut end => return,
            }
            let Err(pause) = self.read(&host).await else { break };
            tokio::select! {
                () = sleep(pause) => {}
                _ = &mut end => return,
            }
        }
        loop {
            tokio::select! {
                () = sleep(WRITE_EVERY) => {}
                _ = &mut end => return,
            }
            let queues = host.stored_queues();
            if let Some(cell) = self.cell(&host) {
                self.write(&cell, &queues).await;
            }
        }
    }

    /// Learns the past, or says when to try again.
    async fn read(&self, host: &Host) -> Result<(), Duration> {
        let cell = self.cell(host).ok_or(ASK_EVERY)?;
        let past = match cell.read().await {
            Ok(None) => None,
            Ok(Some(stored)) => match serde_json::from_slice::<Saved>(&stored) {
                Ok(mut past) => {
                    past.ended();
                    Some(past)
                }
                Err(error) => {
                    tracing::error!(%error, "the ledger of earlier runs cannot be read: it begins anew");
                    None
                }
            },
            Err(error) => {
                tracing::error!(%error, "the ledger of earlier runs cannot be read: it is tried again");
                return Err(WRITE_EVERY);
            }
        };
        let past = past.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Saved::new(now.as_secs())
        });
        let known = past.known();
        *lock(&self.past) = Some(past);
        self.registry.earlier().tell(known);
        Ok(())
    }

    fn cell(&self, host: &Host) -> Option<Cell> {
        let id = self.storage.borrow().clone()?;
        Some(host.storage(&id).ok()?.cell(Saved::CELL))
    }

    /// Before the extensions stop: what [`Books::close`] needs.
    pub fn last_write(&self, host: &Host) -> Option<LastWrite> {
        Some(LastWrite { cell: self.cell(host)?, queues: host.stored_queues() })
    }

    /// Writes the last numbers.
    pub async fn close(&self, last: Option<LastWrite>) {
        if let Some(LastWrite { cell, queues }) = last
            && timeout(PATIENCE, self.write(&cell, &queues)).await.is_err()
        {
            tracing::warn!("the ledger was not written in time: the next run goes on from an earlier one");
        }
    }

    async fn write(&self, cell: &Cell, queues: &[Arc<dyn StoredQueue>]) {
        let marks = queues.iter().map(|queue| {
            let status = queue.status();
            let log = format!("exporter/{}", status.queue);
            (Earlier::key(&status.directory, &log), Mark { queue: status.queue, next: status.next })
        });
        let marks: Vec<(String, Mark)> = marks.collect();
        let stored = {
            let mut past = lock(&self.past);
            let Some(past) = past.as_mut() else { return };
            // Also of queues that are closed since.
            past.queues.extend(marks);
            match serde_json::to_vec(&past.with(&self.registry)) {
                Ok(stored) => stored,
                Err(_) => return,
            }
        };
        let mut written = self.written.lock().await;
        if *written == stored {
            return;
        }
        match cell.write(stored.clone()).await {
            Ok(()) => *written = stored,
            Err(error) => {
                tracing::warn!(%error, "the ledger is not stored: the next run goes on from an earlier one")
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Books({:?})", *self.storage.borrow())
    }
}

#[cfg(test)]
mod tests;
