//! From the queue to the workers.

use std::sync::Arc;
use std::time::Instant;

use streamgauge_component::{Batch, Held, JoinRules, Joiner, QueueSettings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep_until;

use crate::load::{Account, Load};
use crate::queue::Queue;
use crate::sender::Sender;

/// Takes loads off the queue in order, joins and splits them if it is told to, and starts one worker for each, as many at
/// once as there are consumers.
pub(crate) struct Dispatcher {
    queue: Arc<dyn Queue>,
    workers: Workers,
    batching: Option<Batching>,
}

struct Workers {
    sender: Arc<Sender>,
    turns: Arc<Semaphore>,
}

/// The joiner, and what of the ledger's "held" is inside it.
struct Batching {
    joiner: Joiner,
    account: Account,
    inside: Held,
}

impl Dispatcher {
    pub(crate) fn new(
        settings: &QueueSettings,
        queue: Arc<dyn Queue>,
        sender: Arc<Sender>,
        account: &Account,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(settings.num_consumers.clamp(1, Semaphore::MAX_PERMITS)));
        let batching = settings.batch.as_ref().map(|batch| {
            let joiner = Joiner::new(JoinRules {
                sizer: settings.batch_sizer(batch),
                min_size: batch.min_size,
                max_size: batch.max_size,
                timeout: batch.flush_timeout,
                keys: batch.partition.metadata_keys.clone(),
                max_groups: 0, // bounded by the queue's size
            });
            Batching { joiner, account: account.clone(), inside: Held::default() }
        });
        Dispatcher { queue, workers: Workers { sender, turns }, batching }
    }

    /// Runs until the queue is closed and nothing is left in it.
    pub(crate) async fn run(self) {
        let Dispatcher { queue, workers, batching } = self;
        let Some(mut batching) = batching else {
            // The turn first: what can still wait may still be dropped, or overtaken by another source.
            loop {
                let turn = workers.turn().await;
                let Some(load) = queue.next().await else { return };
                workers.start(load, turn).await;
            }
        };
        loop {
            let due = batching.joiner.due();
            let complete = tokio::select! {
                load = queue.next() => match load {
                    Some(load) => batching.push(load),
                    None => break,
                },
                () = until(due) => batching.with(|joiner| joiner.wake(now())),
            };
            workers.start_all(complete).await;
        }
        workers.start_all(batching.with(Joiner::flush)).await;
    }
}

impl Workers {
    /// Waits for a worker's turn. Once another delivery follows, there is none and none is needed.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.sender.follower.named() => None,
            turn = self.turns.clone().acquire_owned() => turn.ok(),
        }
    }

    async fn start_all(&self, loads: Vec<Load>) {
        for load in loads {
            let turn = self.turn().await;
            self.start(load, turn).await;
        }
    }

    async fn start(&self, load: Load, turn: Option<OwnedSemaphorePermit>) {
        let sender = self.sender.clone();
        let Err(load) = sender.follower.take_on(load).await else { return };
        tokio::spawn(async move {
            sender.deliver(load).await;
            drop(turn);
        });
    }
}

impl Batching {
    fn push(&mut self, load: Load) -> Vec<Load> {
        let batch = load.into_batch();
        self.with(|joiner| joiner.push(batch, now()).unwrap_or_else(|refused| vec![refused]))
    }

    /// What the joiner let go, as loads. A split adds headers: the ledger follows the bytes as they are now.
    fn with(&mut self, call: impl FnOnce(&mut Joiner) -> Vec<Batch>) -> Vec<Load> {
        let complete = call(&mut self.joiner);
        let loads = complete.into_iter().map(|batch| Load::new(batch, self.account.clone())).collect();
        let (node, inside) = (&self.account.node, self.joiner.held());
        node.held_items.add(inside.items);
        node.held_bytes.add(inside.bytes);
        node.held_items.sub(self.inside.items);
        node.held_bytes.sub(self.inside.bytes);
        self.inside = inside;
        loads
    }
}

/// Simulated in tests: tokio's clock.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
