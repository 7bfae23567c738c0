//! What went in, what came out, what is inside, and what became of the rest.

use std::collections::BTreeMap;

use streamgauge_component::{Kind, Reason, Registry, Signal};

/// One component's line of the ledger, over all its pipelines, for one signal. Items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub component: String,
    /// Pipeline, for processors; empty for what pipelines share.
    pub pipeline: String,
    /// What it handles.
    pub signal: Signal,
    /// Taken in.
    pub taken: u64,
    /// Made here.
    pub created: u64,
    /// Passed on.
    pub out: u64,
    /// Inside.
    pub held: u64,
    /// Ended well here.
    pub delivered: u64,
    /// Ended here for good.
    pub dropped: Vec<(Reason, u64)>,
    /// Given back to the source.
    pub returned: Vec<(Reason, u64)>,
    /// Refused at the door, never inside.
    pub refused: Vec<(Reason, u64)>,
}

impl LedgerRow {
    /// in + created - (out + held + delivered + dropped + returned): 0 when nothing moves.
    pub fn difference(&self) -> i64 {
        let sum = |counts: &[(Reason, u64)]| counts.iter().map(|(_, n)| n).sum::<u64>();
        let left = self.taken + self.created;
        let right = self.out + self.held + self.delivered + sum(&self.dropped) + sum(&self.returned);
        left as i64 - right as i64
    }
}

/// The whole ledger at one moment.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Receivers, processors, connectors, exporters.
    pub rows: Vec<LedgerRow>,
}

impl Ledger {
    /// Reads the counters.
    pub fn read(registry: &Registry) -> Self {
        // Processors have one edge set a pipeline; everything else is shared by its pipelines.
        let (mut taken, mut out) = (BTreeMap::new(), BTreeMap::new());
        for edge in registry.edges() {
            let items = edge.items.get();
            for (map, end) in [(&mut taken, &edge.to), (&mut out, &edge.from)] {
                for pipeline in [edge.pipeline.to_string(), SHARED.to_owned()] {
                    *map.entry((end.to_string(), edge.signal, pipeline)).or_insert(0u64) += items;
                }
            }
        }
        let rows = registry.nodes().into_iter().map(|node| {
            let pipeline =
                if node.kind == Kind::Processor { node.pipeline.to_string() } else { SHARED.to_owned() };
            let key = (node.edge_name(), node.signal, pipeline);
            let out = out.get(&key).copied().unwrap_or(0);
            LedgerRow {
                kind: node.kind,
                component: node.component.to_string(),
                pipeline: node.pipeline.to_string(),
                signal: node.signal,
                // Nothing leads into a receiver: what it took in is what it passed on.
                taken: if node.kind == Kind::Receiver { out } else { taken.get(&key).copied().unwrap_or(0) },
                created: node.created.get(),
                out,
                held: node.held_items.get(),
                delivered: node.delivered.get(),
                dropped: node.dropped.counts().collect(),
                returned: node.returned.counts().collect(),
                refused: node.refused.counts().collect(),
            }
        });
        Ledger { rows: rows.collect() }
    }
}

const SHARED: &str = "*";
