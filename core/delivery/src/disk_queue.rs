//! The queue on disk: `sending_queue.storage`.
//!
//! A batch is a record of a log; its sources hear `Delivered` when that is durable. What the peer has, or will never take,
//! settles the record; everything else stays: for another round, and for the next start.
//!
//! - [`store`]: the log, and what of it is where.
//! - [`appender`]: the one task that writes.
//! - [`admission`]: who is let in, and whose data goes when it is full.

mod admission;
mod appender;
mod gauges;
mod shares;
mod shown;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use streamgauge_component::storage::StorageError;
use streamgauge_component::{
    BoxFuture, Host, Node, Outcome, QueueSettings, Reason, Signal, Sizer, State, WhenFull,
};
use tokio::sync::{Notify, OnceCell, oneshot, watch};

use self::appender::Entry;
use self::store::{Step, Store};
use crate::lanes::Refusal;
use crate::load::{Account, Load};
use crate::queue::Queue;
use crate::stop::Stop;

/// What a sender that was refused should wait.
const DELAY: Duration = Duration::from_secs(1);
/// How long a sender waits for a storage that is being opened for the first time.
const OPENING: Duration = Duration::from_secs(5);
/// Waits between tries to open it.
const TRIES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// A store of this process, by directory and name: shared by a queue and the one that replaces it.
pub(crate) type Shared = OnceCell<Store>;

type Gate = tokio::sync::Mutex<()>;

/// Keeps what it holds on the disk.
pub(crate) struct DiskQueue(Arc<Inner>);

struct Inner {
    storage: String,
    /// Of the log.
    name: String,
    sizer: Sizer,
    capacity: u64,
    when_full: WhenFull,
    signal: Signal,
    host: Host,
    node: Arc<Node>,
    stop: Arc<Stop>,
    opened: watch::Sender<Opened>,
    /// The store that it is a user of. What it takes over from another queue it has before it opens it: nobody closes it
    /// between the two.
    stake: Mutex<Option<Arc<Shared>>>,
    open: Notify,
    phase: watch::Sender<Phase>,
    /// For what is read back; gone once nothing more is.
    account: Mutex<Option<Account>>,
    /// Those who wait for room: in order, the first of each source at the same time.
    gates: Mutex<HashMap<u64, Weak<Gate>>>,
}

#[derive(Clone)]
enum Opened {
    NotYet,
    Failed(StorageProblem),
    /// And its place.
    Store(Arc<Shared>, Arc<str>),
}

/// In words.
type StorageProblem = Arc<str>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes nothing, hands out what it has.
    Closed,
    /// Another queue goes on with the store.
    Left,
}

impl DiskQueue {
    /// Does nothing before it is opened.
    pub(crate) fn new(
        settings: &QueueSettings,
        storage: &str,
        signal: Signal,
        host: &Host,
        stop: Arc<Stop>,
        account: &Account,
    ) -> Self {
        let inner = Arc::new(Inner {
            storage: storage.to_owned(),
            name: format!("exporter/{}/{}", host.id(), signal.name()),
            sizer: settings.sizer,
            capacity: settings.queue_size.max(1) as u64,
            when_full: settings.overflow(),
            signal,
            host: host.clone(),
            node: account.node.clone(),
            stop,
            opened: watch::Sender::new(Opened::NotYet),
            stake: Mutex::default(),
            open: Notify::new(),
            phase: watch::Sender::new(Phase::Open),
            account: Mutex::new(Some(account.clone())),
            gates: Mutex::default(),
        });
        tokio::spawn(inner.clone().keep_opening());
        DiskQueue(inner)
    }
}

impl Inner {
    /// Tries until the storage is there. Meanwhile senders are told to come again.
    async fn keep_opening(self: Arc<Self>) {
        let mut phase = self.phase.subscribe();
        let closed = phase.wait_for(|phase| *phase != Phase::Open);
        tokio::pin!(closed);
        tokio::select! {
            () = self.open.notified() => {}
            _ = &mut closed => return,
        }
        let mut waits = TRIES.into_iter();
        let mut wait = Duration::ZERO;
        loop {
            let problem = match self.try_open().await {
                Ok((shared, place)) => {
                    if wait > Duration::ZERO {
                        self.host.report(State::Ok, None);
                    }
                    self.opened.send_replace(Opened::Store(shared, place));
                    return;
                }
                Err(problem) => format!("sending queue on disk: {problem}"),
            };
            self.host.report(State::Recoverable, Some(problem.clone()));
            self.opened.send_replace(Opened::Failed(problem.into()));
            wait = waits.next().unwrap_or(wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = &mut closed => return,
            }
        }
    }

