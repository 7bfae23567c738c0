//! How much may be on its way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use streamgauge_streams::StreamId;
use tokio::sync::Notify;

use super::part::Run;
use super::stream::Stream;

/// Entries and bytes that are read and not acknowledged.
#[derive(Debug)]
pub(super) struct Bound {
    most_entries: usize,
    most_bytes: usize,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    /// Entries that reads which are under way may bring.
    reserved: AtomicUsize,
    freed: Notify,
}

impl Bound {
    pub fn new(most_entries: usize, most_bytes: usize) -> Self {
        Bound {
            most_entries,
            most_bytes,
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// Entries there is room for when each has so many bytes; `share` of the whole is all that may be taken, from 0 to 1.
    pub fn room(&self, each: usize, share: f64) -> usize {
        let most = |most: usize| (most as f64 * share) as usize;
        let reserved = self.reserved.load(Ordering::Relaxed);
        let entries = most(self.most_entries).saturating_sub(self.entries() + reserved);
        let bytes = most(self.most_bytes).saturating_sub(self.bytes() + reserved * each);
        entries.min(bytes.div_ceil(each.max(1)))
    }

    /// Keeps room for entries that may come, as long as the value lives.
    pub fn reserve(self: &Arc<Self>, entries: usize) -> Reserved {
        self.reserved.fetch_add(entries, Ordering::Relaxed);
        Reserved { bound: self.clone(), entries }
    }

    /// Waits until something was given back.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    pub fn take(&self, entries: usize, bytes: usize) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn give_back(&self, entries: usize, bytes: usize) {
        self.entries.fetch_sub(entries, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.freed.notify_waiters();
    }

    pub fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Room for entries that may come.
#[derive(Debug)]
pub(super) struct Reserved {
    bound: Arc<Bound>,
    entries: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.bound.reserved.fetch_sub(self.entries, Ordering::Relaxed);
        self.bound.freed.notify_waiters();
    }
}

#[derive(Debug, Default)]
struct Held {
    last: u64,
    runs: HashMap<u64, Arc<[Run]>>,
}

/// What this process has in hand of one consumer's pending entries: whoever reads the pending list again, after a lost
/// connection or as the instance that a reload has put beside this one, leaves them alone.
#[derive(Debug)]
pub(super) struct Hands {
    /// What the heartbeats of this consumer say: another one in each process.
    pub token: String,
    /// Instances of the receiver that share it.
    members: AtomicUsize,
    held: Mutex<Held>,
}

impl Hands {
    pub fn new(token: String) -> Self {
        Hands { token, members: AtomicUsize::new(0), held: Mutex::default() }
    }

    /// An instance begins.
    pub fn join(&self) {
        self.members.fetch_add(1, Ordering::Relaxed);
    }

    /// An instance has ended.
    pub fn leave(&self) {
        self.members.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no other instance goes on under this consumer's name.
    pub fn is_last(&self) -> bool {
        self.members.load(Ordering::Relaxed) <= 1
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of a stream that are in hand.
    pub fn ids(&self, stream: &Stream) -> std::collections::HashSet<StreamId> {
        let held = self.lock();
        let runs = held.runs.values().flat_map(|runs| runs.iter());
        let same = runs.filter(|run| run.stream.name == stream.name && run.stream.group == stream.group);
        same.flat_map(|run| run.taken.iter().map(|taken| taken.id)).collect()
    }
}

/// A hold on entries: room in the bound, and a place among what is in hand. Ends with the value.
#[derive(Debug)]
pub(super) struct Grip {
    bound: Arc<Bound>,
    hands: Arc<Hands>,
    number: u64,
    entries: usize,
    bytes: usize,
}

impl Grip {
    pub fn new(bound: &Arc<Bound>, hands: &Arc<Hands>, runs: &Arc<[Run]>, bytes: usize) -> Self {
        let entries = runs.iter().map(|run| run.taken.len()).sum();
        bound.take(entries, bytes);
        let mut held = hands.lock();
        held.last += 1;
        let number = held.last;
        held.runs.insert(number, runs.clone());
        drop(held);
        Grip { bound: bound.clone(), hands: hands.clone(), number, entries, bytes }
    }

    /// The same hold on some of its entries.
    pub fn on(&self, runs: &Arc<[Run]>, bytes: usize) -> Self {
        Grip::new(&self.bound, &self.hands, runs, bytes)
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.hands.lock().runs.remove(&self.number);
        self.bound.give_back(self.entries, self.bytes);
    }
}
