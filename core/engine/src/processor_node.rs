//! A processor or connector in the graph: runs its calls, sends what they collected, wakes it, replaces it when it fell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use streamgauge_component::{
    Batch, ComponentError, Consumer, Host, Node, Out, Outcome, Outlets, Processor, Reason, State,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::backoff::Backoff;

/// Makes a fresh instance.
pub(crate) type Make = Box<dyn Fn() -> Result<Arc<dyn Processor>, ComponentError> + Send + Sync>;

pub(crate) struct ProcessorNode {
    instance: ArcSwapOption<Instance>,
    make: Make,
    outlets: Outlets,
    host: Host,
    /// The ledger of the signal that comes in, then those of other signals that go out.
    nodes: Vec<Arc<Node>>,
    wake_at: Mutex<Option<Instant>>,
    wake_moved: Notify,
    fell: Notify,
    stopping: AtomicBool,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Instance(Arc<dyn Processor>);

impl ProcessorNode {
    /// Makes the first instance and starts the node's own tasks.
    pub(crate) fn start(
        make: Make,
        outlets: Outlets,
        host: Host,
        nodes: Vec<Arc<Node>>,
    ) -> Result<Arc<Self>, ComponentError> {
        let first = make()?;
        host.report(State::Ok, None);
        let node = Arc::new(ProcessorNode {
            instance: ArcSwapOption::from_pointee(Instance(first)),
            make,
            outlets,
            host,
            nodes,
            wake_at: Mutex::new(None),
            wake_moved: Notify::new(),
            fell: Notify::new(),
            stopping: AtomicBool::new(false),
            tasks: Mutex::default(),
        });
        let tasks = vec![tokio::spawn(node.clone().wakes()), tokio::spawn(node.clone().supervise())];
        *lock(&node.tasks) = tasks;
        Ok(node)
    }

    /// Everything held leaves, now and after each later call: the collector stops.
    pub(crate) async fn flush(&self) {
        self.stopping.store(true, Ordering::Release);
        self.call(|processor, out| processor.flush(out)).await;
    }

    /// Ends the node's tasks and drops the instance. After [`ProcessorNode::flush`].
    pub(crate) fn stop(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        self.instance.store(None);
        self.host.report(State::Stopped, None);
    }

    /// One call outside of `consume`: a panic is caught here.
    async fn call(&self, call: impl FnOnce(&dyn Processor, &mut Out)) {
        let Some(instance) = self.instance.load_full() else { return };
        let mut out = Out::new(self.host.clock().now());
        match catch_unwind(AssertUnwindSafe(|| call(&*instance.0, &mut out))) {
            Ok(()) => self.finish(&*instance.0, out).await,
            Err(panic) => self.panicked(streamgauge_component::panic_message(&*panic)),
        }
    }

    /// Counts and sends what one call collected.
    async fn finish(&self, processor: &dyn Processor, out: Out) {
        let (batches, wake_at, tally) = out.into_parts();
        if let Some(node) = self.nodes.first() {
            node.apply(&tally);
            let held = processor.held();
            node.held_items.set(held.items);
            node.held_bytes.set(held.bytes);
        }
        for (signal, items) in &tally.created {
            if let Some(node) = self.nodes.iter().find(|n| n.signal == *signal) {
                node.created.add(*items);
            }
        }
        if let Some(at) = wake_at {
            let mut wake = lock(&self.wake_at);
            if wake.is_none_or(|old| at < old) {
                *wake = Some(at);
                self.wake_moved.notify_one();
            }
        }
        for batch in batches {
            match self.outlets.get(batch.signal) {
                Some(outlet) => outlet.consume(batch).await,
                None => {
                    // A connector that speaks a signal which no pipeline takes from it.
                    if let Some(node) = self.nodes.iter().find(|n| n.signal == batch.signal) {
                        node.dropped.add(Reason::Unsupported, batch.items() as u64);
                    }
                    batch.settle(&Outcome::Delivered);
                }
            }
        }
    }

    async fn wakes(self: Arc<Self>) {
        loop {
            let at = *lock(&self.wake_at);
            match at {
                None => self.wake_moved.notified().await,
                Some(at) => {
                    let due = tokio::time::sleep_until(at.into());
                    tokio::select! {
                        () = due => {
                            *lock(&self.wake_at) = None;
                            self.call(|processor, out| processor.wake(out)).await;
                        }
                        () = self.wake_moved.notified() => {}
                    }
                }
            }
        }
    }

    async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        loop {
            self.fell.notified().await;
            loop {
                tokio::time::sleep(backoff.next()).await;
                match catch_unwind(AssertUnwindSafe(|| (self.make)())) {
                    Ok(Ok(fresh)) => {
                        self.instance.store(Some(Arc::new(Instance(fresh))));
                        self.host.report(State::Ok, None);
                        tracing::info!(id = %self.host.id(), "component made anew after it fell");
                        break;
                    }
                    Ok(Err(error)) => self.host.report(State::Recoverable, Some(error.to_string())),
                    Err(panic) => {
                        let message = streamgauge_component::panic_message(&*panic);
                        self.host.report(
                            State::Recoverable,
                            Some(format!("panicked while being made: {message}")),
                        );
                    }
                }
            }
        }
    }
}

