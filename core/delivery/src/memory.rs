//! The queue in memory.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use streamgauge_component::{
    Batch, BoxFuture, Host, Instrument, InstrumentKind, Outcome, QueueSettings, Reason, Signal, Sizer,
    WhenFull,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::lanes::Lanes;
use crate::load::Load;
use crate::queue::Queue;
use crate::source::Sources;
use crate::stop::Stop;

/// What a sender that was refused by a full queue should wait: about as long as a small back-off of its own.
const FULL_QUEUE_DELAY: Duration = Duration::from_secs(1);

/// Holds loads in memory. Its size is counted from taking until settling, by the sizer.
pub(crate) struct MemoryQueue(Arc<Inner>);

struct Inner {
    sizer: Sizer,
    capacity: usize,
    when_full: WhenFull,
    wait_for_result: bool,
    stop: Arc<Stop>,
    sources: Sources,
    state: Mutex<State>,
    /// Something was put in, or the queue was closed.
    changed: Notify,
    used: Arc<Instrument>,
}

struct State {
    lanes: Lanes<Load, Waiter>,
    closed: bool,
    last_waiter: u64,
}

/// Somebody who waits for room, with what needs it.
struct Waiter {
    id: u64,
    lane: u64,
    load: Load,
    ticket: Arc<Ticket>,
    /// Dropped or sent, it ends the wait.
    _granted: oneshot::Sender<()>,
}

/// The room of one load; given back when the last of its parts is settled.
struct Ticket {
    queue: Arc<Inner>,
    need: usize,
    /// The lane that the room was taken in, once it was.
    taken: OnceLock<u64>,
    _settled: Option<oneshot::Sender<()>>,
}

/// What a try to get in came to.
enum Entry {
    In,
    Waits {
        lane: u64,
        id: u64,
        granted: oneshot::Receiver<()>,
    },
    Full(Load),
    Closed(Load),
    /// What to lose before the next try.
    Loses {
        victim: Load,
        load: Load,
    },
}

impl MemoryQueue {
    pub(crate) fn new(settings: &QueueSettings, signal: Signal, host: &Host, stop: Arc<Stop>) -> Self {
        let capacity = settings.queue_size.max(1);
        let unit = match settings.sizer {
            Sizer::Requests => "{request}",
            Sizer::Items => "{item}",
            Sizer::Bytes => "By",
        };
        let gauge = |name, help| {
            let attributes = vec![("data_type", signal.name().to_owned())];
            host.instrument(InstrumentKind::Gauge, name, unit, help, attributes)
        };
        let used =
            gauge("otelcol_exporter_queue_size", "What the sending queue holds, counted by its sizer.");
        let bound = gauge("otelcol_exporter_queue_capacity", "What the sending queue can hold.");
        bound.value.set(capacity as u64);
        let lanes = Lanes::new(capacity, Instant::now());
        MemoryQueue(Arc::new(Inner {
            sizer: settings.sizer,
            capacity,
            when_full: settings.overflow(),
            wait_for_result: settings.wait_for_result,
            stop,
            sources: Sources::default(),
            state: Mutex::new(State { lanes, closed: false, last_waiter: 0 }),
            changed: Notify::new(),
            used,
        }))
    }

    async fn enter(&self, mut load: Load) -> Result<(), Load> {
        let inner = &self.0;
        let waits = inner.when_full == WhenFull::Block
            || (load.batch().context.answered && inner.when_full == WhenFull::Refuse);
        let need = inner.need(load.batch());
        let source = inner.sources.key(&load.batch().context);
        let (tell, settled) = if inner.wait_for_result {
            let (tell, settled) = oneshot::channel();
            (Some(tell), Some(settled))
        } else {
            (None, None)
        };
        let ticket = Arc::new(Ticket { queue: inner.clone(), need, taken: OnceLock::new(), _settled: tell });
        load.hold(&ticket);
        loop {
            match inner.try_enter(load, &ticket, source, waits) {
                Entry::In => break,
                Entry::Waits { lane, id, granted } => {
                    let mut place = Place { inner, lane, id, granted: Some(granted) };
                    place.wait().await;
                    break;
                }
                Entry::Full(load) => {
                    let (reason, after) = (Reason::QueueFull, Some(FULL_QUEUE_DELAY));
                    let detail = Some("sending queue is full".into());
                    load.settle(&Outcome::Retry { reason, after, answered: false, detail });
                    return Ok(());
                }
                Entry::Closed(load) => return Err(load),
                Entry::Loses { victim, load: next } => {
                    let why = "the sending queue was full and dropped what had waited longest";
                    victim.settle(&Outcome::rejected_with(Reason::DropOldest, why));
                    load = next;
                }
            }
        }
        drop(ticket);
        if let Some(settled) = settled {
            let _ = settled.await; // its end means that the last part is settled
        }
        Ok(())
    }

