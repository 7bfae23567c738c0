//! The far end of the outlets into an exporter.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use streamgauge_component::{
    Batch, BoxFuture, Consumer, DeliverySettings, Exporter, Host, Node, Outcome, Outlet, Reason, Signal,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::dead_letter::DeadLetter;
use crate::disk_queue::DiskQueue;
use crate::dispatcher::Dispatcher;
use crate::fallback::Fallback;
use crate::follower::Follower;
use crate::load::{Account, Load};
use crate::memory::MemoryQueue;
use crate::queue::Queue;
use crate::sender::{Log, Sender};
use crate::stop::Stop;

/// Where data goes that does not go to the exporter's peer.
#[derive(Default)]
pub struct Elsewhere {
    /// What did not get there for good.
    pub dead_letter: Option<Arc<dyn DeadLetter>>,
    /// The other's share, and what fails here: the edge to that exporter.
    pub fallback: Option<Outlet>,
}

/// What stands before one exporter for one signal. It takes batches until it is drained.
pub struct Delivery {
    sender: Arc<Sender>,
    queue: Option<Arc<dyn Queue>>,
    node: Arc<Node>,
    stop: Arc<Stop>,
    /// Gone once a drain has begun.
    open: Mutex<Option<Account>>,
    /// Ends when nothing is under way any more.
    under_way: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

impl Delivery {
    /// Starts the tasks behind the queue, on the current tokio runtime.
    ///
    /// `exporter` is the running instance; `None` while it is down and being made anew. The queue goes on taking
    /// meanwhile, and what it holds waits for the next instance; without a queue senders hear `Retry(component_down)`.
    /// `on_panic` hears of a panic in an attempt before the next attempt is made: whoever supervises the instance can
    /// take it down there. `node` is the exporter's ledger for this signal.
    /// `elsewhere` are the places that the settings name.
    pub fn start(
        signal: Signal,
        settings: DeliverySettings,
        exporter: watch::Receiver<Option<Arc<dyn Exporter>>>,
        on_panic: Arc<dyn Fn(&str) + Send + Sync>,
        host: Host,
        node: Arc<Node>,
        elsewhere: Elsewhere,
    ) -> Arc<Delivery> {
        let DeliverySettings { timeout, retry, queue, breaker, dead_letter: _, fallback } = settings;
        let fallback = fallback.zip(elsewhere.fallback).map(|(told, outlet)| Fallback::new(&told, outlet));
        let stop = Arc::new(Stop::new(queue.enabled && queue.storage.is_some()));
        let (alive, under_way) = mpsc::channel(1);
        let log = Log::new(signal, &host);
        let waits_for_instance = queue.enabled;
        let account = Account { node: node.clone(), _alive: alive };
        let waiting = queue.enabled.then(|| -> Arc<dyn Queue> {
            match &queue.storage {
                Some(storage) => {
                    Arc::new(DiskQueue::new(&queue, storage, signal, &host, stop.clone(), &account))
                }
                None => Arc::new(MemoryQueue::new(&queue, signal, &host, stop.clone())),
            }
        });
        // With neither a queue nor retries nothing could wait behind it.
        let breaker =
            (queue.enabled || retry.enabled).then(|| Breaker::new(&breaker, signal, &host)).flatten();
        let stopping = stop.clone();
        let follower = Follower::nobody();
        let sender = Sender {
            timeout,
            retry,
            breaker,
            dead_letter: elsewhere.dead_letter,
            fallback,
            waits_for_instance,
            exporter,
            on_panic,
            host,
            stop: stopping,
            follower,
            log,
        };
        let sender = Arc::new(sender);
        if let Some(waiting) = &waiting {
            tokio::spawn(Dispatcher::new(&queue, waiting.clone(), sender.clone(), &account).run());
        }
        Arc::new(Delivery {
            sender,
            queue: waiting,
            node,
            stop,
            open: Mutex::new(Some(account)),
            under_way: tokio::sync::Mutex::new(under_way),
        })
    }

    /// Whether what does not get to its peer may go somewhere else.
    pub fn leads_on(&self) -> bool {
        self.sender.dead_letter.is_some() || self.sender.fallback.is_some()
    }

    /// Whatever the queue stands on is running: a queue on disk opens its log now, and sends what an earlier run left.
    pub fn open(&self) {
        if let Some(queue) = &self.queue {
            queue.open();
        }
    }

    /// Returns when the queue is open, or the first try to open it has failed.
    pub async fn tried(&self) {
        if let Some(queue) = &self.queue {
            queue.tried().await;
        }
    }

    /// The stop has begun and ends at `deadline`. The queue still takes what comes, but nobody waits beyond the deadline:
    /// whoever would, hears `Retry(stopping)`. A further call can only bring it closer.
    pub fn stop_by(&self, deadline: Instant) {
        self.stop.at(deadline);
    }

    /// Takes nothing new from now on (`Retry(stopping)`), goes on exporting what it holds until `deadline`, and settles
    /// the rest as `Retry(stopping)`. Returns when nothing is held: the number of items that were not delivered since the
    /// call. A second call can bring the deadline closer.
    pub async fn drain(&self, deadline: Instant) -> u64 {
        let kept = || self.queue.as_ref().map_or(0, |queue| queue.kept());
        let lost = || self.node.dropped.total() + self.node.returned.total();
        let (before, kept_before) = (lost(), kept());
        self.stop_by(deadline);
        self.close();
        // Nothing is ever sent: this is the end of the last load.
        let _ = self.under_way.lock().await.recv().await;
        let kept = kept() - kept_before;
        if kept > 0 {
            let exporter = &**self.sender.host.id();
            tracing::info!(exporter, items = kept, "not delivered in time, and stays on the disk");
        }
        if let Some(queue) = &self.queue {
            queue.finish().await;
        }
        (lost() - before).saturating_sub(kept)
    }

    /// Takes nothing new from now on (`Retry(stopping)`).
    pub fn close(&self) {
        drop(self.lock().take());
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }

    /// Takes nothing new from now on, and gives everything that waits, for its turn or for another attempt, to the delivery
    /// that follows before the same exporter; what still comes goes there too. Attempts under way go on. Drain it then.
    pub fn hand_over(&self, to: &Arc<Delivery>) {
        let place = |delivery: &Delivery| delivery.queue.as_ref().and_then(|queue| queue.place());
        let same_place = place(self).is_some_and(|here| place(to) == Some(here));
        if same_place {
            self.sender.follower.reads_the_same();
            if let (Some(queue), Some(next)) = (&self.queue, &to.queue)
                && let Some(store) = queue.store()
            {
                next.take_over(store);
            }
        }
        self.sender.follower.name(to.clone());
        drop(self.lock().take());
        match &self.queue {
            Some(queue) if same_place => queue.leave(),
            Some(queue) => queue.hand_over(),
            None => {}
        }
    }

    pub(crate) async fn take(&self, batch: Batch) {
        let Some(account) = self.lock().clone() else {
            if let Some(follower) = self.sender.follower.get() {
                return Box::pin(follower.take(batch)).await;
            }
            self.node.returned.add(Reason::Stopping, batch.items() as u64);
            return batch.settle(&Outcome::retry(Reason::Stopping));
        };
        let load = Load::new(batch, account);
        let Some(queue) = &self.queue else { return self.sender.deliver(load).await };
        if let Err(late) = queue.put(load).await
            && let Err(late) = Box::pin(self.sender.follower.take(late)).await
        {
            late.settle(&Outcome::retry(Reason::Stopping));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Account>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer for Delivery {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(self.take(batch))
    }
}
