//! A processor or connector in the graph: runs its calls, sends what they collected, wakes it, replaces it when it fell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use streamgauge_component::{
    Batch, Collected, ComponentError, Consumer, Host, Node, Out, Outlets, Processor, Reason, Signal, State,
    Tally, panic_message,
};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::lasting::Memory;
use crate::outbox::{self, Outbox};
use crate::supervisor::Supervisor;

/// Makes a fresh instance.
pub(crate) type Make = Box<dyn Fn() -> Result<Arc<dyn Processor>, ComponentError> + Send + Sync>;

pub(crate) struct ProcessorNode {
    instance: ArcSwapOption<Instance>,
    make: Make,
    outbox: Arc<Outbox>,
    supervisor: Arc<Supervisor>,
    wake_at: Mutex<Option<Instant>>,
    wake_moved: Notify,
    fell: Notify,
    stopping: AtomicBool,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// What one call wants sent, and whether that may end with the caller.
struct Sending {
    batches: Vec<Batch>,
    routed: Vec<(usize, Batch)>,
    /// Others than the caller have data in it.
    shared: bool,
    /// The state that outlives the process has changed.
    remember: bool,
}

impl ProcessorNode {
    /// Makes the first instance and starts the node's own tasks. Of the ledger's `nodes` those that come in stand first.
    pub(crate) fn start(
        make: Make,
        outlets: Outlets,
        host: Host,
        nodes: Vec<Arc<Node>>,
        supervisor: Arc<Supervisor>,
    ) -> Result<Arc<Self>, ComponentError> {
        let first = make()?;
        host.report(State::Ok, None);
        let outbox = Arc::new(Outbox::new(outlets, host, nodes));
        let instance = Instance::new(first, outbox.clone());
        let lasts = instance.memory.is_some();
        let node = Arc::new(ProcessorNode {
            instance: ArcSwapOption::from_pointee(instance),
            make,
            outbox,
            supervisor,
            wake_at: Mutex::new(None),
            wake_moved: Notify::new(),
            fell: Notify::new(),
            stopping: AtomicBool::new(false),
            tasks: Mutex::default(),
        });
        let mut tasks = vec![tokio::spawn(node.clone().wakes()), tokio::spawn(node.clone().supervise())];
        if lasts {
            tasks.push(tokio::spawn(node.clone().restores()));
        }
        *lock(&node.tasks) = tasks;
        Ok(node)
    }

    /// Everything held leaves, now and after each later call: the collector stops. Returns when all of it has been taken.
    pub(crate) async fn flush(&self) {
        self.stopping.store(true, Ordering::Release);
        self.call(|processor, out| processor.flush(out)).await;
        let _nothing_under_way = self.outbox.room.acquire_many(outbox::UNDER_WAY).await;
    }

    /// Its outlets lead where these do from now on; the instance stays.
    pub(crate) fn turn(&self, outlets: &Outlets) {
        self.outbox.turn(outlets);
    }

    /// Ends the node's tasks. After [`ProcessorNode::flush`]: whoever still has a way to it finds the instance that sends on
    /// at once.
    pub(crate) fn stop(&self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        self.outbox.host.id()
    }

    pub(crate) fn host(&self) -> &Host {
        &self.outbox.host
    }

    /// One call outside of `consume`.
    async fn call(&self, call: impl FnOnce(&dyn Processor, &mut Out)) {
        let Some(instance) = self.instance.load_full() else { return };
        self.restore(&instance).await;
        let sending = self.run(&instance, None, call);
        instance.remember(sending.remember).await;
        drop(instance);
        self.outbox.send(sending.batches, sending.routed).await;
    }

    /// Takes over the state of the last run, also when nothing comes: time alone may change it.
    async fn restores(self: Arc<Self>) {
        if let Some(instance) = self.instance.load_full() {
            self.restore(&instance).await;
        }
    }

    /// Returns when the instance has what the one before it remembered.
    async fn restore(&self, instance: &Instance) {
        if let (Some(memory), Some(lasting)) = (&instance.memory, instance.processor.lasting()) {
            memory
                .restore(lasting, &self.outbox.host, |out| self.wake_at(out.into_collected().wake_at))
                .await;
        }
    }

    /// Runs one call and writes down what it counted. A panic takes the instance down; what was collected before goes on.
    fn run(
        &self,
        instance: &Arc<Instance>,
        incoming: Option<(Signal, u64)>,
        call: impl FnOnce(&dyn Processor, &mut Out),
    ) -> Sending {
        let outbox = &self.outbox;
        let processor = &*instance.processor;
        let signal = incoming.map(|(signal, _)| signal);
        let before = outbox.booked().items;
        let mut out = Out::new(outbox.host.clock().now());
        let ended = catch_unwind(AssertUnwindSafe(|| call(processor, &mut out)));
        let remember = out.remembers();
        let Collected { batches, routed, wake_at, tally } = out.into_collected();
        outbox.book(signal, &tally);
        let mut all = batches.iter().chain(routed.iter().map(|(_, batch)| batch));
        let shared = batches.len() + routed.len() > 1
            || !tally.created.is_empty()
            || all.any(|batch| batch.context.answered);
        match ended {
            Ok(()) => {
                outbox.book_held(Some(processor));
                self.wake_at(wake_at);
            }
            Err(panic) => {
                let had = before + incoming.map_or(0, |(_, items)| items) + tally.created_items();
                let has = outbox::held(processor).items + ended_items(&tally) + items(&batches, &routed);
                if let Some(node) = outbox.line(signal) {
                    node.dropped.add(Reason::Panic, had.saturating_sub(has));
                }
                self.take_down(instance, panic_message(&*panic));
            }
        }
        Sending { batches, routed, shared, remember }
    }

