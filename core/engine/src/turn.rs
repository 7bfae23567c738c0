//! The one step of a reload: fresh instances and outlets go into service, what only the old graph has goes out of it.

use streamgauge_component::Host;

use crate::graph::Graph;
use crate::instances::{self, Kept};
use crate::keeper::Fresh;
use crate::retiring::Retiring;

/// Everything fresh in `graph`, which is started, runs from now on. What only `old` has is given back for its stop.
/// Nothing in here waits or can fail.
pub(crate) fn turn(graph: &mut Graph, old: &Graph) -> Retiring {
    let mut retiring =
        Retiring { nodes: old.nodes_beside(graph), queues: old.queues_beside(graph), ..Retiring::default() };
    for extension in &mut graph.extensions {
        into_service(extension, &mut retiring.extensions);
    }
    for exporter in &mut graph.exporters {
        into_service(&mut exporter.kept, &mut retiring.exporters);
        exporter.asides.turn();
    }
    for node in &mut graph.nodes {
        if let Some(outlets) = node.turn.take() {
            node.node.turn(&outlets);
        }
    }
    for receiver in &mut graph.receivers {
        if let Some(outlets) = receiver.turn.take() {
            receiver.outlets.turn(&outlets);
        }
        into_service(&mut receiver.kept, &mut retiring.receivers);
    }
    graph.queues_beside(old).iter().for_each(|queue| queue.open());
    for old in &old.exporters {
        let Some(new) = graph.exporters.iter().find(|new| new.kept.id() == old.kept.id()) else {
            retiring.draining.push(old.kept.keeper.clone());
            continue;
        };
        for (signal, queue) in &old.queues {
            // The data goes with the exporter's id.
            if let Some(follower) = new.queue(*signal).filter(|new| !std::sync::Arc::ptr_eq(new, queue)) {
                queue.hand_over(&follower);
            }
        }
    }
    let gone = |id: &str| graph.receivers.iter().all(|new| **new.kept.id() != *id);
    for old in old.receivers.iter().filter(|old| gone(old.kept.id())) {
        out_of_service(&old.kept, &mut retiring.receivers);
    }
    for old in old.extensions.iter().filter(|old| instances::find(&graph.extensions, old.id()).is_none()) {
        out_of_service(old, &mut retiring.extensions);
    }
    retiring
}

/// A graph that does not go into service after all: what of it is made and started, for its stop.
pub(crate) fn discard(graph: Graph, old: &Graph) -> Retiring {
    let (nodes, queues) = (graph.nodes_beside(old), graph.queues_beside(old));
    fn started<T>(kept: impl Iterator<Item = Kept<T>>) -> Vec<(Host, Fresh<T>)>
    where
        T: ?Sized + Send + Sync + 'static,
    {
        kept.filter_map(|kept| Some((kept.keeper.host().clone(), kept.fresh?))).collect()
    }
    let retiring = Retiring {
        nodes,
        queues,
        draining: Vec::new(),
        receivers: started(graph.receivers.into_iter().map(|r| r.kept)),
        exporters: started(graph.exporters.into_iter().map(|e| e.kept)),
        extensions: started(graph.extensions.into_iter()),
    };
    for extension in &old.extensions {
        // A fresh one has offered itself under the same id.
        if let Some(running) = &*extension.keeper.watch().borrow() {
            extension.keeper.host().offer(running);
        }
    }
    retiring
}

fn into_service<T>(kept: &mut Kept<T>, retiring: &mut Vec<(Host, Fresh<T>)>)
where
    T: ?Sized + Send + Sync + 'static,
{
    let Some(fresh) = kept.fresh.take() else { return };
    let before = kept.keeper.turn(fresh);
    retiring.extend(before.map(|before| (kept.keeper.host().clone(), before)));
}

fn out_of_service<T>(kept: &Kept<T>, retiring: &mut Vec<(Host, Fresh<T>)>)
where
    T: ?Sized + Send + Sync + 'static,
{
    let last = kept.keeper.retire();
    retiring.extend(last.map(|last| (kept.keeper.host().clone(), last)));
}
