//! A part on its way through the pipelines, and what is heard of it.

use std::sync::{Arc, Mutex, PoisonError};

use streamgauge_component::{Ack, Batch, Context, Outcome, Part, Source};
use tokio::sync::mpsc::UnboundedSender;

use super::config::AckOn;
use super::gate::Pass;
use super::job::Job;
use super::keeper::Event;
use super::part::Held;

/// A part while nobody has settled it.
struct Offer {
    job: Arc<Job>,
    tell: UnboundedSender<Event>,
    state: Mutex<State>,
    /// Its entries, for the books.
    entries: u64,
}

enum State {
    /// `is_refused` by one branch, while others are under way.
    Open {
        held: Held,
        is_refused: bool,
    },
    /// Acknowledged as it was accepted.
    LetGo,
    Settled,
}

/// Offers a part; what becomes of it is told to the keeper. `pass` is given back when the pipelines hold it.
pub(super) fn offer(job: &Arc<Job>, tell: &UnboundedSender<Event>, mut held: Held, pass: Pass) {
    let Some(outlet) = job.outlets.get(held.signal).cloned() else { return };
    held.offers += 1;
    let (signal, bytes, items, entries) =
        (held.signal, held.bytes.clone(), held.items, held.entries() as u64);
    let context = Arc::new(Context::new(job.host.id().clone(), job.host.clock().wall()));
    let state = Mutex::new(State::Open { held, is_refused: false });
    let offer = Arc::new(Offer { job: job.clone(), tell: tell.clone(), state, entries });
    let part = Part { bytes: bytes.into(), items, ack: Ack::to(offer.clone()) };
    tokio::spawn(async move {
        outlet.consume(Batch::of(signal, context, part)).await;
        drop(pass);
        if offer.job.config.ack.on == AckOn::Accepted {
            offer.accepted();
        }
    });
}

impl Offer {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pipelines have it, and nobody has refused so far.
    fn accepted(&self) {
        let mut state = self.state();
        if matches!(&*state, State::Open { is_refused: false, .. })
            && let State::Open { held, .. } = std::mem::replace(&mut *state, State::LetGo)
        {
            let _ = self.tell.send(Event::Settled(held, Outcome::Delivered));
        }
    }
}

impl Source for Offer {
    fn settle(&self, outcome: Outcome) {
        match std::mem::replace(&mut *self.state(), State::Settled) {
            State::Open { held, .. } => {
                // Without a keeper the process ends: the entries stay pending.
                let _ = self.tell.send(Event::Settled(held, outcome));
            }
            State::LetGo if outcome != Outcome::Delivered => {
                self.job.counters.lost_after_accept.value.add(self.entries);
            }
            State::LetGo | State::Settled => {}
        }
    }

    fn warn(&self, _: &Outcome) {
        if let State::Open { is_refused, .. } = &mut *self.state() {
            *is_refused = true;
        }
    }

    fn can_replay(&self) -> bool {
        matches!(&*self.state(), State::Open { .. })
    }
}
