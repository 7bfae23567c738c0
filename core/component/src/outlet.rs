//! An edge of the graph as an object: the only way to send.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use streamgauge_pdata::Signal;

use crate::batch::Batch;
use crate::counters::Edge;

/// The far end of an outlet. It always takes the batch; what became of it is told by the parts' acks alone.
pub trait Consumer: Send + Sync {
    /// Returns when every branch holds the batch or has settled it: this await is the back-pressure.
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()>;

    /// Called by the outlet when `consume` panicked. What the call held has settled itself as rejected.
    fn panicked(&self, message: &str) {
        let _ = message;
    }
}

/// An edge: counts, catches panics, and can be pointed at another target while data flows.
#[derive(Clone)]
pub struct Outlet(Arc<Inner>);

struct Inner {
    edge: Arc<Edge>,
    target: ArcSwap<Box<dyn Consumer>>,
}

struct Shared(Arc<dyn Consumer>);

impl Consumer for Shared {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        self.0.consume(batch)
    }

    fn panicked(&self, message: &str) {
        self.0.panicked(message);
    }
}

impl Outlet {
    /// An outlet that leads to `target` and counts on `edge`.
    pub fn new(edge: Arc<Edge>, target: Arc<dyn Consumer>) -> Self {
        Outlet(Arc::new(Inner { edge, target: ArcSwap::from_pointee(Box::new(Shared(target))) }))
    }

    /// Sends. See [`Consumer::consume`].
    pub async fn consume(&self, batch: Batch) {
        if batch.parts.is_empty() {
            return;
        }
        let edge = &self.0.edge;
        edge.items.add(batch.items() as u64);
        edge.bytes.add(batch.bytes() as u64);
        edge.batches.add(1);
        let target = self.0.target.load_full();
        // The inner block makes a panic while the future is built look like one while it runs.
        let call = AssertUnwindSafe(async { target.consume(batch).await });
        if let Err(panic) = call.catch_unwind().await {
            target.panicked(panic_message(&*panic));
        }
    }

    /// Points the edge at another target. Calls that are under way end at the old one.
    pub fn turn(&self, target: Arc<dyn Consumer>) {
        self.0.target.store(Arc::new(Box::new(Shared(target))));
    }

    /// The edge's counters.
    pub fn edge(&self) -> &Arc<Edge> {
        &self.0.edge
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outlet({} -> {})", self.0.edge.from, self.0.edge.to)
    }
}

/// What a panic said, as far as it was text.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}

/// A receiver's or connector's outlets: one a signal that some pipeline takes from it.
#[derive(Clone, Debug, Default)]
pub struct Outlets(Vec<(Signal, Outlet)>);

impl Outlets {
    /// From pairs; a signal stands once.
    pub fn new(outlets: Vec<(Signal, Outlet)>) -> Self {
        Outlets(outlets)
    }

    /// The outlet for a signal, if some pipeline takes it.
    pub fn get(&self, signal: Signal) -> Option<&Outlet> {
        self.0.iter().find(|(s, _)| *s == signal).map(|(_, o)| o)
    }

    /// The signals that some pipeline takes.
    pub fn signals(&self) -> impl Iterator<Item = Signal> + '_ {
        self.0.iter().map(|(s, _)| *s)
    }
}
