//! What stands behind a processor: its outlets and its lines of the ledger.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use streamgauge_component::{
    Batch, Held, Host, Node, Outcome, Outlet, Outlets, Processor, Reason, Signal, Tally,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Batches that one processor may have under way. More wait before the processor: what a full target holds up is bounded.
pub(crate) const UNDER_WAY: u32 = 128;

/// Shared by a processor's node and its instances, also by one that fell and is still in use.
pub(crate) struct Outbox {
    pub(crate) host: Host,
    pub(crate) room: Arc<Semaphore>,
    outlets: Outlets,
    /// One a signal: those that come in stand first.
    nodes: Vec<Arc<Node>>,
    /// What of the ledger's "held" is this outbox's: beside it may stand that of the instance that it replaces.
    held: Mutex<Held>,
}

impl Outbox {
    pub(crate) fn new(outlets: Outlets, host: Host, nodes: Vec<Arc<Node>>) -> Self {
        let room = Arc::new(Semaphore::new(UNDER_WAY as usize));
        Outbox { host, room, outlets, nodes, held: Mutex::default() }
    }

    /// Room for one batch under way; mostly there is some.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        match self.room.clone().try_acquire_owned() {
            Ok(room) => Some(room),
            Err(_) => self.room.clone().acquire_owned().await.ok(),
        }
    }

    /// What this processor is called among all of the configuration: one id may stand in several pipelines.
    pub(crate) fn name(&self) -> String {
        let pipeline = self.nodes.first().map_or("", |node| &node.pipeline);
        format!("{}/{}/{pipeline}", self.host.kind().as_str(), self.host.id())
    }

    /// The line of the ledger for what comes in; of a wake or flush, the first one.
    pub(crate) fn line(&self, incoming: Option<Signal>) -> Option<&Arc<Node>> {
        match incoming {
            Some(signal) => self.nodes.iter().find(|n| n.signal == signal),
            None => self.nodes.first(),
        }
    }

    /// Writes down what one call counted.
    pub(crate) fn book(&self, incoming: Option<Signal>, tally: &Tally) {
        if let Some(node) = self.line(incoming) {
            node.apply(tally);
        }
        for (signal, items) in &tally.created {
            if let Some(node) = self.line(Some(*signal)) {
                node.created.add(*items);
            }
        }
    }

    /// Writes down what the instance in service holds; `None` when there is none.
    pub(crate) fn book_held(&self, processor: Option<&dyn Processor>) {
        let Some(node) = self.line(None) else { return };
        let mut booked = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = processor.map(held).unwrap_or_default();
        node.held_items.add(held.items);
        node.held_bytes.add(held.bytes);
        node.held_items.sub(booked.items);
        node.held_bytes.sub(booked.bytes);
        *booked = held;
    }

    /// What is written down as held.
    pub(crate) fn booked(&self) -> Held {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything leads where these outlets do from now on.
    pub(crate) fn turn(&self, outlets: &Outlets) {
        self.outlets.turn(outlets);
    }

    /// Sends, in order; by routes at the same time, since one that is full must not hold up the others. What no
    /// pipeline takes is dropped and counted.
    pub(crate) async fn send(&self, batches: Vec<Batch>, routed: Vec<(usize, Batch)>) {
        for batch in batches {
            self.send_one(self.outlets.get(batch.signal), batch).await;
        }
        if !routed.is_empty() {
            let by_route = routed
                .into_iter()
                .map(|(route, batch)| self.send_one(self.outlets.route(route, batch.signal), batch));
            join_all(by_route).await;
        }
    }

    async fn send_one(&self, outlet: Option<&Outlet>, batch: Batch) {
        match outlet {
            Some(outlet) => outlet.consume(batch).await,
            None => {
                if let Some(node) = self.line(Some(batch.signal)) {
                    node.dropped.add(Reason::Unsupported, batch.items() as u64);
                }
                batch.settle(&Outcome::Delivered);
            }
        }
    }

    /// Gives a batch back to its sources.
    pub(crate) fn give_back(&self, batch: Batch, detail: String) {
        if let Some(node) = self.line(Some(batch.signal)) {
            node.returned.add(Reason::ComponentDown, batch.items() as u64);
        }
        let reason = Reason::ComponentDown;
        batch.settle(&Outcome::Retry { reason, after: None, answered: false, detail: Some(detail.into()) });
    }
}

/// What a processor holds; of one that panics when asked, nothing.
pub(crate) fn held(processor: &dyn Processor) -> Held {
    catch_unwind(AssertUnwindSafe(|| processor.held())).unwrap_or_default()
}
