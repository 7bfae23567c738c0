//! A running collector: started against the flow, stopped with it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use streamgauge_component::{ComponentError, Host, Registry};
use tokio::time::Instant;

use crate::graph::{Graph, Kept};
use crate::keeper::Keeper;
use crate::plan::Plan;

/// How long extensions and receivers may take to close once nothing flows any more.
const CLOSING: Duration = Duration::from_secs(5);

/// A running collector.
pub struct Running {
    graph: Graph,
    host: Host,
}

/// What a stop left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Items that neither reached their target in time nor stand in a storage. Sources that can replay them do.
    pub undelivered: u64,
}

impl Running {
    /// Builds the graph and starts it: extensions, exporters, then against the flow, receivers last. A component that
    /// cannot be made of its configuration fails the start; one that does not come up is tried again while the rest runs.
    pub async fn start(plan: &Plan, host: Host) -> Result<Running, ComponentError> {
        let graph = Graph::build(plan, &host)?;
        start_all(&graph.extensions).await;
        start_all(&graph.exporters).await;
        start_all(&graph.receivers).await;
        host.board().set_ready(true);
        tracing::info!("Everything is ready. Begin running and processing data.");
        Ok(Running { graph, host })
    }

    /// The numbers of all components.
    pub fn registry(&self) -> &Arc<Registry> {
        self.host.registry()
    }

    /// Intake stops; nodes flush with the flow; exporters drain until `patience` is over; receivers send their last
    /// answers and close; extensions.
    pub async fn stop(self, patience: Duration) -> StopReport {
        let deadline = Instant::now() + patience;
        tracing::info!("Starting shutdown...");
        self.host.board().set_ready(false);
        let graph = &self.graph;
        graph.deliveries.iter().for_each(|d| d.stop_by(deadline));

        let receivers: Vec<_> =
            graph.receivers.iter().filter_map(|k| k.keeper.retire().map(|r| (k, r))).collect();
        let _late =
            tokio::time::timeout_at(deadline, join_all(receivers.iter().map(|(_, r)| r.stop_intake()))).await;
        for node in &graph.nodes {
            // A target that takes nothing holds the flush back; the queues behind it end that at the deadline.
            let _late = tokio::time::timeout_at(deadline, node.flush()).await;
        }
        let undelivered: u64 =
            join_all(graph.deliveries.iter().map(|d| d.drain(deadline))).await.into_iter().sum();
        for node in &graph.nodes {
            node.stop();
        }
        close("receiver", receivers.iter().map(|(k, r)| (&k.keeper, r.shutdown()))).await;
        let exporters: Vec<_> =
            graph.exporters.iter().filter_map(|k| k.keeper.retire().map(|e| (k, e))).collect();
        close("exporter", exporters.iter().map(|(k, e)| (&k.keeper, e.shutdown()))).await;
        let extensions: Vec<_> =
            graph.extensions.iter().filter_map(|k| k.keeper.retire().map(|e| (k, e))).collect();
        close("extension", extensions.iter().map(|(k, e)| (&k.keeper, e.shutdown()))).await;
        if undelivered > 0 {
            tracing::warn!(items = undelivered, "stopped with items that their targets did not take in time");
        }
        tracing::info!("Shutdown complete.");
        StopReport { undelivered }
    }
}

async fn start_all<T: ?Sized + Send + Sync + 'static>(all: &[Kept<T>]) {
    join_all(all.iter().map(|kept| kept.keeper.start(kept.first.clone()))).await;
}

async fn close<'a, T, F>(kind: &str, closing: impl Iterator<Item = (&'a Arc<Keeper<T>>, F)>)
where
    T: ?Sized + Send + Sync + 'static,
    F: Future<Output = ()>,
{
    join_all(closing.map(|(keeper, closed)| async move {
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            tracing::warn!(kind, id = %keeper.host().id(), "did not close in time and is left behind");
        }
    }))
    .await;
}
