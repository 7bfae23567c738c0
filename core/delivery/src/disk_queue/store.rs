//! The log behind a queue, and what of it is where: on the disk only, in memory as well, or under way.
//!
//! It belongs to the log and not to a queue: a queue that replaces another at a reload goes on with the same store.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamgauge_component::storage::{Log, Reader, Record, RecordId, Storage, StorageError};
use streamgauge_component::{
    Ack, Batch, Earlier, Host, KnownQueue, Node, Outcome, Reason, Signal, Sizer, State as Health,
    StoredQueue, restored,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::admission::{Admission, Share, Size, Victims};
use super::appender::{Appender, Entry};
use super::gauges::Gauges;
use crate::lanes::Refusal;

/// Bytes that wait in memory besides the disk, so that a queue that keeps up reads nothing back.
const IN_MEMORY: usize = 8 << 20;
/// How long a record rests that came back, unless the peer asked for something else.
const REST: Duration = Duration::from_secs(1);

/// Where new records go in, and where all of them come out.
pub(crate) struct Store {
    pub(super) core: Arc<Core>,
    entries: mpsc::UnboundedSender<Entry>,
    /// Queues that use it.
    pub(super) users: AtomicUsize,
}

/// What the store, its appender and the acks of what is under way share.
pub(super) struct Core {
    pub(super) log: Log,
    /// Of the storage.
    pub(super) directory: PathBuf,
    pub(super) host: Host,
    pub(super) node: Arc<Node>,
    /// Numbers below are of an earlier run: this run's ledger meets them when they are first read.
    pub(super) boundary: u64,
    /// What the ledger of that run said of this queue.
    known: KnownQueue,
    state: Mutex<State>,
    /// There may be something to hand out.
    pub(super) changed: Notify,
    /// There may be room.
    pub(super) room: Notify,
    /// Items that came back to the disk, undelivered, since the start.
    kept: AtomicU64,
    /// Whether `State::items` has counted all there is.
    pub(super) items_known: AtomicBool,
    pub(super) gauges: Gauges,
    pub(super) admission: Admission,
    pub(super) reading: tokio::sync::Mutex<Reading>,
    dropping: tokio::sync::Mutex<Option<Dropping>>,
}

/// Where the log is being read.
pub(super) struct Reading {
    reader: Reader,
    peeked: Option<Record>,
    /// There was nothing more to read when so much had been written.
    ended_at: Option<u64>,
}

/// Where the next to be dropped is looked for.
struct Dropping {
    reader: Reader,
    /// There is something before it that was not to be dropped.
    passed_over: bool,
}

#[derive(Default)]
pub(super) struct State {
    /// The last record that is durable, and accounted for here.
    pub(super) landed: u64,
    ready: VecDeque<(RecordId, Batch)>,
    ready_bytes: usize,
    /// Records on the disk alone that wait for their turn.
    pub(super) waiting: u64,
    pub(super) in_flight: HashSet<u64>,
    /// Some came back: the log is read from its beginning again at this time.
    again_at: Option<Instant>,
    /// Of all records, as far as they were counted.
    pub(super) items: u64,
    /// What came back up to this number was purged.
    pub(super) purged: u64,
    /// Records of an earlier run up to this number were met.
    met: u64,
    /// How many of them the ledger of that run had not met.
    news: u64,
    /// All of them were.
    caught_up: bool,
    /// What the ledger holds for records of this run, and met ones, that are not under way.
    held: (u64, u64),
    /// Let in, not written yet.
    pub(super) entering: Size,
    failed: bool,
}

/// What to do next.
pub(super) enum Step {
    Send(RecordId, Batch),
    Read,
    /// Until something changes, or this long.
    Wait(Option<Duration>),
}

impl Store {
    /// `counts_items`: the items of what an earlier run left are counted first, by reading it.
    pub(super) async fn open(
        storage: &Storage,
        name: &str,
        (signal, host, node): (Signal, &Host, &Arc<Node>),
        counts_items: bool,
    ) -> Result<Store, StorageError> {
        let log = storage.log(name, None).await?;
        let boundary = log.next_number();
        let known = host.registry().earlier().take(&Earlier::key(&storage.settings().directory, name)).await;
        let known = known.unwrap_or(KnownQueue { next: 0, held: 0 });
        let mut items = 0;
        if counts_items {
            let mut reader = log.reader();
            while let Some(record) = reader.try_next().await? {
                items += restored(&record.payload).map_or(0, |batch| batch.items() as u64);
            }
        }
        let stats = log.stats();
        if stats.records > 0 {
            let (exporter, signal) = (&**host.id(), signal.name());
            tracing::info!(
                exporter,
                signal,
                requests = stats.records,
                bytes = stats.bytes,
                "what an earlier run left is sent first"
            );
        }
        let state =
            State { landed: boundary.saturating_sub(1), waiting: stats.records, items, ..State::default() };
        let reading = Reading { reader: log.reader(), peeked: None, ended_at: None };
        let core = Arc::new(Core {
            log,
            directory: storage.settings().directory.clone(),
            host: host.clone(),
            node: node.clone(),
            boundary,
            known,
            state: Mutex::new(state),
            changed: Notify::new(),
            room: Notify::new(),
            kept: AtomicU64::new(0),
            items_known: AtomicBool::new(counts_items || stats.records == 0),
            gauges: Gauges::new(signal, host),
            admission: Admission::new(),
            reading: tokio::sync::Mutex::new(reading),
            dropping: tokio::sync::Mutex::new(None),
        });
        let shown: Arc<dyn StoredQueue> = core.clone();
        host.offer_queue(&shown);
        let (entries, inlet) = mpsc::unbounded_channel();
        tokio::spawn(Appender::new(core.clone(), inlet).run());
        Ok(Store { core, entries, users: AtomicUsize::new(0) })
    }

    /// Where a load goes to become a record.
    pub(super) fn send(&self, entry: Entry) -> Result<(), Entry> {
        self.entries.send(entry).map_err(|back| back.0)
    }

    /// One queue less. The last closes the log, unless others still have of its records in hand.
    pub(super) async fn leave(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 && self.core.lock().in_flight.is_empty() {
            self.core.log.close().await;
        }
    }
}

impl Core {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items that came back to the disk, undelivered, since the start.
    pub(super) fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// What the queue holds.
    pub(super) fn used(&self, sizer: Sizer) -> u64 {
        used(&self.log, &self.lock(), sizer)
    }

    /// Lets a batch in by the queue's size, and by its source's share. One larger than the whole queue goes into an empty one.
    pub(super) fn enter(&self, batch: &Batch, sizer: Sizer, capacity: u64) -> Result<(), Refusal> {
        let mut state = self.lock();
        let used = used(&self.log, &state, sizer);
        self.admission.admit(batch, sizer, used, capacity)?;
        state.entering.come(batch);
        Ok(())
    }

    /// A batch that was let in is not written after all.
    pub(super) fn turn_away(&self, batch: &Batch) {
        self.lock().entering.leave(batch);
        self.admission.left(batch);
    }

    /// A batch is durable. Its sources have had their answer when this returns.
    pub(super) fn land(&self, id: RecordId, mut batch: Batch) {
        let (items, bytes) = (batch.items() as u64, batch.bytes());
        let acks: Vec<Ack> =
            batch.parts.iter_mut().map(|part| std::mem::replace(&mut part.ack, Ack::none())).collect();
        self.hold(items, bytes as u64);
        let mut state = self.lock();
        state.entering.leave(&batch);
        state.landed = id.number();
        state.items += items;
        state.held.0 += items;
        state.held.1 += bytes as u64;
        let fits = state.ready.is_empty() || state.ready_bytes + bytes <= IN_MEMORY;
        if state.waiting == 0 && fits {
            let context = Arc::make_mut(&mut batch.context);
            (context.answered, context.awaited) = (true, false);
            state.ready_bytes += bytes;
            state.ready.push_back((id, batch));
        } else {
            state.waiting += 1;
        }
        let recovered = std::mem::take(&mut state.failed);
        drop(state);
        self.changed.notify_one();
        if recovered {
            self.host.report(Health::Ok, None);
        }
        acks.into_iter().for_each(|ack| ack.settle(Outcome::Delivered));
    }

    /// The disk did not do what it was told.
    pub(super) fn failed(&self, error: &StorageError) {
        self.lock().failed = true;
        self.host.report(Health::Recoverable, Some(format!("sending queue on disk: {error}")));
    }

    /// What comes next, as far as it can be said without reading.
    pub(super) fn step(&self, reading: &mut Reading) -> Step {
        let mut state = self.lock();
        let state = &mut *state;
        let now = Instant::now();
        if state.again_at.is_some_and(|at| at <= now) {
            state.again_at = None;
            *reading = Reading { reader: self.log.reader(), peeked: None, ended_at: None };
        }
        let pause = state.again_at.map(|at| at - now);
        let front = state.ready.front().map(|(id, _)| id.number());
        if state.waiting == 0 {
            self.catch_up(state);
            return match front {
                Some(_) => self.send_ready(state),
                None => Step::Wait(pause),
            };
        }
        if let Some(record) = &reading.peeked {
            let number = record.id.number();
            let in_memory = state.ready.binary_search_by_key(&number, |(id, _)| id.number()).is_ok();
            if in_memory || state.in_flight.contains(&number) || !self.log.holds(record.id) {
                reading.peeked = None;
            }
        }
        match &reading.peeked {
            Some(record) if record.id.number() <= state.landed => {
                if front.is_some_and(|front| front < record.id.number()) {
                    return self.send_ready(state);
                }
                self.send_read(state, reading)
            }
            None if reading.ended_at != Some(state.landed) => Step::Read,
            // All that is accounted for was read.
            _ if front.is_some() => self.send_ready(state),
            None if pause.is_none() => {
                self.write_off(state);
                Step::Wait(None)
            }
            _ => Step::Wait(pause),
        }
    }

    /// Reads one record ahead.
    pub(super) async fn read(&self, reading: &mut Reading) -> Result<(), StorageError> {
        let landed = self.lock().landed;
        reading.peeked = reading.reader.try_next().await?;
        if reading.peeked.as_ref().is_none_or(|record| record.id.number() >= self.boundary) {
            self.catch_up(&mut self.lock());
        }
        if reading.peeked.is_none() {
            reading.ended_at = Some(landed);
        }
        Ok(())
    }

    fn send_ready(&self, state: &mut State) -> Step {
        let Some((id, batch)) = state.ready.pop_front() else { return Step::Wait(None) };
        state.ready_bytes -= batch.bytes();
        self.hand_out(state, id, &batch);
        Step::Send(id, batch)
    }

    /// The memory budget is charged. Where it is used up the record waits, unless nothing else of this queue is under
    /// way: those who hold the memory may be waiting for this very queue.
    fn send_read(&self, state: &mut State, reading: &mut Reading) -> Step {
        const LOOK_AGAIN: Duration = Duration::from_millis(50);
        let Some(record) = reading.peeked.take() else { return Step::Read };
        let payload = match self.host.budget().charge(record.payload.clone()) {
            Err(_) if !state.in_flight.is_empty() => {
                reading.peeked = Some(record);
                return Step::Wait(Some(LOOK_AGAIN));
            }
            Ok(payload) | Err(payload) => payload,
        };
        state.waiting -= 1;
        match restored(&payload) {
            Ok(batch) => {
                self.hand_out(state, record.id, &batch);
                Step::Send(record.id, batch)
            }
            Err(error) => {
                // It stays, for a version that can read it.
                let (exporter, number) = (&**self.host.id(), record.id.number());
                tracing::error!(exporter, number, %error, "a record of the sending queue stays on the disk unsent");
                state.in_flight.insert(number);
                Step::Read
            }
        }
    }

    fn hand_out(&self, state: &mut State, id: RecordId, batch: &Batch) {
        state.in_flight.insert(id.number());
        self.take_over(state, id, batch);
    }

    /// The ledger's part: whoever called counts the batch on.
    fn take_over(&self, state: &mut State, id: RecordId, batch: &Batch) {
        let (items, bytes) = (batch.items() as u64, batch.bytes() as u64);
        if self.boundary > id.number() && id.number() > state.met {
            state.met = id.number();
            self.node.created.add(items);
            if id.number() < self.known.next {
                self.node.resumed.add(items);
            } else {
                state.news += 1;
            }
            return;
        }
        state.held.0 -= items.min(state.held.0);
        state.held.1 -= bytes.min(state.held.1);
        self.node.held_items.sub(items);
        self.node.held_bytes.sub(bytes);
    }

    fn hold(&self, items: u64, bytes: u64) {
        self.node.held_items.add(items);
        self.node.held_bytes.add(bytes);
    }

    /// Gives each part of a record that goes under way its ack: the record ends with the last of them.
    pub(super) fn watch(self: &Arc<Self>, id: RecordId, mut batch: Batch) -> Batch {
        let (core, share) = (self.clone(), self.admission.share(&batch));
        let ack = Ack::new(move |outcome| core.ended(id, share, &outcome));
        let acks = ack.split(batch.parts.len());
        for (part, ack) in batch.parts.iter_mut().zip(acks) {
            part.ack = ack;
        }
        batch
    }

    fn ended(&self, id: RecordId, share: Share, outcome: &Outcome) {
        let (items, bytes) = (share.size.items, share.size.bytes);
        let mut state = self.lock();
        state.in_flight.remove(&id.number());
        let purged = id.number() <= state.purged;
        if purged && matches!(outcome, Outcome::Retry { .. }) {
            // Given back to this log, which drops it.
            self.node.created.add(items);
            self.node.dropped.add(Reason::Purged, items);
        }
        if let Outcome::Retry { after, .. } = outcome
            && !purged
        {
            self.kept.fetch_add(items, Ordering::Relaxed);
            // It was given back to its source, which is this log.
            self.node.created.add(items);
            self.hold(items, bytes);
            state.held.0 += items;
            state.held.1 += bytes;
            state.waiting += 1;
            let at = Instant::now() + after.unwrap_or(REST);
            state.again_at = Some(state.again_at.map_or(at, |earlier| earlier.min(at)));
        } else {
            self.log.settle(id);
            state.items = state.items.saturating_sub(items);
            if id.number() >= self.boundary {
                self.admission.release(share);
            }
        }
        drop(state);
        self.changed.notify_one();
        self.room.notify_waiters();
    }

    /// All that an earlier run left was met. What else that run's ledger held ended before this run, and after that ledger
    /// was last written: its peer has it, unless the disk gave some back damaged.
    fn catch_up(&self, state: &mut State) {
        if std::mem::replace(&mut state.caught_up, true) {
            return;
        }
        if self.known.next > 0 {
            let requests = self.boundary.saturating_sub(self.known.next + state.news);
            if requests > 0 {
                let queue = self.log.name();
                tracing::info!(
                    queue,
                    requests,
                    "came and went after the ledger was last stored, and are not in it"
                );
            }
        }
        let node = &self.node;
        let missing = self.known.held.saturating_sub(node.resumed.get());
        if self.log.stats().damaged_records > 0 {
            node.created.add(missing);
            node.resumed.add(missing);
            node.dropped.add(Reason::Damaged, missing);
        } else {
            node.settled_before.add(missing);
        }
    }

    /// Nothing that waits could be read: it was damaged, and set aside.
    fn write_off(&self, state: &mut State) {
        state.waiting = 0;
        let (items, bytes) = std::mem::take(&mut state.held);
        self.node.held_items.sub(items);
        self.node.held_bytes.sub(bytes);
        self.node.dropped.add(Reason::Damaged, items);
        let in_hand = !state.in_flight.is_empty() || state.entering.requests > 0;
        state.items = if in_hand { state.items.saturating_sub(items) } else { 0 };
        self.admission.forget(); // nobody knows whose it was
    }

    /// Drops the oldest of these records that is not under way; `false` when there is none.
    pub(super) async fn drop_oldest(&self, victims: Victims) -> bool {
        let mut dropping = self.dropping.lock().await;
        let start = || Dropping { reader: self.log.reader(), passed_over: false };
        if victims.are_all() && dropping.as_ref().is_some_and(|dropping| dropping.passed_over) {
            *dropping = None;
        }
        // Once from where it was, once from the beginning: what was under way then may have come back.
        for fresh in [false, true] {
            if fresh {
                *dropping = None;
            }
            let dropping = dropping.get_or_insert_with(start);
            while let Ok(Some(record)) = dropping.reader.try_next().await {
                let Ok(batch) = restored(&record.payload) else { continue };
                if !victims.has(&self.admission, &batch, record.id.number() < self.boundary) {
                    dropping.passed_over = true;
                } else if self.drop_one(&record, &batch, Reason::DropOldest) {
                    return true;
                }
            }
        }
        false
    }

    /// Drops a record unless it is under way.
    pub(super) fn drop_one(&self, record: &Record, batch: &Batch, reason: Reason) -> bool {
        let (id, number) = (record.id, record.id.number());
        let mut state = self.lock();
        if number > state.landed || state.in_flight.contains(&number) || !self.log.settle(id) {
            return false;
        }
        self.take_over(&mut state, id, batch);
        match state.ready.binary_search_by_key(&number, |(id, _)| id.number()) {
            Ok(at) => {
                state.ready_bytes -= batch.bytes();
                state.ready.remove(at);
            }
            Err(_) => state.waiting = state.waiting.saturating_sub(1),
        }
        let items = batch.items() as u64;
        state.items = state.items.saturating_sub(items);
        if number >= self.boundary {
            self.admission.left(batch);
        }
        self.node.dropped.add(reason, items);
        true
    }
}

fn used(log: &Log, state: &State, sizer: Sizer) -> u64 {
    match sizer {
        Sizer::Requests => log.stats().records + state.entering.requests,
        Sizer::Items => state.items + state.entering.items,
        Sizer::Bytes => log.stats().bytes + state.entering.bytes,
    }
}
