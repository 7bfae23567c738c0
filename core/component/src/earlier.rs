//! What the ledger of an earlier run knows of the queues on the disk, for these queues when they open.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

/// How long a queue waits to be told: the ledger stands on the same disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// A queue on the disk as an earlier run's ledger last saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownQueue {
    /// The number that its next record was to get: the ledger had met all below.
    pub next: u64,
    /// Items in it.
    pub held: u64,
}

/// Told once, where there is a ledger that outlives the process; else nothing is known of any queue.
#[derive(Debug)]
pub struct Earlier(watch::Sender<Option<HashMap<String, KnownQueue>>>);

impl Default for Earlier {
    fn default() -> Self {
        Earlier(watch::Sender::new(Some(HashMap::new())))
    }
}

impl Earlier {
    /// What names a queue: its storage's directory, and its log.
    pub fn key(directory: &Path, log: &str) -> String {
        format!("{}: {log}", directory.display())
    }

    /// Somebody is going to tell.
    pub fn expect(&self) {
        self.0.send_replace(None);
    }

    /// Tells, by [`Earlier::key`].
    pub fn tell(&self, queues: HashMap<String, KnownQueue>) {
        self.0.send_replace(Some(queues));
    }

    /// What is known of a queue, to the first who asks; waits a moment while it is not told yet.
    pub async fn take(&self, key: &str) -> Option<KnownQueue> {
        let mut told = self.0.subscribe();
        let _ = tokio::time::timeout(PATIENCE, told.wait_for(Option::is_some)).await;
        let mut known = None;
        self.0.send_if_modified(|queues| {
            known = queues.as_mut().and_then(|queues| queues.remove(key));
            false
        });
        known
    }
}