    /// Ends the waits for room, and gives what waited.
    fn end(&self, state: &mut State) -> Vec<Waiter> {
        state.closed = true;
        self.0.changed.notify_one();
        state.lanes.leave_all()
    }
}

impl Queue for MemoryQueue {
    fn put(&self, load: Load) -> BoxFuture<'_, Result<(), Load>> {
        Box::pin(self.enter(load))
    }

    fn next(&self) -> BoxFuture<'_, Option<Load>> {
        Box::pin(async {
            loop {
                let changed = self.0.changed.notified();
                let (load, closed) = {
                    let mut state = self.0.lock();
                    (state.lanes.pop(), state.closed)
                };
                if load.is_some() || closed {
                    return load;
                }
                changed.await;
            }
        })
    }

    fn close(&self) {
        let waiters = self.end(&mut self.0.lock());
        for waiter in waiters {
            waiter.load.settle(&Outcome::retry(Reason::Stopping));
        }
    }

    fn hand_over(&self) {
        let mut state = self.0.lock();
        for waiter in self.end(&mut state) {
            state.lanes.push(waiter.lane, waiter.load);
        }
    }
}

impl Inner {
    /// How much room a batch takes. One larger than the whole queue takes all of it: it would never fit
    /// otherwise, and its sender would retry for ever.
    fn need(&self, batch: &Batch) -> usize {
        let size = match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => batch.items(),
            Sizer::Bytes => batch.bytes(),
        };
        size.min(self.capacity)
    }

    fn try_enter(&self, load: Load, ticket: &Arc<Ticket>, source: u64, waits: bool) -> Entry {
        let need = ticket.need;
        let mut state = self.lock();
        let state = &mut *state;
        if state.closed {
            return Entry::Closed(load);
        }
        let lane = state.lanes.lane(source, Instant::now());
        let Err(refusal) = state.lanes.take(lane, need) else {
            self.let_in(state, lane, load, ticket);
            return Entry::In;
        };
        if waits {
            state.last_waiter += 1;
            let id = state.last_waiter;
            let (tell, granted) = oneshot::channel();
            state.lanes.want(lane, need, Waiter { id, lane, load, ticket: ticket.clone(), _granted: tell });
            self.grant(state);
            return Entry::Waits { lane, id, granted };
        }
        if self.when_full == WhenFull::DropOldest
            && let Some(victim) = state.lanes.pop_oldest(lane, refusal)
        {
            return Entry::Loses { victim, load };
        }
        Entry::Full(load)
    }

    fn grant(&self, state: &mut State) {
        while let Some((lane, waiter)) = state.lanes.grant() {
            self.let_in(state, lane, waiter.load, &waiter.ticket);
        }
    }

    fn let_in(&self, state: &mut State, lane: u64, load: Load, ticket: &Ticket) {
        let _ = ticket.taken.set(lane); // once
        state.lanes.push(lane, load);
        self.used.value.set(state.lanes.used() as u64);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(lane) = self.taken.get() {
            let mut state = self.queue.lock();
            state.lanes.release(*lane, self.need);
            self.queue.used.value.set(state.lanes.used() as u64);
            self.queue.grant(&mut state);
        }
    }
}

/// A place among those who wait for room. Given up, the load leaves with it.
struct Place<'a> {
    inner: &'a Inner,
    lane: u64,
    id: u64,
    granted: Option<oneshot::Receiver<()>>,
}

impl Place<'_> {
    /// Until there is room, the queue is closed, or the stop leaves no time to wait any longer.
    async fn wait(&mut self) {
        let Some(granted) = self.granted.as_mut() else { return };
        tokio::select! {
            _ = granted => {}
            () = self.inner.stop.passed() => {
                if let Some(load) = self.leave() {
                    load.settle(&Outcome::retry(Reason::Stopping));
                }
            }
        }
        self.granted = None;
    }

    fn leave(&self) -> Option<Load> {
        let mut state = self.inner.lock();
        let waiter = state.lanes.leave(self.lane, |waiter| waiter.id == self.id);
        self.inner.grant(&mut state); // whoever stood behind may fit
        waiter.map(|waiter| waiter.load)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.granted.is_some() {
            drop(self.leave()); // with its own lock released
        }
    }
}
