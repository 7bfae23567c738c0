//! Processors and connectors: synchronous state machines.

use std::time::Instant;

use bytes::Bytes;
use streamgauge_pdata::Signal;

use crate::ack::Ack;
use crate::batch::{Batch, Part};
use crate::clock::Now;
use crate::outcome::{Outcome, Reason};

/// A synchronous state machine between two edges: no I/O, no tasks, no timers, acks only carried. State stands behind a
/// plain mutex of the processor's own. Calls may come from several threads at once. A connector is a processor whose
/// [`Out`] leads into other pipelines, by signal.
pub trait Processor: Send + Sync {
    /// Takes a batch. Everything in it leaves through `out`, is handed to `out` as ended, or is held.
    fn process(&self, batch: Batch, out: &mut Out);

    /// The time asked for by [`Out::wake_at`] has come.
    fn wake(&self, out: &mut Out) {
        let _ = out;
    }

    /// The collector stops or replaces this instance: everything held leaves now.
    fn flush(&self, out: &mut Out) {
        let _ = out;
    }

    /// What it holds right now.
    fn held(&self) -> Held {
        Held::default()
    }

    /// Its state that outlives the process, if it is configured to have some.
    fn lasting(&self) -> Option<&dyn Lasting> {
        None
    }
}

/// State that outlives the process. The engine reads it back before the first call, and writes it after each call that
/// said so by [`Out::remember`], before what that call sends goes out: what was told once is not told again.
pub trait Lasting: Send + Sync {
    /// Id of the extension that stores it.
    fn storage(&self) -> &str;

    /// The state as it is now.
    fn state(&self) -> Bytes;

    /// Takes over the state of an earlier instance, at the time of `out`.
    ///
    /// # Errors
    /// It cannot be read; nothing has changed then.
    fn restore(&self, state: &[u8], out: &mut Out) -> Result<(), String>;
}

impl Tally {
    /// Items made here, of all signals.
    pub fn created_items(&self) -> u64 {
        self.created.iter().map(|(_, n)| n).sum()
    }
}

/// What a processor holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Spans, data points or log records.
    pub items: u64,
    /// Encoded bytes.
    pub bytes: u64,
}

/// What one call counted. The engine adds it to the component's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Items made here. By signal, since a connector makes others than it takes.
    pub created: Vec<(Signal, u64)>,
    /// Items turned into the component's own state.
    pub delivered: u64,
    /// Items dropped on purpose.
    pub dropped: Vec<(Reason, u64)>,
    /// Items given back to their source.
    pub returned: Vec<(Reason, u64)>,
}

/// What one call collected.
#[derive(Debug, Default)]
pub struct Collected {
    /// Batches to send, in order.
    pub batches: Vec<Batch>,
    /// Batches to send by routes, each with the number of its route.
    pub routed: Vec<(usize, Batch)>,
    /// When to call again.
    pub wake_at: Option<Instant>,
    /// What was counted.
    pub tally: Tally,
}

/// Collects what one call of a processor sends; the engine sends it when the call has returned.
#[derive(Debug)]
pub struct Out {
    now: Now,
    batches: Vec<Batch>,
    routed: Vec<(usize, Batch)>,
    wake_at: Option<Instant>,
    tally: Tally,
    remember: bool,
}

impl Out {
    /// For one call at the given time.
    pub fn new(now: Now) -> Self {
        let (batches, routed, tally) = (Vec::new(), Vec::new(), Tally::default());
        Out { now, batches, routed, wake_at: None, tally, remember: false }
    }

    /// The time of this call.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Passes a batch on.
    pub fn send(&mut self, batch: Batch) {
        if !batch.parts.is_empty() {
            self.batches.push(batch);
        }
    }

    /// Passes a batch on to the pipelines of one of [`ComponentConfig::routes`](crate::ComponentConfig::routes), by its number.
    pub fn send_by(&mut self, route: usize, batch: Batch) {
        if !batch.parts.is_empty() {
            self.routed.push((route, batch));
        }
    }

    /// Sends what the component made itself; its parts carry no ack and count as created.
    pub fn create(&mut self, batch: Batch) {
        self.created(batch.signal, batch.items() as u64);
        self.send(batch);
    }

    /// Counts items made beside others in a part that is passed on.
    pub fn created(&mut self, signal: Signal, items: u64) {
        add(&mut self.tally.created, signal, items);
    }

    /// Ends a part well: it has become the component's own state.
    pub fn deliver(&mut self, part: Part) {
        self.tally.delivered += part.items as u64;
        part.ack.settle(Outcome::Delivered);
    }

    /// Ends a part that is dropped on purpose. The source hears that it was delivered: sending it again would help nobody.
    pub fn drop_part(&mut self, part: Part, reason: Reason) {
        self.dropped(reason, part.items as u64);
        part.ack.settle(Outcome::Delivered);
    }

    /// Ends a part that can never be processed. The source hears `Rejected`.
    pub fn reject(&mut self, part: Part, reason: Reason, detail: impl Into<std::sync::Arc<str>>) {
        self.dropped(reason, part.items as u64);
        part.ack.settle(Outcome::rejected_with(reason, detail));
    }

    /// Gives a part back to its source.
    pub fn give_back(&mut self, part: Part, outcome: Outcome) {
        match outcome.reason() {
            Some(reason) => add(&mut self.tally.returned, reason, part.items as u64),
            None => self.tally.delivered += part.items as u64,
        }
        part.ack.settle(outcome);
    }

    /// Counts items dropped on purpose out of a part that is passed on.
    pub fn dropped(&mut self, reason: Reason, items: u64) {
        add(&mut self.tally.dropped, reason, items);
    }

    /// Ends a bare ack, such as one of a part that was merged into others.
    pub fn settle(&mut self, ack: Ack, outcome: Outcome) {
        ack.settle(outcome);
    }

    /// Asks for a [`Processor::wake`] at a time. The earliest asked for since the last wake wins; ask again in `wake` for the next.
    pub fn wake_at(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |old| old.min(at)));
    }

    /// Says that [`Processor::lasting`] state has changed: it is written before anything is sent.
    pub fn remember(&mut self) {
        self.remember = true;
    }

    /// Whether lasting state has changed.
    pub fn remembers(&self) -> bool {
        self.remember
    }

    /// What was collected.
    pub fn into_collected(self) -> Collected {
        let Out { batches, routed, wake_at, tally, .. } = self;
        Collected { batches, routed, wake_at, tally }
    }

    /// The batches collected so far.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }
}

fn add<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K, items: u64) {
    match counts.iter_mut().find(|(k, _)| *k == key) {
        Some((_, n)) => *n += items,
        None => counts.push((key, items)),
    }
}