    async fn try_open(&self) -> Result<(Arc<Shared>, Arc<str>), String> {
        let storage = self.host.storage(&self.storage).map_err(|error| error.to_string())?;
        let key = self.key().ok_or("the storage is gone")?;
        let shared: Arc<Shared> = self.host.shared(&key, OnceCell::new);
        let of = (self.signal, &self.host, &self.node);
        let counts_items = self.sizer == Sizer::Items;
        let first = shared.get_or_try_init(|| Store::open(&storage, &self.name, of, counts_items)).await;
        let store = first.map_err(|error| error.to_string())?;
        self.join(&shared, store);
        store.core.gauges.capacity(self.sizer, self.capacity);
        store.core.gauges.read(&store.core);
        Ok((shared, key.into()))
    }

    /// One user more, unless it is one already.
    fn join(&self, shared: &Arc<Shared>, store: &Store) {
        let mut stake = self.stake.lock().unwrap_or_else(PoisonError::into_inner);
        if stake.is_none() {
            store.users.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            *stake = Some(shared.clone());
        }
    }

    /// The log's place, as far as the storage is there.
    fn key(&self) -> Option<String> {
        let storage = self.host.storage(&self.storage).ok()?;
        Some(format!("queue on disk: {}: {}", storage.settings().directory.display(), self.name))
    }

    async fn put(&self, mut load: Load) -> Result<(), Load> {
        let shared = match self.opened().await {
            Ok(shared) => shared,
            Err(_) if self.is_closed() => return Err(load),
            Err(problem) => {
                refuse(load, Reason::StorageUnavailable, problem);
                return Ok(());
            }
        };
        let Some(store) = shared.get() else { return Err(load) };
        let core = &store.core;
        let waits = self.when_full == WhenFull::Block
            || (load.batch().context.answered && self.when_full == WhenFull::Refuse);
        let gate = waits.then(|| self.gate(core.admission.source(load.batch())));
        let mut turn = None;
        loop {
            if self.is_closed() {
                return Err(load);
            }
            let room = core.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let entered = core.enter(load.batch(), self.sizer, self.capacity);
            if entered.is_ok() {
                let (done, durable) = oneshot::channel();
                if let Err(entry) = store.send(Entry { load, done }) {
                    core.turn_away(entry.load.batch());
                    return Err(entry.load);
                }
                // The task that writes outlives everybody who sends to it.
                match durable.await {
                    Ok(Ok(())) | Err(_) => return Ok(()),
                    Ok(Err((back, StorageError::Full { .. }))) => load = back, // the disk's own quota
                    Ok(Err((back, StorageError::Closed { .. }))) => return Err(back),
                    Ok(Err((back, error @ StorageError::TooLarge { .. }))) => {
                        back.settle(&Outcome::rejected_with(Reason::TooLarge, error.to_string()));
                        return Ok(());
                    }
                    Ok(Err((back, error))) => {
                        core.failed(&error);
                        refuse(back, Reason::StorageUnavailable, error.to_string().into());
                        return Ok(());
                    }
                }
            }
            let refusal = entered.err().unwrap_or(Refusal::Full);
            if let Some(gate) = &gate {
                if turn.is_none() {
                    turn = Some(gate.lock().await);
                    continue; // there may be room by now
                }
                tokio::select! {
                    () = room => {}
                    () = self.left_open() => {}
                    () = self.stop.passed() => {
                        load.settle(&Outcome::retry(Reason::Stopping));
                        return Ok(());
                    }
                }
            } else {
                let victims = core.admission.victims(load.batch(), refusal);
                if self.when_full != WhenFull::DropOldest || !core.drop_oldest(victims).await {
                    refuse(load, Reason::QueueFull, "sending queue is full".into());
                    return Ok(());
                }
            }
        }
    }

