//! When a stop must have ended; it can be brought closer while it runs.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub(crate) struct Deadline(watch::Sender<Instant>);

impl Deadline {
    pub(crate) fn at(at: Instant) -> Self {
        Deadline(watch::Sender::new(at))
    }

    pub(crate) fn get(&self) -> Instant {
        *self.0.borrow()
    }

    /// Not later than this.
    pub(crate) fn bring_closer(&self, at: Instant) {
        self.0.send_modify(|present| *present = at.min(*present));
    }

    /// What the future gives, unless the deadline passes first.
    pub(crate) async fn limit<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let passed = async {
            let mut at = self.0.subscribe();
            loop {
                let present = *at.borrow_and_update();
                tokio::select! {
                    () = sleep_until(present) => return,
                    _ = at.changed() => {}
                }
            }
        };
        tokio::select! {
            biased;
            result = future => Some(result),
            () = passed => None,
        }
    }
}
