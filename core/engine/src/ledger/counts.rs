//! One component's counters as plain numbers: of this run, or of all runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use streamgauge_component::{Kind, Node, Reason, Signal, edge_name};

/// The counters behind a [`LedgerRow`](super::LedgerRow), without what its edges say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    #[serde(serialize_with = "super::kind", deserialize_with = "kind")]
    pub(super) kind: Kind,
    pub(super) component: String,
    pub(super) pipeline: String,
    #[serde(serialize_with = "super::signal", deserialize_with = "signal")]
    pub(super) signal: Signal,
    pub(super) created: u64,
    pub(super) held: u64,
    pub(super) delivered: u64,
    /// By the reasons' names: a later version may know others.
    pub(super) dropped: BTreeMap<String, u64>,
    pub(super) returned: BTreeMap<String, u64>,
    pub(super) refused: BTreeMap<String, u64>,
}

impl Counts {
    pub(super) fn of(node: &Node) -> Self {
        let reasons = |counts: &streamgauge_component::ByReason| {
            counts.counts().map(|(reason, n)| (reason.as_str().to_owned(), n)).collect()
        };
        Counts {
            kind: node.kind,
            component: node.component.to_string(),
            pipeline: node.pipeline.to_string(),
            signal: node.signal,
            created: node.created.get(),
            held: node.held_items.get(),
            delivered: node.delivered.get(),
            dropped: reasons(&node.dropped),
            returned: reasons(&node.returned),
            refused: reasons(&node.refused),
        }
    }

    /// What names it.
    pub(super) fn is_of(&self, other: &Counts) -> bool {
        (self.kind, self.signal, &self.component, &self.pipeline)
            == (other.kind, other.signal, &other.component, &other.pipeline)
    }

    pub(super) fn edge_name(&self) -> String {
        edge_name(self.kind, &self.component)
    }

    /// Puts this run's numbers on top of the earlier runs'. What an earlier run left in a queue on the disk and this one
    /// has met is neither created nor held twice.
    pub(super) fn add(&mut self, run: &Counts, node: &Node) {
        let (resumed, ended) = (node.resumed.get(), node.settled_before.get());
        self.created = (self.created + run.created).saturating_sub(resumed);
        self.held = (self.held + run.held).saturating_sub(resumed + ended);
        self.delivered += run.delivered + ended;
        for (mine, theirs) in [
            (&mut self.dropped, &run.dropped),
            (&mut self.returned, &run.returned),
            (&mut self.refused, &run.refused),
        ] {
            for (reason, n) in theirs {
                *mine.entry(reason.clone()).or_default() += n;
            }
        }
    }
}

pub(super) fn reasons(counts: &BTreeMap<String, u64>) -> Vec<(Reason, u64)> {
    let find = |name: &str| Reason::ALL.iter().copied().find(|reason| reason.as_str() == name);
    let mut found: Vec<(Reason, u64)> =
        counts.iter().filter_map(|(name, n)| Some((find(name)?, *n))).collect();
    found.sort();
    found
}

pub(super) fn signal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Signal, D::Error> {
    let name = String::deserialize(deserializer)?;
    let found = Signal::ALL.into_iter().find(|signal| signal.name() == name);
    found.ok_or_else(|| serde::de::Error::custom(format!("no signal {name:?}")))
}

fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    const ALL: [Kind; 5] =
        [Kind::Receiver, Kind::Processor, Kind::Connector, Kind::Exporter, Kind::Extension];
    let name = String::deserialize(deserializer)?;
    let found = ALL.into_iter().find(|kind| kind.as_str() == name);
    found.ok_or_else(|| serde::de::Error::custom(format!("no kind {name:?}")))
}
