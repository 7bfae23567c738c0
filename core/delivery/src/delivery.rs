//! The far end of the outlets into an exporter.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamgauge_component::{
    Ack, Batch, BoxFuture, Consumer, DeliverySettings, Exporter, Host, Node, Outcome, Part, Reason, Signal,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::dispatcher::Dispatcher;
use crate::load::{Account, Load};
use crate::room::{NoRoom, Room, Ticket};
use crate::sender::{Log, Sender};
use crate::stop::Stop;

/// What a sender that was refused by a full queue should wait: about as long as a small back-off of its own.
const FULL_QUEUE_DELAY: Duration = Duration::from_secs(1);

/// What stands before one exporter for one signal. It takes batches until it is drained.
pub struct Delivery {
    sender: Arc<Sender>,
    room: Option<Room>,
    block_on_overflow: bool,
    wait_for_result: bool,
    node: Arc<Node>,
    stop: Arc<Stop>,
    /// Gone once a drain has begun.
    open: Mutex<Option<Open>>,
    /// Ends when nothing is under way any more.
    under_way: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

#[derive(Clone)]
struct Open {
    account: Account,
    queue: Option<mpsc::UnboundedSender<Load>>,
}

impl Delivery {
    /// Starts the tasks behind the queue, on the current tokio runtime.
    ///
    /// `exporter` is the running instance; `None` while it is down and being made anew. The queue goes on taking
    /// meanwhile, and what it holds waits for the next instance; without a queue senders hear `Retry(component_down)`.
    /// `on_panic` hears of a panic in an attempt before the next attempt is made: whoever supervises the instance can
    /// take it down there. `node` is the exporter's ledger for this signal.
    pub fn start(
        signal: Signal,
        settings: DeliverySettings,
        exporter: watch::Receiver<Option<Arc<dyn Exporter>>>,
        on_panic: Arc<dyn Fn(&str) + Send + Sync>,
        host: Host,
        node: Arc<Node>,
    ) -> Arc<Delivery> {
        let DeliverySettings { timeout, retry, queue } = settings;
        let stop = Arc::new(Stop::new());
        let (alive, under_way) = mpsc::channel(1);
        let room = queue.enabled.then(|| Room::new(&queue, signal, &host));
        let log = Log::new(signal, &host);
        let waits_for_instance = queue.enabled;
        let stopping = stop.clone();
        let sender =
            Sender { timeout, retry, waits_for_instance, exporter, on_panic, host, stop: stopping, log };
        let sender = Arc::new(sender);
        let account = Account { node: node.clone(), _alive: alive };
        let send_queue = queue.enabled.then(|| {
            let (put, get) = mpsc::unbounded_channel(); // bounded by `room`
            tokio::spawn(Dispatcher::new(&queue, get, sender.clone(), &account).run());
            put
        });
        let open = Open { account, queue: send_queue };
        Arc::new(Delivery {
            sender,
            room,
            block_on_overflow: queue.block_on_overflow,
            wait_for_result: queue.wait_for_result,
            node,
            stop,
            open: Mutex::new(Some(open)),
            under_way: tokio::sync::Mutex::new(under_way),
        })
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
        let lost = || self.node.dropped.total() + self.node.returned.total();
        let before = lost();
        self.stop_by(deadline);
        if let Some(room) = &self.room {
            room.close();
        }
        drop(self.lock().take());
        // Nothing is ever sent: this is the end of the last load.
        let _ = self.under_way.lock().await.recv().await;
        lost() - before
    }

    async fn take(&self, batch: Batch) {
        let Some(Open { account, queue }) = self.lock().clone() else {
            self.node.returned.add(Reason::Stopping, batch.items() as u64);
            return batch.settle(&Outcome::retry(Reason::Stopping));
        };
        let load = Load::new(batch, account);
        match (&self.room, queue) {
            (Some(room), Some(queue)) => self.enqueue(load, room, queue).await,
            _ => self.sender.deliver(load).await,
        }
    }

    async fn enqueue(&self, mut load: Load, room: &Room, queue: mpsc::UnboundedSender<Load>) {
        let waits = self.block_on_overflow || load.batch().context.answered;
        let need = room.need(load.batch());
        let ticket = if waits {
            tokio::select! {
                ticket = room.wait(need) => ticket,
                () = self.stop.passed() => Err(NoRoom::Closed),
            }
        } else {
            room.take(need)
        };
        let mut ticket = match ticket {
            Ok(ticket) => ticket,
            Err(NoRoom::Full) => {
                let (reason, after) = (Reason::QueueFull, Some(FULL_QUEUE_DELAY));
                let detail = Some("sending queue is full".into());
                return load.settle(&Outcome::Retry { reason, after, detail });
            }
            Err(NoRoom::Closed) => return load.settle(&Outcome::retry(Reason::Stopping)),
        };
        let settled = self.wait_for_result.then(|| ticket.settled());
        hold_until_settled(&mut load, ticket);
        if let Err(refused) = queue.send(load) {
            refused.0.settle(&Outcome::retry(Reason::Stopping));
        }
        drop(queue); // a drain knows by the last of them that nothing more comes
        if let Some(settled) = settled {
            let _ = settled.await; // both ends of it mean the same
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ties the room to the acks, so that joining, splitting and halving cannot miscount it.
fn hold_until_settled(load: &mut Load, ticket: Ticket) {
    let ticket = Arc::new(ticket);
    load.map(|part| {
        let ticket = ticket.clone();
        let Part { bytes, items, ack } = part;
        let ack = Ack::new(move |outcome| {
            ack.settle(outcome);
            drop(ticket);
        });
        Part { bytes, items, ack }
    });
}

impl Consumer for Delivery {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(self.take(batch))
    }
}
