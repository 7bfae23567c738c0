//! The deadline of a stop, seen by everything under way.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Set once by a drain; a second one may only bring it closer.
pub(crate) struct Stop {
    at: watch::Sender<Option<Instant>>,
    /// What is not sent stays on the disk: a peer that does not take it is not worth the wait.
    kept: bool,
}

impl Stop {
    pub(crate) fn new(kept: bool) -> Self {
        Stop { at: watch::Sender::new(None), kept }
    }

    pub(crate) fn at(&self, deadline: Instant) {
        self.at.send_modify(|at| *at = Some(at.map_or(deadline, |old| old.min(deadline))));
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.at.borrow().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Returns when the stop makes it useless to wait until `next`; never while it does not.
    pub(crate) async fn comes_before(&self, next: Instant) {
        // The other end is `self`: it outlives the wait.
        let useless = |at: &Option<Instant>| at.is_some_and(|deadline| self.kept || deadline < next);
        let _ = self.at.subscribe().wait_for(useless).await;
        if self.kept {
            self.at(Instant::now());
        }
    }

    /// Returns when there is a stop that does not wait for a peer that is down, at the latest when its deadline has passed.
    pub(crate) async fn gives_up(&self) {
        if self.kept {
            self.comes_before(Instant::now()).await;
        } else {
            self.passed().await;
        }
    }

    /// Returns when the deadline has passed; never while there is none.
    pub(crate) async fn passed(&self) {
        let mut at = self.at.subscribe();
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