    fn wake_at(&self, at: Option<Instant>) {
        let Some(at) = at else { return };
        let mut wake = lock(&self.wake_at);
        if wake.is_none_or(|old| at < old) {
            *wake = Some(at);
            self.wake_moved.notify_one();
        }
    }

    /// Takes this instance out of service, unless another stands there already.
    fn take_down(&self, fallen: &Arc<Instance>, message: &str) {
        let host = &self.outbox.host;
        let text = format!("panicked: {message}");
        tracing::error!(kind = host.kind().as_str(), id = %host.id(), "{text}");
        let current = self.instance.compare_and_swap(fallen, None);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, fallen)) {
            self.supervisor.fell(host, text);
            self.outbox.book_held(None);
            self.fell.notify_one();
        }
    }

    /// What a wake sends is not waited for: a target that is full for now would hold up those beside it.
    async fn wake(&self) {
        let Some(room) = self.outbox.room().await else { return };
        let Some(instance) = self.instance.load_full() else { return };
        self.restore(&instance).await;
        let sending = self.run(&instance, None, |processor, out| processor.wake(out));
        drop(self.send_apart(instance, sending, room));
    }

    /// Sends in a task of its own, which holds its room until that is done.
    fn send_apart(
        &self,
        instance: Arc<Instance>,
        sending: Sending,
        room: OwnedSemaphorePermit,
    ) -> JoinHandle<()> {
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            instance.remember(sending.remember).await;
            drop(instance);
            outbox.send(sending.batches, sending.routed).await;
            drop(room);
        })
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
                            self.wake().await;
                        }
                        () = self.wake_moved.notified() => {}
                    }
                }
            }
        }
    }

    async fn supervise(self: Arc<Self>) {
        let mut backoff = Backoff::default();
        let host = &self.outbox.host;
        loop {
            self.fell.notified().await;
            while self.instance.load().is_none() {
                tokio::time::sleep(backoff.next()).await;
                match catch_unwind(AssertUnwindSafe(|| (self.make)())) {
                    Ok(Ok(processor)) => {
                        let fresh = Instance::new(processor, self.outbox.clone());
                        self.instance.store(Some(Arc::new(fresh)));
                        host.report(State::Ok, None);
                        tracing::info!(id = %host.id(), "component made anew after it fell");
                    }
                    Ok(Err(error)) => host.report(State::Recoverable, Some(error.to_string())),
                    Err(panic) => {
                        let message = format!("panicked while being made: {}", panic_message(&*panic));
                        host.report(State::Recoverable, Some(message));
                    }
                }
            }
        }
    }
}

impl Consumer for ProcessorNode {
    fn consume(&self, batch: Batch) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(room) = self.outbox.room().await else { return };
            let Some(instance) = self.instance.load_full() else {
                let host = &self.outbox.host;
                return self
                    .outbox
                    .give_back(batch, format!("{} {:?} is down", host.kind().as_str(), host.id()));
            };
            let incoming = Some((batch.signal, batch.items() as u64));
            self.restore(&instance).await;
            let stopping = self.stopping.load(Ordering::Acquire);
            let sending = self.run(&instance, incoming, |processor, out| {
                processor.process(batch, out);
                if stopping {
                    processor.flush(out);
                }
            });
            if !sending.shared {
                instance.remember(sending.remember).await;
                drop(instance);
                return self.outbox.send(sending.batches, sending.routed).await;
            }
            // The caller may be cancelled; what others have in this batch may not.
            let sent = self.send_apart(instance, sending, room);
            if let Err(error) = sent.await {
                tracing::error!(id = %self.outbox.host.id(), "sending ended early: {error}");
            }
        })
    }

    fn panicked(&self, message: &str) {
        // The processor's own panics are caught where it is called: this one is the node's.
        tracing::error!(id = %self.outbox.host.id(), "panicked: {message}");
    }
}

/// One instance. Whoever uses it last, after it was replaced, sends on what it still holds.
struct Instance {
    processor: Arc<dyn Processor>,
    outbox: Arc<Outbox>,
    /// Where its lasting state is kept, if it has some.
    memory: Option<Memory>,
}

impl Instance {
    fn new(processor: Arc<dyn Processor>, outbox: Arc<Outbox>) -> Self {
        let memory = processor.lasting().map(|_| Memory::new(outbox.name()));
        Instance { processor, outbox, memory }
    }

    /// Writes the lasting state if it `changed`.
    async fn remember(&self, changed: bool) {
        if let (true, Some(memory), Some(lasting)) = (changed, &self.memory, self.processor.lasting()) {
            memory.write(lasting, &self.outbox.host).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let mut out = Out::new(self.outbox.host.clock().now());
        if catch_unwind(AssertUnwindSafe(|| self.processor.flush(&mut out))).is_err() {
            return; // what it holds settles itself
        }
        let Collected { batches, routed, tally, .. } = out.into_collected();
        self.outbox.book(None, &tally);
        if batches.is_empty() && routed.is_empty() {
            return;
        }
        let outbox = self.outbox.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { outbox.send(batches, routed).await })),
            Err(_) => {
                let all = batches.into_iter().chain(routed.into_iter().map(|(_, batch)| batch));
                all.for_each(|batch| outbox.give_back(batch, "the collector has stopped".to_owned()));
            }
        }
    }
}

fn items(batches: &[Batch], routed: &[(usize, Batch)]) -> u64 {
    let all = batches.iter().chain(routed.iter().map(|(_, batch)| batch));
    all.map(|batch| batch.items() as u64).sum()
}

/// Items that a call ended itself.
fn ended_items(tally: &Tally) -> u64 {
    let sum = |counts: &[(Reason, u64)]| counts.iter().map(|(_, n)| n).sum::<u64>();
    tally.delivered + sum(&tally.dropped) + sum(&tally.returned)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
