//! Rounds at an interval.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join};
use streamgauge_component::{
    Ack, Batch, ComponentError, Context, Host, Instrument, InstrumentKind, Outlet, Outlets, Part, Receiver,
    Signal,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep};

/// When rounds begin, and how long one may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    pub(crate) initial_delay: Duration,
    pub(crate) interval: Duration,
    /// The setting; 0 is the interval, but no more than 10 seconds.
    pub(crate) timeout: Duration,
}

impl Rhythm {
    /// The time that one round may take.
    pub(crate) fn limit(&self) -> Duration {
        if self.timeout.is_zero() { self.interval.min(Duration::from_secs(10)) } else { self.timeout }
    }
}

/// How often what a round left unfinished goes on before the next one, and the longest that it may take.
const GO_ON: Duration = Duration::from_secs(1);

/// What a round does: asks, and gives what it finds.
pub(crate) trait Scrape: Send + 'static {
    /// One round. It may be dropped at any await when the receiver stops.
    fn round<'a>(&'a mut self, found: &'a Found) -> BoxFuture<'a, ()>;

    /// Whether something of the last round waits for [`Scrape::go_on`].
    fn is_unfinished(&self) -> bool {
        false
    }

    /// Goes on with it between rounds, for no longer than `deadline`. It may be dropped as a round may.
    fn go_on(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        let _ = deadline;
        Box::pin(std::future::ready(()))
    }

    /// No round follows.
    fn end(&mut self) -> BoxFuture<'_, ()>;
}

/// Encoded requests on their way, with their numbers of items.
pub(crate) struct Found(mpsc::Sender<(Bytes, usize)>);

impl Found {
    /// Gives one, if there is one. Waits while those before it are not taken.
    pub(crate) async fn send(&self, request: Option<(Bytes, usize)>) {
        if let Some(request) = request {
            let _ = self.0.send(request).await; // who takes them goes last
        }
    }
}

/// Makes what a round does, once the host is there.
type Begin = dyn Fn(&Host) -> Result<Box<dyn Scrape>, ComponentError> + Send + Sync;

/// The task of the rounds, and how to end it.
type Task = (watch::Sender<bool>, JoinHandle<()>);

/// A receiver that asks in rounds.
pub(crate) struct Polled {
    rhythm: Rhythm,
    begin: Box<Begin>,
    task: Mutex<Option<Task>>,
}