impl Consumer for ProcessorNode {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(instance) = self.instance.load_full() else {
                if let Some(node) = self.nodes.first() {
                    node.returned.add(Reason::ComponentDown, batch.items() as u64);
                }
                let detail = format!("{} {:?} is down", self.host.kind().as_str(), self.host.id());
                batch.settle(&Outcome::Retry {
                    reason: Reason::ComponentDown,
                    after: None,
                    detail: Some(detail.into()),
                });
                return;
            };
            let mut out = Out::new(self.host.clock().now());
            let items = batch.items() as u64;
            let mut lost = CountOnPanic { node: self.nodes.first(), items };
            instance.0.process(batch, &mut out);
            lost.items = 0;
            if self.stopping.load(Ordering::Acquire) {
                instance.0.flush(&mut out);
            }
            self.finish(&*instance.0, out).await;
        })
    }

    fn panicked(&self, message: &str) {
        let fallen = self.instance.swap(None);
        let text = format!("panicked: {message}");
        tracing::error!(kind = self.host.kind().as_str(), id = %self.host.id(), "{text}");
        self.host.report(State::Recoverable, Some(text));
        if let Some(fallen) = fallen {
            self.give_back(&*fallen.0);
        }
        self.fell.notify_one();
    }
}

impl ProcessorNode {
    /// What a fallen instance still holds goes back to its sources.
    fn give_back(&self, fallen: &dyn Processor) {
        let mut out = Out::new(self.host.clock().now());
        if catch_unwind(AssertUnwindSafe(|| fallen.flush(&mut out))).is_err() {
            return; // what it holds settles itself when it is dropped
        }
        let (batches, _, tally) = out.into_parts();
        let Some(node) = self.nodes.first() else { return };
        node.apply(&tally);
        for batch in batches {
            node.returned.add(Reason::ComponentDown, batch.items() as u64);
            batch.settle(&Outcome::retry(Reason::ComponentDown));
        }
        node.held_items.set(0);
        node.held_bytes.set(0);
    }
}

/// Counts what was in hand when a call panics.
struct CountOnPanic<'a> {
    node: Option<&'a Arc<Node>>,
    items: u64,
}

impl Drop for CountOnPanic<'_> {
    fn drop(&mut self) {
        if let Some(node) = self.node {
            node.dropped.add(Reason::Panic, self.items);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use streamgauge_component::testkit::{Sink, Source};
    use streamgauge_component::{Clock, Kind, Outlet, Registry, Signal, edge_name};

    use super::*;

    /// Holds every part for a second; panics on the byte 13; forgets all when made anew.
    #[derive(Default)]
    struct Holding(Mutex<Vec<Batch>>);

    impl Processor for Holding {
        fn process(&self, batch: Batch, out: &mut Out) {
            assert!(batch.parts[0].bytes[0] != 13, "unlucky");
            out.wake_at(out.now().instant + Duration::from_secs(1));
            lock(&self.0).push(batch);
        }

        fn wake(&self, out: &mut Out) {
            self.flush(out);
        }

        fn flush(&self, out: &mut Out) {
            lock(&self.0).drain(..).for_each(|b| out.send(b));
        }
    }

    struct Set {
        entry: Outlet,
        sink: Arc<Sink>,
        node: Arc<ProcessorNode>,
        source: Source,
        registry: Arc<Registry>,
    }

    fn set() -> Set {
        let sink = Sink::delivering();
        let registry = Arc::new(Registry::default());
        let host = Host::new(Clock::system(), Arc::default(), registry.clone())
            .for_component(Kind::Processor, "hold");
        let ledger = registry.node("logs", "hold", Kind::Processor, Signal::Logs);
        let name = edge_name(Kind::Processor, "hold");
        let out = Outlet::new(registry.edge("logs", &name, "exporter/x", Signal::Logs), sink.clone());
        let outlets = Outlets::new(vec![(Signal::Logs, out)]);
        let make: Make = Box::new(|| Ok(Arc::new(Holding::default())));
        let node = ProcessorNode::start(make, outlets, host, vec![ledger]).unwrap();
        let entry = Outlet::new(registry.edge("logs", "receiver/r", &name, Signal::Logs), node.clone());
        Set { entry, sink, node, source: Source::new(), registry }
    }

    #[tokio::test(start_paused = true)]
    async fn a_processor_is_woken_when_it_asked_for_it() {
        let s = set();
        s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
        assert_eq!(s.sink.items(), 0);
        tokio::time::sleep(Duration::from_millis(1001)).await;
        assert_eq!(s.sink.items(), 1);
        assert!(s.source.all_delivered());
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_rejects_the_poison_returns_what_was_held_and_a_fresh_instance_goes_on() {
        let s = set();
        s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
        s.entry.consume(s.source.batch(Signal::Logs, vec![13], 4)).await;
        assert_eq!(
            s.source.outcomes(),
            [Some(Outcome::retry(Reason::ComponentDown)), Some(Outcome::rejected(Reason::Panic))]
        );
        s.entry.consume(s.source.batch(Signal::Logs, vec![2], 1)).await;
        assert!(matches!(s.source.outcomes()[2], Some(Outcome::Retry { reason: Reason::ComponentDown, .. })));
        tokio::time::sleep(Duration::from_millis(10)).await;
        s.entry.consume(s.source.batch(Signal::Logs, vec![3], 1)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(s.source.outcomes()[3], Some(Outcome::Delivered));
        let ledger = crate::Ledger::read(&s.registry);
        let row = ledger.rows.iter().find(|r| r.component == "hold").unwrap();
        assert_eq!((row.taken, row.out, row.difference()), (7, 1, 0), "{row:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_flushes_what_is_held_and_what_still_comes() {
        let s = set();
        s.entry.consume(s.source.batch(Signal::Logs, vec![1], 1)).await;
        s.node.flush().await;
        s.entry.consume(s.source.batch(Signal::Logs, vec![2], 1)).await;
        s.node.stop();
        assert!(s.source.all_delivered());
        assert_eq!(s.sink.items(), 2);
    }
}