    fn gate(&self, source: u64) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(&source).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::<Gate>::default();
        gates.insert(source, Arc::downgrade(&gate));
        gate
    }

    async fn next(&self) -> Option<Load> {
        let load = self.next_or_none().await;
        if load.is_none() {
            self.account.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        load
    }

    async fn next_or_none(&self) -> Option<Load> {
        let mut opened = self.opened.subscribe();
        let shared = tokio::select! {
            biased;
            store = opened.wait_for(|opened| matches!(opened, Opened::Store(..))) => match &*store.ok()? {
                Opened::Store(shared, _) => shared.clone(),
                Opened::NotYet | Opened::Failed(_) => return None,
            },
            () = self.left_open() => return None,
        };
        let core = &shared.get()?.core;
        let mut reading = tokio::select! {
            reading = core.reading.lock() => reading,
            () = self.left() => return None,
        };
        let mut rest = Duration::ZERO;
        loop {
            if *self.phase.borrow() == Phase::Left || (self.is_closed() && self.stop.is_over()) {
                return None;
            }
            match core.step(&mut reading) {
                Step::Send(id, batch) => {
                    let account = self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
                    return Some(Load::new(core.watch(id, batch), account));
                }
                Step::Read => match core.read(&mut reading).await {
                    Ok(()) => rest = Duration::ZERO,
                    Err(error) => {
                        core.failed(&error);
                        rest = (rest * 2).clamp(Duration::from_millis(100), Duration::from_secs(10));
                        tokio::select! {
                            () = tokio::time::sleep(rest) => {}
                            () = self.left_open() => return None,
                        }
                    }
                },
                Step::Wait(_) if self.is_closed() => return None,
                Step::Wait(limit) => {
                    let time = async {
                        match limit {
                            Some(limit) => tokio::time::sleep(limit).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = core.changed.notified() => {}
                        () = self.left_open() => {}
                        () = time => {}
                    }
                }
            }
        }
    }

    /// The store, as soon as it is known whether there is one.
    async fn opened(&self) -> Result<Arc<Shared>, StorageProblem> {
        tokio::select! {
            () = self.tried() => match &*self.opened.borrow() {
                Opened::Store(shared, _) => Ok(shared.clone()),
                Opened::Failed(problem) => Err(problem.clone()),
                Opened::NotYet => Err("the collector is stopping".into()),
            },
            () = tokio::time::sleep(OPENING) => Err("sending queue on disk: it is being opened".into()),
            () = self.left_open() => Err("the collector is stopping".into()),
        }
    }

    async fn tried(&self) {
        let _ = self.opened.subscribe().wait_for(|opened| !matches!(opened, Opened::NotYet)).await;
    }

    fn is_closed(&self) -> bool {
        *self.phase.borrow() != Phase::Open
    }

    async fn left_open(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Open).await;
    }

    async fn left(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Left).await;
    }
}

fn refuse(load: Load, reason: Reason, detail: Arc<str>) {
    load.settle(&Outcome::Retry { reason, after: Some(DELAY), answered: false, detail: Some(detail) });
}

impl Queue for DiskQueue {
    fn open(&self) {
        self.0.open.notify_one();
    }

    fn tried(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::select! {
                () = self.0.tried() => {}
                () = self.0.left_open() => {}
            }
        })
    }

    fn put(&self, load: Load) -> BoxFuture<'_, Result<(), Load>> {
        Box::pin(self.0.put(load))
    }

    fn next(&self) -> BoxFuture<'_, Option<Load>> {
        Box::pin(self.0.next())
    }

    fn close(&self) {
        self.0.phase.send_if_modified(|phase| {
            *phase == Phase::Open && {
                *phase = Phase::Closed;
                true
            }
        });
    }

    fn hand_over(&self) {
        self.close();
    }

    fn leave(&self) {
        self.0.phase.send_replace(Phase::Left);
    }

    fn place(&self) -> Option<String> {
        match &*self.0.opened.borrow() {
            Opened::Store(_, place) => Some(place.to_string()),
            Opened::NotYet | Opened::Failed(_) => self.0.key(),
        }
    }

    fn kept(&self) -> u64 {
        match &*self.0.opened.borrow() {
            Opened::Store(shared, _) => shared.get().map_or(0, |store| store.core.kept()),
            Opened::NotYet | Opened::Failed(_) => 0,
        }
    }

    fn store(&self) -> Option<Arc<Shared>> {
        self.0.stake.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_over(&self, shared: Arc<Shared>) {
        if let Some(store) = shared.get() {
            self.0.join(&shared, store);
        }
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.0.opened.send_replace(Opened::NotYet);
            let stake = self.0.stake.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(store) = stake.as_deref().and_then(OnceCell::get) {
                store.leave().await;
            }
        })
    }
}
