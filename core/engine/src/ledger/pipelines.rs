//! The ledger by pipeline.

use std::collections::BTreeMap;

use serde::Serialize;
use streamgauge_component::{Kind, Signal};

use super::{EdgeRow, LedgerRow, signal, sum};

/// One pipeline from its receivers to its exporters. Items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PipelineRow {
    /// Its id.
    pub pipeline: String,
    /// What it carries.
    #[serde(serialize_with = "signal")]
    pub signal: Signal,
    /// Came in from receivers and connectors.
    #[serde(rename = "in")]
    pub taken: u64,
    /// Made by its processors.
    pub created: u64,
    /// Handed to its exporters and connectors, each one counted.
    pub out: u64,
    /// Inside its processors.
    pub held: u64,
    /// Dropped by its processors.
    pub dropped: u64,
    /// Given back by its processors.
    pub returned: u64,
}

pub(super) fn rows(components: &[LedgerRow], edges: &[EdgeRow]) -> Vec<PipelineRow> {
    let mut rows: BTreeMap<&str, PipelineRow> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| !edge.pipeline.is_empty()) {
        let inner = edges.iter().filter(|e| e.pipeline == edge.pipeline);
        let row = rows.entry(&edge.pipeline).or_insert_with(|| PipelineRow {
            pipeline: edge.pipeline.clone(),
            signal: edge.signal,
            taken: 0,
            created: 0,
            out: 0,
            held: 0,
            dropped: 0,
            returned: 0,
        });
        let sink = is(&edge.to, Kind::Exporter) || is(&edge.to, Kind::Connector);
        if sink {
            row.out += edge.items;
        }
        // A fan-out of receivers leads to the pipeline's head, one of exporters to these: where the head is the exporter,
        // the two are one.
        let headless = || !inner.clone().any(|e| is(&e.to, Kind::Processor) || e.to == FANOUT);
        let enters = is(&edge.from, Kind::Receiver)
            || is(&edge.from, Kind::Connector)
            || (edge.from == FANOUT && (!sink || headless()));
        if enters {
            row.taken += edge.items;
        }
    }
    for component in components {
        if let Some(row) = rows.get_mut(component.pipeline.as_str()) {
            row.created += component.created;
            row.held += component.held;
            row.dropped += sum(&component.dropped);
            row.returned += sum(&component.returned);
        }
    }
    rows.into_values().collect()
}

const FANOUT: &str = "fanout";

fn is(name: &str, kind: Kind) -> bool {
    name.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with('/'))
}
