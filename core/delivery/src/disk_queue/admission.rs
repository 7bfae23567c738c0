//! Who is let into a queue on disk, and whose data goes when it is full.

use std::sync::{Mutex, MutexGuard, PoisonError};

use streamgauge_component::{Batch, Sizer};
use tokio::time::Instant;

use super::shares::Shares;
use crate::lanes::Refusal;
use crate::source::Sources;

/// Shares by source. What an earlier run left is nobody's.
pub(super) struct Admission {
    sources: Sources,
    state: Mutex<State>,
}

struct State {
    shares: Shares,
    sizer: Sizer,
    capacity: u64,
}

/// What a batch takes, in each measure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) requests: u64,
    pub(super) items: u64,
    pub(super) bytes: u64,
}

/// What a batch takes, and of whose share.
#[derive(Clone, Copy)]
pub(super) struct Share {
    source: u64,
    pub(super) size: Size,
}

/// Whose data may be dropped.
#[derive(Clone, Copy)]
pub(super) enum Victims {
    Of(u64),
    WhoIsOver,
    Anybody,
}

impl Admission {
    pub(super) fn new() -> Self {
        let shares = Shares::new(Instant::now());
        Admission {
            sources: Sources::default(),
            state: Mutex::new(State { shares, sizer: Sizer::Requests, capacity: 0 }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source of a batch.
    pub(super) fn source(&self, batch: &Batch) -> u64 {
        self.sources.key(&batch.context)
    }

    pub(super) fn share(&self, batch: &Batch) -> Share {
        Share { source: self.source(batch), size: Size::of(batch) }
    }

    /// Gives a batch its room. One larger than the whole queue goes into an empty one.
    pub(super) fn admit(&self, batch: &Batch, sizer: Sizer, used: u64, capacity: u64) -> Result<(), Refusal> {
        let share = self.share(batch);
        let now = Instant::now();
        let mut state = self.lock();
        if state.sizer != sizer {
            // Another queue goes on with the log, and counts in another measure.
            state.shares = Shares::new(now);
        }
        (state.sizer, state.capacity) = (sizer, capacity);
        let need = share.size.by(sizer).min(capacity);
        state.shares.ask(share.source, need, used, capacity, now)?;
        state.shares.take(share.source, need, used, capacity);
        Ok(())
    }

    /// A batch that had its room has gone.
    pub(super) fn left(&self, batch: &Batch) {
        self.release(self.share(batch));
    }

    pub(super) fn release(&self, share: Share) {
        let mut state = self.lock();
        let room = share.size.by(state.sizer).min(state.capacity);
        state.shares.release(share.source, room);
    }

    /// Begins anew.
    pub(super) fn forget(&self) {
        self.lock().shares = Shares::new(Instant::now());
    }

    /// Who has to make room: the source itself where it has its share, else one who has more than that, else whoever has
    /// waited longest.
    pub(super) fn victims(&self, for_whom: &Batch, refusal: Refusal) -> Victims {
        let state = self.lock();
        match refusal {
            Refusal::Share => Victims::Of(self.source(for_whom)),
            Refusal::Full if state.shares.any_is_over(state.capacity) => Victims::WhoIsOver,
            Refusal::Full => Victims::Anybody,
        }
    }
}

impl Victims {
    pub(super) fn are_all(self) -> bool {
        matches!(self, Victims::Anybody)
    }

    /// Whether a batch in the queue is one of theirs. `is_old`: an earlier run left it, it is nobody's.
    pub(super) fn has(self, admission: &Admission, batch: &Batch, is_old: bool) -> bool {
        match self {
            Victims::Anybody => true,
            _ if is_old => false,
            Victims::Of(source) => admission.source(batch) == source,
            Victims::WhoIsOver => {
                let (source, state) = (admission.source(batch), admission.lock());
                state.shares.is_over(source, state.capacity)
            }
        }
    }
}

impl Size {
    fn of(batch: &Batch) -> Self {
        Size { requests: 1, items: batch.items() as u64, bytes: batch.bytes() as u64 }
    }

    fn by(self, sizer: Sizer) -> u64 {
        match sizer {
            Sizer::Requests => self.requests,
            Sizer::Items => self.items,
            Sizer::Bytes => self.bytes,
        }
    }

    pub(super) fn come(&mut self, batch: &Batch) {
        let size = Size::of(batch);
        self.requests += size.requests;
        self.items += size.items;
        self.bytes += size.bytes;
    }

    pub(super) fn leave(&mut self, batch: &Batch) {
        let size = Size::of(batch);
        self.requests -= size.requests;
        self.items -= size.items;
        self.bytes -= size.bytes;
    }
}
