//! Rounds at an interval.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use streamgauge_component::{Ack, Batch, Context, Host, Outlet, Part, Signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

/// When rounds begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) initial_delay: Duration,
    pub(crate) interval: Duration,
}

/// What a round does: asks, and gives an encoded request with its number of items.
pub(crate) trait Scrape: Send + 'static {
    /// One round. It may be dropped at any await when the receiver stops.
    fn round(&mut self) -> BoxFuture<'_, Option<(Bytes, usize)>>;
}

/// A task of rounds, and how to end it.
#[derive(Default)]
pub(crate) struct Poller(Mutex<Option<(watch::Sender<bool>, JoinHandle<()>)>>);

impl Poller {
    /// Begins.
    pub(crate) fn start(&self, host: &Host, outlet: Outlet, rhythm: Rhythm, scrape: impl Scrape) {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(rounds(host.clone(), outlet, rhythm, scrape, stopped));
        *self.lock() = Some((stop, task));
    }

    /// Lets no new round begin and drops one that is still asking. What was sent goes on.
    pub(crate) fn stop(&self) {
        if let Some((stop, _)) = &*self.lock() {
            stop.send_replace(true);
        }
    }

    /// Waits until the last batch is taken.
    pub(crate) async fn join(&self) {
        self.stop();
        let task = self.lock().take();
        if let Some((_, task)) = task {
            let _ = task.await; // a panic has been told by the panic hook
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(watch::Sender<bool>, JoinHandle<()>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn rounds(
    host: Host,
    outlet: Outlet,
    rhythm: Rhythm,
    mut scrape: impl Scrape,
    mut stopped: watch::Receiver<bool>,
) {
    let node = host.node(Signal::Metrics);
    let mut ticks = tokio::time::interval_at(Instant::now() + rhythm.initial_delay, rhythm.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let round = async {
            ticks.tick().await;
            scrape.round().await
        };
        let result = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            result = round => result,
        };
        let Some((bytes, items)) = result else { continue };
        node.created.add(items as u64);
        let context = Arc::new(Context::new(host.id().clone(), host.clock().wall()));
        // A number that was not taken is not sent again: the next round has a newer one. Who refused has counted it.
        let part = Part { bytes, items, ack: Ack::none() };
        outlet.consume(Batch::of(Signal::Metrics, context, part)).await;
    }
}

/// The time that one round may take: the setting, and when that is 0 the interval, but no more than 10 seconds.
pub(crate) fn limit(timeout: Duration, interval: Duration) -> Duration {
    if timeout.is_zero() { interval.min(Duration::from_secs(10)) } else { timeout }
}

/// What is wrong with the interval, by path below the section.
pub(crate) fn rhythm_problems(interval: Duration) -> Option<(String, String)> {
    let message = "requires positive value: the time from one round to the next, such as 10s";
    interval.is_zero().then(|| ("collection_interval".to_owned(), message.to_owned()))
}
