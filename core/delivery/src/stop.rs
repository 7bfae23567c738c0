//! The deadline of a stop, seen by everything under way.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Set once by a drain; a second one may only bring it closer.
pub(crate) struct Stop(watch::Sender<Option<Instant>>);

impl Stop {
    pub(crate) fn new() -> Self {
        Stop(watch::Sender::new(None))
    }

    pub(crate) fn at(&self, deadline: Instant) {
        self.0.send_modify(|at| *at = Some(at.map_or(deadline, |old| old.min(deadline))));
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.0.borrow().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Returns when the stop leaves no time for something at `next`; never while it does.
    pub(crate) async fn comes_before(&self, next: Instant) {
        // The other end is `self`: it outlives the wait.
        let _ = self.0.subscribe().wait_for(|at| at.is_some_and(|deadline| deadline < next)).await;
    }

    /// Returns when the deadline has passed; never while there is none.
    pub(crate) async fn passed(&self) {
        let mut at = self.0.subscribe();
        loop {
            let deadline = *at.borrow_and_update();
            let sleeping = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleeping => return,
                _ = at.changed() => {}
            }
        }
    }
}
