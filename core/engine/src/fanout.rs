//! One batch, several targets.

use futures_util::future::{BoxFuture, join_all};
use streamgauge_component::{Batch, Consumer, Outlet};

/// Offers each batch to all targets at once, sharing the bytes. A part settles when all targets have settled it.
pub(crate) struct FanOut(pub(crate) Vec<Outlet>);

impl Consumer for FanOut {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let shares = batch.share(self.0.len());
            join_all(self.0.iter().zip(shares).map(|(outlet, share)| outlet.consume(share))).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use streamgauge_component::testkit::{Behaviour, Sink, Source};
    use streamgauge_component::{Outcome, Reason, Signal};

    use super::*;

    #[tokio::test]
    async fn every_target_sees_the_same_bytes_and_the_worst_answer_wins() {
        let (good, full) =
            (Sink::delivering(), Sink::new(Behaviour::Settle(Outcome::retry(Reason::QueueFull))));
        let fan = FanOut(vec![good.outlet(Signal::Logs), full.outlet(Signal::Logs)]);
        let source = Source::new();
        fan.consume(source.batch(Signal::Logs, vec![1, 2, 3], 7)).await;
        assert_eq!(good.received()[0].parts[0].as_ptr(), full.received()[0].parts[0].as_ptr());
        assert_eq!((good.items(), full.items()), (7, 7));
        assert_eq!(source.outcomes(), [Some(Outcome::retry(Reason::QueueFull))]);
    }

    #[tokio::test]
    async fn a_target_that_panics_costs_its_neighbour_nothing() {
        let (good, broken) = (Sink::delivering(), Sink::new(Behaviour::Panic));
        let fan = FanOut(vec![broken.outlet(Signal::Logs), good.outlet(Signal::Logs)]);
        let source = Source::new();
        fan.consume(source.batch(Signal::Logs, vec![1], 1)).await;
        assert_eq!(good.items(), 1);
        assert_eq!(broken.panics().len(), 1);
        assert_eq!(source.outcomes(), [Some(Outcome::rejected(Reason::Panic))]);
    }

    #[tokio::test]
    async fn a_slow_target_does_not_keep_the_batch_from_its_neighbour() {
        struct Never;
        impl Consumer for Never {
            fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
                Box::pin(async move {
                    let _held = batch;
                    std::future::pending::<()>().await;
                })
            }
        }
        let good = Sink::delivering();
        let never = Outlet::new(good.outlet(Signal::Logs).edge(), Arc::new(Never));
        let fan = FanOut(vec![never, good.outlet(Signal::Logs)]);
        let source = Source::new();
        let batch = source.batch(Signal::Logs, vec![1], 1);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), fan.consume(batch)).await;
        assert!(waited.is_err(), "the fan-out waits for the slow target");
        assert_eq!(good.items(), 1);
    }
}