impl Polled {
    pub(crate) fn new(
        rhythm: Rhythm,
        begin: impl Fn(&Host) -> Result<Box<dyn Scrape>, ComponentError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Polled { rhythm, begin: Box::new(begin), task: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Task>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Receiver for Polled {
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError> {
        let Some(outlet) = outlets.get(Signal::Metrics) else { return Ok(()) };
        let scrape = (self.begin)(&host)?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(rounds(host, outlet.clone(), self.rhythm, scrape, stopped));
        *self.lock() = Some((stop, task));
        Ok(())
    }

    /// Lets no new round begin and drops one that is still asking. What was sent goes on.
    async fn stop_intake(&self) {
        if let Some((stop, _)) = &*self.lock() {
            stop.send_replace(true);
        }
    }

    /// Waits until the last batch is taken.
    async fn shutdown(&self) {
        self.stop_intake().await;
        let task = self.lock().take();
        if let Some((_, task)) = task {
            let _ = task.await; // a panic has been told by the panic hook
        }
    }
}

async fn rounds(
    host: Host,
    outlet: Outlet,
    rhythm: Rhythm,
    mut scrape: Box<dyn Scrape>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval_at(Instant::now() + rhythm.initial_delay, rhythm.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let counts = Rounds::of(&host);
    loop {
        let (sender, requests) = mpsc::channel(1);
        let round = async {
            let found = Found(sender);
            let round = async {
                until(&mut ticks, scrape.as_mut()).await;
                let begin = Instant::now();
                scrape.round(&found).await;
                counts.busy.value.add(u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX));
                counts.ended.value.add(1);
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => true,
                () = round => false,
            }
        };
        // The round asks on while what it has found is taken.
        let (is_stopped, ()) = join(round, pass_on(&host, &outlet, requests)).await;
        if is_stopped {
            scrape.end().await;
            return;
        }
    }
}

/// Waits for the next tick, and meanwhile goes on with what the last round left.
async fn until(ticks: &mut Interval, scrape: &mut dyn Scrape) {
    while scrape.is_unfinished() {
        tokio::select! {
            biased;
            _ = ticks.tick() => return,
            () = sleep(GO_ON) => scrape.go_on(Instant::now() + GO_ON).await,
        }
    }
    ticks.tick().await;
}

/// What is counted of rounds.
pub(crate) struct Rounds {
    pub(crate) ended: Arc<Instrument>,
    pub(crate) busy: Arc<Instrument>,
}

impl Rounds {
    pub(crate) fn of(host: &Host) -> Self {
        let count =
            |name, unit, about| host.instrument(InstrumentKind::Counter, name, unit, about, Vec::new());
        Rounds {
            ended: count(
                "streamgauge.receiver.rounds",
                "{round}",
                "Rounds of the receiver that came to an end.",
            ),
            busy: count("streamgauge.receiver.busy_time", "us", "Time that its rounds took."),
        }
    }
}

async fn pass_on(host: &Host, outlet: &Outlet, mut requests: mpsc::Receiver<(Bytes, usize)>) {
    let node = host.node(Signal::Metrics);
    while let Some((bytes, items)) = requests.recv().await {
        node.created.add(items as u64);
        let context = Arc::new(Context::new(host.id().clone(), host.clock().wall()));
        // A number that was not taken is not sent again: the next round has a newer one. Who refused has counted it.
        let part = Part { bytes: bytes.into(), items, ack: Ack::none() };
        outlet.consume(Batch::of(Signal::Metrics, context, part)).await;
    }
}

/// What is wrong with the interval, by path below the section.
pub(crate) fn rhythm_problems(interval: Duration) -> Option<(String, String)> {
    let message = "requires positive value: the time from one round to the next, such as 10s";
    interval.is_zero().then(|| ("collection_interval".to_owned(), message.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use streamgauge_component::Kind;
    use streamgauge_component::testkit::Sink;

    use super::*;

    /// A round that finds nothing.
    struct Nothing;

    impl Scrape for Nothing {
        fn round<'a>(&'a mut self, _: &'a Found) -> BoxFuture<'a, ()> {
            Box::pin(std::future::ready(()))
        }

        fn end(&mut self) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_of_60_seconds_is_one_round_in_60_seconds() {
        let host = Host::for_test(Kind::Receiver, "redis_stream_metrics");
        let minute = Duration::from_secs(60);
        let rhythm =
            Rhythm { initial_delay: Duration::from_secs(1), interval: minute, timeout: Duration::ZERO };
        let receiver = Polled::new(rhythm, |_| Ok(Box::new(Nothing)));
        let sink = Sink::delivering();
        let outlets = Outlets::new(vec![(Signal::Metrics, sink.outlet(Signal::Metrics))]);
        receiver.start(host.clone(), outlets).await.unwrap();
        let rounds = Rounds::of(&host).ended;
        for ended in 0..5 {
            assert_eq!(rounds.value.get(), ended);
            tokio::time::sleep(if ended == 0 { Duration::from_secs(2) } else { minute }).await;
        }
        receiver.shutdown().await;
    }

    /// A round that leaves something for three times.
    struct Bit(Arc<AtomicU64>, u64);

    impl Scrape for Bit {
        fn round<'a>(&'a mut self, _: &'a Found) -> BoxFuture<'a, ()> {
            self.1 = 3;
            Box::pin(std::future::ready(()))
        }

        fn is_unfinished(&self) -> bool {
            self.1 > 0
        }

        fn go_on(&mut self, _: Instant) -> BoxFuture<'_, ()> {
            self.1 -= 1;
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(()))
        }

        fn end(&mut self) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_round_left_goes_on_once_a_second_and_delays_no_round() {
        let host = Host::for_test(Kind::Receiver, "redis");
        let (went_on, interval) = (Arc::<AtomicU64>::default(), Duration::from_secs(10));
        let rhythm = Rhythm { initial_delay: Duration::ZERO, interval, timeout: Duration::ZERO };
        let counted = went_on.clone();
        let receiver = Polled::new(rhythm, move |_| Ok(Box::new(Bit(counted.clone(), 0))));
        let sink = Sink::delivering();
        let outlets = Outlets::new(vec![(Signal::Metrics, sink.outlet(Signal::Metrics))]);
        receiver.start(host.clone(), outlets).await.unwrap();
        let rounds = Rounds::of(&host).ended;
        // Half a second after each second of two intervals and a half.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for second in 0..25u64 {
            let (round, of_round) = (second / 10, second % 10);
            assert_eq!(rounds.value.get(), round + 1, "second {second}");
            let expected = round * 3 + of_round.min(3);
            assert_eq!(went_on.load(Ordering::Relaxed), expected, "second {second}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        receiver.shutdown().await;
    }
}
