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

/// Where an outlet leads, and where that is counted.
struct Inner(ArcSwap<Lead>);

struct Lead {
    edge: Arc<Edge>,
    target: Arc<dyn Consumer>,
}

impl Outlet {
    /// An outlet that leads to `target` and counts on `edge`.
    pub fn new(edge: Arc<Edge>, target: Arc<dyn Consumer>) -> Self {
        Outlet(Arc::new(Inner(ArcSwap::from_pointee(Lead { edge, target }))))
    }

    /// Sends. See [`Consumer::consume`].
    pub async fn consume(&self, batch: Batch) {
        if batch.parts.is_empty() {
            return;
        }
        let lead = self.0.0.load_full();
        lead.edge.items.add(batch.items() as u64);
        lead.edge.bytes.add(batch.bytes() as u64);
        lead.edge.batches.add(1);
        // The inner block makes a panic while the future is built look like one while it runs.
        let call = AssertUnwindSafe(async { lead.target.consume(batch).await });
        if let Err(panic) = call.catch_unwind().await {
            lead.target.panicked(panic_message(&*panic));
        }
    }

    /// From now on this outlet leads where the other does, and counts there. Calls that are under way end at the old target.
    pub fn turn(&self, other: &Outlet) {
        self.0.0.store(other.0.0.load_full());
    }

    /// The counters of the edge as it leads now.
    pub fn edge(&self) -> Arc<Edge> {
        self.0.0.load().edge.clone()
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let edge = self.edge();
        write!(f, "Outlet({} -> {})", edge.from, edge.to)
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

/// A receiver's or connector's outlets: one a signal that some pipeline takes from it, or those of a connector's routes.
#[derive(Clone, Debug, Default)]
pub struct Outlets(Vec<(Option<usize>, Signal, Outlet)>);

impl Outlets {
    /// From pairs; a signal stands once.
    pub fn new(outlets: Vec<(Signal, Outlet)>) -> Self {
        Outlets(outlets.into_iter().map(|(signal, outlet)| (None, signal, outlet)).collect())
    }

    /// Those of routes, by their numbers; a signal stands once a route.
    pub fn by_route(outlets: Vec<(usize, Signal, Outlet)>) -> Self {
        Outlets(outlets.into_iter().map(|(route, signal, outlet)| (Some(route), signal, outlet)).collect())
    }

    /// The outlet for a signal, if some pipeline takes it.
    pub fn get(&self, signal: Signal) -> Option<&Outlet> {
        self.find(None, signal)
    }

    /// The outlet of a route for a signal, if it leads into a pipeline of that.
    pub fn route(&self, route: usize, signal: Signal) -> Option<&Outlet> {
        self.find(Some(route), signal)
    }

    fn find(&self, route: Option<usize>, signal: Signal) -> Option<&Outlet> {
        self.0.iter().find(|(r, s, _)| *r == route && *s == signal).map(|(_, _, outlet)| outlet)
    }

    /// Every outlet leads where that of the others for its signal does, see [`Outlet::turn`].
    pub fn turn(&self, others: &Outlets) {
        for (route, signal, outlet) in &self.0 {
            if let Some(other) = others.find(*route, *signal) {
                outlet.turn(other);
            }
        }
    }

    /// The signals that some pipeline takes, each once.
    pub fn signals(&self) -> impl Iterator<Item = Signal> + '_ {
        Signal::ALL.into_iter().filter(|signal| self.0.iter().any(|(_, s, _)| s == signal))
    }
}
