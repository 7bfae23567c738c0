//! Where the data goes when a reload puts another delivery before the same exporter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use streamgauge_component::{Outcome, Reason};
use tokio::sync::watch;

use crate::delivery::Delivery;
use crate::load::Load;

/// Nobody, until [`Delivery::hand_over`] names the one that follows. Then everything that is not in an attempt goes there.
pub(crate) struct Follower(watch::Sender<Option<Arc<Delivery>>>, AtomicBool);

impl Follower {
    pub(crate) fn nobody() -> Self {
        Follower(watch::Sender::new(None), AtomicBool::new(false))
    }

    pub(crate) fn name(&self, follower: Arc<Delivery>) {
        self.0.send_replace(Some(follower));
    }

    /// From now on what was under way goes back to the disk: the one that follows reads it there.
    pub(crate) fn reads_the_same(&self) {
        self.1.store(true, Ordering::Release);
    }

    pub(crate) fn get(&self) -> Option<Arc<Delivery>> {
        self.0.borrow().clone()
    }

    /// Returns once there is one.
    pub(crate) async fn named(&self) {
        // The other end is `self`: it outlives the wait.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Lets go of a load that had left the queue; gives it back when nobody follows.
    pub(crate) async fn take_on(&self, load: Load) -> Result<(), Load> {
        if self.get().is_some() && self.1.load(Ordering::Acquire) {
            load.settle(&Outcome::retry_after(Reason::Stopping, Duration::ZERO));
            return Ok(());
        }
        self.take(load).await
    }

    /// Hands a load over, once there is room for it; gives it back when nobody follows.
    pub(crate) async fn take(&self, load: Load) -> Result<(), Load> {
        let Some(follower) = self.get() else { return Err(load) };
        let mut batch = load.into_batch();
        // It was taken already: a full queue lets it wait as if its sender had had the answer.
        if !batch.context.answered {
            Arc::make_mut(&mut batch.context).answered = true;
        }
        Box::pin(follower.take(batch)).await;
        Ok(())
    }
}
