//! The numbers behind the ledger: plain atomics, written by edges and components, read by telemetry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use streamgauge_pdata::Signal;

use crate::earlier::Earlier;
use crate::outcome::Reason;
use crate::processor::Tally;
use crate::status::Kind;

/// A counter of items (spans, data points, log records) or of anything else that only grows, or a gauge when it is set.
#[derive(Debug, Default)]
pub struct ItemCounter(AtomicU64);

impl ItemCounter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes away, for what is held.
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// Adds unless that leads above the limit.
    pub(crate) fn add_up_to(&self, n: u64, limit: u64) -> bool {
        let sum = |held: u64| held.checked_add(n).filter(|sum| *sum <= limit);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
    }

    /// Sets, for gauges.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What passed between two components of a pipeline.
#[derive(Debug)]
pub struct Edge {
    /// Pipeline id; for the edge of a receiver or connector into several pipelines, empty.
    pub pipeline: Arc<str>,
    /// The sending component, see [`edge_name`].
    pub from: Arc<str>,
    /// The taking component, see [`edge_name`].
    pub to: Arc<str>,
    /// What passed.
    pub signal: Signal,
    /// Spans, data points or log records.
    pub items: ItemCounter,
    /// Encoded bytes.
    pub bytes: ItemCounter,
    /// Batches.
    pub batches: ItemCounter,
}

/// What a component is called on edges: `receiver/otlp/2`.
pub fn edge_name(kind: Kind, id: &str) -> String {
    format!("{}/{id}", kind.as_str())
}

/// Counts by reason.
#[derive(Debug)]
pub struct ByReason(Vec<ItemCounter>);

impl Default for ByReason {
    fn default() -> Self {
        ByReason(Reason::ALL.iter().map(|_| ItemCounter::default()).collect())
    }
}

impl ByReason {
    /// Adds to one reason.
    pub fn add(&self, reason: Reason, items: u64) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.add(items);
        }
    }

    /// The reasons with a count.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().zip(&self.0).map(|(r, c)| (*r, c.get())).filter(|(_, n)| *n > 0)
    }

    /// All reasons together.
    pub fn total(&self) -> u64 {
        self.0.iter().map(ItemCounter::get).sum()
    }
}

/// One component's side of the ledger, for one pipeline and signal. With the edges:
/// in + created = out + held + delivered + dropped + returned.
#[derive(Debug)]
pub struct Node {
    /// Pipeline id; empty for what several pipelines share (receivers, exporters, connectors).
    pub pipeline: Arc<str>,
    /// Component id.
    pub component: Arc<str>,
    /// Its kind.
    pub kind: Kind,
    /// What it handles.
    pub signal: Signal,
    /// Items that the component made itself.
    pub created: ItemCounter,
    /// Of `created`, items that an earlier run's ledger holds: a queue on the disk gave them back.
    pub resumed: ItemCounter,
    /// Items that an earlier run's ledger holds, and that ended before this run.
    pub settled_before: ItemCounter,
    /// Items that ended well here.
    pub delivered: ItemCounter,
    /// Items that ended here for good.
    pub dropped: ByReason,
    /// Items given back to their source to be tried again.
    pub returned: ByReason,
    /// Items refused at the door of a receiver: never inside.
    pub refused: ByReason,
    /// Items inside right now.
    pub held_items: ItemCounter,
    /// Their encoded bytes.
    pub held_bytes: ItemCounter,
}

impl Node {
    /// A node that no registry knows, for tests.
    pub fn detached(component: &str, kind: Kind, signal: Signal) -> Self {
        Node {
            pipeline: "".into(),
            component: component.into(),
            kind,
            signal,
            created: ItemCounter::default(),
            resumed: ItemCounter::default(),
            settled_before: ItemCounter::default(),
            delivered: ItemCounter::default(),
            dropped: ByReason::default(),
            returned: ByReason::default(),
            refused: ByReason::default(),
            held_items: ItemCounter::default(),
            held_bytes: ItemCounter::default(),
        }
    }

    /// The name of this component's end of an edge: its kind and its id, since a receiver and an exporter may share an id.
    pub fn edge_name(&self) -> String {
        edge_name(self.kind, &self.component)
    }

    /// Adds what a processor told of one call, but for what it created: that belongs to the created signal's ledger.
    pub fn apply(&self, tally: &Tally) {
        self.delivered.add(tally.delivered);
        for (reason, items) in &tally.dropped {
            self.dropped.add(*reason, *items);
        }
        for (reason, items) in &tally.returned {
            self.returned.add(*reason, *items);
        }
    }
}

/// How an instrument is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A number of one component beside the ledger, such as a queue's capacity.
#[derive(Debug)]
pub struct Instrument {
    /// Name with dots, OpenTelemetry style.
    pub name: &'static str,
    /// UCUM unit.
    pub unit: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// How to read it.
    pub kind: InstrumentKind,
    /// Attributes.
    pub attributes: Vec<(&'static str, String)>,
    /// The number.
    pub value: ItemCounter,
}

/// Every number of this collector. One for a process.
#[derive(Debug, Default)]
pub struct Registry {
    earlier: Earlier,
    inner: Mutex<Lists>,
}

#[derive(Debug, Default)]
struct Lists {
    edges: Vec<Arc<Edge>>,
    nodes: Vec<Arc<Node>>,
    instruments: Vec<Arc<Instrument>>,
}

impl Registry {
    /// The edge between two components; made when it is new.
    pub fn edge(&self, pipeline: &str, from: &str, to: &str, signal: Signal) -> Arc<Edge> {
        let mut lists = self.lock();
        if let Some(edge) = lists
            .edges
            .iter()
            .find(|e| *e.pipeline == *pipeline && *e.from == *from && *e.to == *to && e.signal == signal)
        {
            return edge.clone();
        }
        let edge = Arc::new(Edge {
            pipeline: pipeline.into(),
            from: from.into(),
            to: to.into(),
            signal,
            items: ItemCounter::default(),
            bytes: ItemCounter::default(),
            batches: ItemCounter::default(),
        });
        lists.edges.push(edge.clone());
        edge
    }

    /// A component's ledger for one pipeline and signal; made when it is new.
    pub fn node(&self, pipeline: &str, component: &str, kind: Kind, signal: Signal) -> Arc<Node> {
        let mut lists = self.lock();
        if let Some(node) = lists.nodes.iter().find(|n| {
            *n.pipeline == *pipeline && *n.component == *component && n.kind == kind && n.signal == signal
        }) {
            return node.clone();
        }
        let node = Arc::new(Node { pipeline: pipeline.into(), ..Node::detached(component, kind, signal) });
        lists.nodes.push(node.clone());
        node
    }

    /// An instrument; made when no other has its name and attributes.
    pub fn instrument(
        &self,
        kind: InstrumentKind,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        attributes: Vec<(&'static str, String)>,
    ) -> Arc<Instrument> {
        let mut lists = self.lock();
        if let Some(found) = lists.instruments.iter().find(|i| i.name == name && i.attributes == attributes) {
            return found.clone();
        }
        let made = Arc::new(Instrument { name, unit, help, kind, attributes, value: ItemCounter::default() });
        lists.instruments.push(made.clone());
        made
    }

    /// What is known of queues on the disk from before this run.
    pub fn earlier(&self) -> &Earlier {
        &self.earlier
    }

    /// All edges.
    pub fn edges(&self) -> Vec<Arc<Edge>> {
        self.lock().edges.clone()
    }

    /// All ledgers.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.lock().nodes.clone()
    }

    /// All instruments.
    pub fn instruments(&self) -> Vec<Arc<Instrument>> {
        self.lock().instruments.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lists> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
