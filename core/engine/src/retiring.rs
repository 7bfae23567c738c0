//! The stop of a graph, or of what a reload has replaced: with the flow, and without losing what is inside.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use streamgauge_component::{Exporter, Extension, Host, Receiver};
use streamgauge_delivery::Delivery;

use crate::deadline::Deadline;
use crate::keeper::{Fresh, Keeper};
use crate::processor_node::ProcessorNode;

/// How long extensions and receivers may take to close once nothing flows any more.
const CLOSING: Duration = Duration::from_secs(5);

/// Instances that are out of service, or are going to be.
#[derive(Default)]
pub(crate) struct Retiring {
    pub(crate) receivers: Vec<(Host, Fresh<dyn Receiver>)>,
    /// In the order of the flow.
    pub(crate) nodes: Vec<Arc<ProcessorNode>>,
    pub(crate) queues: Vec<Arc<Delivery>>,
    /// Exporters that run until their queues are empty.
    pub(crate) draining: Vec<Arc<Keeper<dyn Exporter>>>,
    pub(crate) exporters: Vec<(Host, Fresh<dyn Exporter>)>,
    pub(crate) extensions: Vec<(Host, Fresh<dyn Extension>)>,
}

impl Retiring {
    pub(crate) fn is_empty(&self) -> bool {
        let instances = self.receivers.len() + self.exporters.len() + self.extensions.len();
        instances + self.draining.len() + self.nodes.len() + self.queues.len() == 0
    }

    /// Intake stops; nodes flush with the flow; queues drain until the deadline; receivers send their last answers and
    /// close; exporters, extensions. The number of items that the queues did not deliver since the call.
    pub(crate) async fn run(self, deadline: &Deadline) -> u64 {
        self.queues.iter().for_each(|queue| queue.stop_by(deadline.get()));
        let intake = self.receivers.iter().map(|(_, receiver)| receiver.instance.stop_intake());
        let _late = deadline.limit(join_all(intake)).await;
        for node in &self.nodes {
            // A target that takes nothing holds the flush back; the queues behind it end that at the deadline.
            let _late = deadline.limit(node.flush()).await;
        }
        // What one cannot deliver may go to another.
        let (first, last): (Vec<_>, Vec<_>) = self.queues.iter().partition(|queue| queue.leads_on());
        let mut undelivered = 0;
        for queues in [first, last] {
            let drained = queues.into_iter().map(|queue| queue.drain(deadline.get()));
            undelivered += join_all(drained).await.into_iter().sum::<u64>();
        }
        self.nodes.iter().for_each(|node| node.stop());
        close(self.receivers).await;
        let drained = self.draining.iter().filter_map(|k| Some((k.host().clone(), k.retire()?)));
        close(self.exporters.into_iter().chain(drained).collect()).await;
        close(self.extensions).await;
        if undelivered > 0 {
            tracing::warn!(items = undelivered, "not delivered in time, given back to their sources");
        }
        undelivered
    }
}

async fn close<T: ?Sized + Send + Sync + 'static>(closing: Vec<(Host, Fresh<T>)>) {
    let closed = closing.into_iter().map(|(host, Fresh { recipe, instance })| async move {
        let closed: BoxFuture<'static, ()> = (recipe.stop)(instance);
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            let (kind, id) = (host.kind().as_str(), &**host.id());
            tracing::warn!(kind, id, "did not close in time and is left behind");
        }
    });
    join_all(closed).await;
}
