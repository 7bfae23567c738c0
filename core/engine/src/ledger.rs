//! What went in, what came out, what is inside, and what became of the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use streamgauge_component::{Edge, Kind, Reason, Registry, Signal};

mod books;
mod counts;
mod pipelines;
mod saved;
mod table;

pub use books::{Books, LastWrite};
pub use pipelines::PipelineRow;
pub use saved::Saved;

use counts::{Counts, reasons as by_reason};

/// One component's line of the ledger, over all its pipelines, for one signal. Items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerRow {
    /// Its kind.
    #[serde(serialize_with = "kind")]
    pub kind: Kind,
    /// Its id.
    pub component: String,
    /// Pipeline, for processors; empty for what pipelines share.
    pub pipeline: String,
    /// What it handles.
    #[serde(serialize_with = "signal")]
    pub signal: Signal,
    /// Taken in.
    #[serde(rename = "in")]
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
    #[serde(serialize_with = "reasons")]
    pub dropped: Vec<(Reason, u64)>,
    /// Given back to the source.
    #[serde(serialize_with = "reasons")]
    pub returned: Vec<(Reason, u64)>,
    /// Refused at the door, never inside.
    #[serde(serialize_with = "reasons")]
    pub refused: Vec<(Reason, u64)>,
}

/// What passed between two components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRow {
    /// Pipeline; empty for what leads into several.
    pub pipeline: String,
    /// The sending component: `receiver/otlp`.
    pub from: String,
    /// The taking component, or `fanout`.
    pub to: String,
    /// What passed.
    #[serde(serialize_with = "signal", deserialize_with = "counts::signal")]
    pub signal: Signal,
    /// Spans, data points or log records.
    pub items: u64,
    /// Encoded bytes.
    pub bytes: u64,
}

impl EdgeRow {
    fn is_of(&self, other: &EdgeRow) -> bool {
        (self.signal, &self.pipeline, &self.from, &self.to)
            == (other.signal, &other.pipeline, &other.from, &other.to)
    }
}

impl LedgerRow {
    /// in + created - (out + held + delivered + dropped + returned): 0 when nothing moves.
    pub fn difference(&self) -> i64 {
        let left = self.taken + self.created;
        let right = self.out + self.held + self.delivered + sum(&self.dropped) + sum(&self.returned);
        left as i64 - right as i64
    }
}

/// The whole ledger at one moment. Exact when nothing moves; under load off by what tasks have in hand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Since when it counts, seconds since the Unix epoch; `None` where it counts this run alone.
    #[serde(skip)]
    pub since: Option<u64>,
    /// Runs that are in it.
    #[serde(skip)]
    pub runs: u64,
    /// Receivers, processors, connectors, exporters.
    #[serde(rename = "components")]
    pub rows: Vec<LedgerRow>,
    /// What passed between them.
    pub edges: Vec<EdgeRow>,
    /// What came into each pipeline and left it.
    pub pipelines: Vec<PipelineRow>,
}

impl Ledger {
    /// Reads the counters of this run.
    pub fn read(registry: &Registry) -> Self {
        let components: Vec<Counts> = registry.nodes().iter().map(|node| Counts::of(node)).collect();
        Ledger { runs: 1, ..Ledger::of(&components, edges(registry)) }
    }

    fn of(components: &[Counts], edges: Vec<EdgeRow>) -> Self {
        // Processors have one edge set a pipeline; everything else is shared by its pipelines.
        let (mut taken, mut out) = (BTreeMap::new(), BTreeMap::new());
        for edge in &edges {
            for (map, end) in [(&mut taken, &edge.to), (&mut out, &edge.from)] {
                for pipeline in [edge.pipeline.as_str(), SHARED] {
                    *map.entry((end.clone(), edge.signal, pipeline.to_owned())).or_insert(0u64) += edge.items;
                }
            }
        }
        let rows = components.iter().map(|node| {
            let pipeline =
                if node.kind == Kind::Processor { node.pipeline.clone() } else { SHARED.to_owned() };
            let key = (node.edge_name(), node.signal, pipeline);
            let out = out.get(&key).copied().unwrap_or(0);
            LedgerRow {
                kind: node.kind,
                component: node.component.clone(),
                pipeline: node.pipeline.clone(),
                signal: node.signal,
                // Nothing leads into a receiver: what it has not made itself it took in, and passed on.
                taken: match node.kind {
                    Kind::Receiver => out.saturating_sub(node.created),
                    _ => taken.get(&key).copied().unwrap_or(0),
                },
                created: node.created,
                out,
                held: node.held,
                delivered: node.delivered,
                dropped: by_reason(&node.dropped),
                returned: by_reason(&node.returned),
                refused: by_reason(&node.refused),
            }
        });
        let mut rows: Vec<LedgerRow> = rows.collect();
        rows.sort_by(|a, b| {
            let key = |r: &LedgerRow| (r.kind, r.signal.name(), r.pipeline.clone(), r.component.clone());
            key(a).cmp(&key(b))
        });
        let pipelines = pipelines::rows(&rows, &edges);
        Ledger { since: None, runs: 0, rows, edges, pipelines }
    }

    /// Items that came in by receivers or were made by them, and those that exporters delivered; what ended elsewhere.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for row in &self.rows {
            match row.kind {
                Kind::Receiver => summary.received += row.taken + row.created,
                Kind::Exporter => summary.delivered += row.delivered,
                _ => {}
            }
            summary.dropped += sum(&row.dropped);
            summary.returned += sum(&row.returned);
            summary.refused += sum(&row.refused);
            summary.held += row.held;
        }
        summary
    }
}

/// The ledger in six numbers of items. A fan-out delivers an item once for each branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Taken in, or made, by receivers.
    pub received: u64,
    /// Delivered by exporters.
    pub delivered: u64,
    /// Ended anywhere for good.
    pub dropped: u64,
    /// Given back to their sources.
    pub returned: u64,
    /// Refused at a door.
    pub refused: u64,
    /// Inside.
    pub held: u64,
}

const SHARED: &str = "*";

fn edges(registry: &Registry) -> Vec<EdgeRow> {
    let row = |edge: &Arc<Edge>| EdgeRow {
        pipeline: edge.pipeline.to_string(),
        from: edge.from.to_string(),
        to: edge.to.to_string(),
        signal: edge.signal,
        items: edge.items.get(),
        bytes: edge.bytes.get(),
    };
    registry.edges().iter().map(row).collect()
}

fn sum(counts: &[(Reason, u64)]) -> u64 {
    counts.iter().map(|(_, n)| n).sum()
}

fn kind<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

fn signal<S: Serializer>(signal: &Signal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(signal.name())
}

fn reasons<S: Serializer>(counts: &[(Reason, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(reason, items)| (reason.as_str(), items)))
}
