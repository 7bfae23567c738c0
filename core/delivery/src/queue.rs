//! What waits before the workers.

use std::sync::Arc;

use streamgauge_component::BoxFuture;

use crate::disk_queue::Shared;
use crate::load::Load;

/// A queue: it takes loads or settles them, and hands them out. Where they wait meanwhile is its own business.
pub(crate) trait Queue: Send + Sync {
    /// Takes a load, waits for room, or settles it at once. Dropped while it waits, the load is given up. A closed queue
    /// gives it back.
    fn put(&self, load: Load) -> BoxFuture<'_, Result<(), Load>>;

    /// The next load, once there is one; `None` when the queue is closed and empty. For one caller at a time.
    fn next(&self) -> BoxFuture<'_, Option<Load>>;

    /// Takes nothing any more, and tells everybody who waits for room that the collector is stopping.
    fn close(&self);

    /// Takes nothing any more. Everything in it goes to another queue: whoever waits for room here is let in without.
    fn hand_over(&self);

    /// What it needs of others is there: the storage. Nothing is put before that.
    fn open(&self) {}

    /// Returns when it is open, or the first try to open it has failed.
    fn tried(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Takes nothing any more and hands nothing out: another queue goes on with what is stored.
    fn leave(&self) {
        self.close();
    }

    /// Where it is stored, if it is: queues with the same place hold the same data.
    fn place(&self) -> Option<String> {
        None
    }

    /// What it is stored in, once that is open.
    fn store(&self) -> Option<Arc<Shared>> {
        None
    }

    /// Goes on with what another queue is stored in, whenever it is opened.
    fn take_over(&self, _: Arc<Shared>) {}

    /// Items that were settled as to be sent again and stay stored, since the start.
    fn kept(&self) -> u64 {
        0
    }

    /// Nothing is under way any more: whatever has to be written down is.
    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
