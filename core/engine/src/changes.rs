//! What a reload kept, replaced, added and removed.

use std::collections::BTreeMap;

use serde::Serialize;
use streamgauge_component::{Kind, edge_name};

use crate::graph::Graph;
use crate::instances::Kept;

/// Components and pipelines by what a reload did with them: `receiver/otlp`, `processor/batch (metrics)`, `pipeline/logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Stayed as they were, with their state.
    pub kept: Vec<String>,
    /// Run by another configuration, or beside another extension, now.
    pub replaced: Vec<String>,
    /// Were not there before.
    pub added: Vec<String>,
    /// Are not there any more.
    pub removed: Vec<String>,
}

type Member = (Option<Kind>, String, String);

impl Changes {
    /// Before the step: while the new graph still knows what of it is fresh.
    pub(crate) fn between(old: &Graph, new: &Graph) -> Self {
        let (before, after) = (members(old), members(new));
        let mut changes = Changes::default();
        for (member, fresh) in &after {
            let list = match (before.contains_key(member), fresh) {
                (true, false) => &mut changes.kept,
                (true, true) => &mut changes.replaced,
                (false, _) => &mut changes.added,
            };
            list.push(name(member));
        }
        for member in before.keys().filter(|member| !after.contains_key(*member)) {
            changes.removed.push(name(member));
        }
        changes
    }

    /// Whether everything stayed as it was.
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "kept {}", self.kept.len())?;
        let lists = [("replaced", &self.replaced), ("added", &self.added), ("removed", &self.removed)];
        lists
            .iter()
            .filter(|(_, list)| !list.is_empty())
            .try_for_each(|(what, list)| write!(f, ", {what} {}", list.join(", ")))
    }
}

fn name((kind, id, pipeline): &Member) -> String {
    let name = match kind {
        Some(kind) => edge_name(*kind, id),
        None => format!("pipeline/{id}"),
    };
    if pipeline.is_empty() { name } else { format!("{name} ({pipeline})") }
}

/// Whatever a graph has, and whether it is fresh.
fn members(graph: &Graph) -> BTreeMap<Member, bool> {
    fn of<T: ?Sized + Send + Sync>(kept: &Kept<T>) -> (Member, bool) {
        let host = kept.keeper.host();
        ((Some(host.kind()), host.id().to_string(), String::new()), kept.fresh.is_some())
    }
    let nodes = graph.nodes.iter().map(|n| {
        let host = n.node.host();
        ((Some(host.kind()), host.id().to_string(), n.pipeline.to_string()), n.turn.is_none())
    });
    let pipelines = graph.pipelines.iter().map(|id| ((None, id.to_string(), String::new()), false));
    let extensions = graph.extensions.iter().map(of);
    let receivers = graph.receivers.iter().map(|r| of(&r.kept));
    let exporters = graph.exporters.iter().map(|e| of(&e.kept));
    extensions.chain(receivers).chain(exporters).chain(nodes).chain(pipelines).collect()
}
