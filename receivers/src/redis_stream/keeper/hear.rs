//! What becomes of a part, and what follows.

use streamgauge_component::{Outcome, Reason};
use tokio::time::Instant;

use super::{Event, Keeper};
use crate::redis_stream::letter::Letter;
use crate::redis_stream::offer::offer;
use crate::redis_stream::part::Held;

impl Keeper {
    pub(super) fn hear(&mut self, event: Event) {
        match event {
            Event::Settled(held, outcome) => self.settled(held, &outcome),
            Event::Doomed(letter) => {
                self.over += 1;
                self.post.add([letter]);
            }
            Event::Gone(stream, ids) => {
                self.over += ids.len() as u64;
                self.job.counters.lost_by_trim.value.add(ids.len() as u64);
                tracing::warn!(
                    receiver = %self.job.host.id(), stream = stream.shown, entries = ids.len(),
                    "pending entries were trimmed or deleted before they were delivered"
                );
                self.trimmed.push((stream, ids));
            }
        }
    }

    fn settled(&mut self, mut held: Held, outcome: &Outcome) {
        held.heard(*outcome == Outcome::Delivered);
        let (reason, detail) = (outcome.reason(), outcome.detail());
        match outcome {
            Outcome::Delivered => {
                let entries = held.entries();
                self.acks.add(held.runs, held.grip);
                self.over(entries);
            }
            Outcome::Rejected { reason, .. } => {
                held.note(self.job.now_ms(), reason.as_str(), detail);
                self.refused(held, *reason, detail.unwrap_or(reason.as_str()));
            }
            Outcome::Retry { after, answered, .. } => {
                let name = reason.map_or("retry", Reason::as_str);
                held.note(self.job.now_ms(), name, detail);
                held.answered += u32::from(*answered);
                if !self.is_running() {
                    return self.back.push(held);
                }
                if self.is_lost() {
                    return self.let_go(held);
                }
                if *answered && (held.is_last_chance || held.is_exhausted()) {
                    return self.exhausted(held, detail.unwrap_or(name));
                }
                let wait = self.offers.after(held.offers, self.job.host.random().next());
                let at = Instant::now() + wait.max(after.unwrap_or_default());
                self.wait(held, at);
            }
        }
    }

    fn wait(&mut self, held: Held, at: Instant) {
        self.waits += 1;
        self.job.counters.waiting.value.add(held.entries() as u64);
        self.waiting.insert((at, self.waits), held);
    }

    /// It will not be taken: the entry at fault is looked for, and the others go on. A peer that refuses everything, for a
    /// reason of its own, is no entry's fault.
    fn refused(&mut self, held: Held, reason: Reason, detail: &str) {
        match reason {
            Reason::PeerError | Reason::Unauthenticated => self.give_up(held, reason.as_str(), detail),
            _ => self.halve(held, reason.as_str(), detail),
        }
    }

    /// It has had all its tries. One entry of many may be the cause: each half has one more.
    fn exhausted(&mut self, mut held: Held, detail: &str) {
        held.is_last_chance = true;
        self.halve(held, "max_deliveries", detail);
    }

    fn halve(&mut self, held: Held, reason: &'static str, detail: &str) {
        if !self.is_running() && held.entries() > 1 {
            return self.back.push(held);
        }
        match held.halve() {
            Ok([first, second]) if self.shard.is_some() => {
                self.later.push(second);
                self.wait(first, Instant::now());
            }
            Ok(halves) => halves.into_iter().for_each(|half| self.wait(half, Instant::now())),
            Err(held) => self.give_up(held, reason, detail),
        }
    }

    fn give_up(&mut self, held: Held, reason: &'static str, detail: &str) {
        let entries = held.entries();
        self.post.add(Letter::of(held, reason, detail));
        self.over(entries);
    }

    /// With some entries all is over: in order, those behind them follow.
    fn over(&mut self, entries: usize) {
        self.over += entries as u64;
        if let Some(next) = self.later.pop() {
            match self.is_running() {
                true => self.wait(next, Instant::now()),
                false => self.back.push(next),
            }
        }
    }

    /// Whether the stream is somebody else's now, who begins with what is pending.
    fn is_lost(&self) -> bool {
        self.shard.as_ref().is_some_and(|shard| !shard.holds())
    }

    fn let_go(&mut self, held: Held) {
        self.over += held.entries() as u64;
    }

    /// Lets go of all that waits to be offered.
    fn let_all_go(&mut self) {
        for held in std::mem::take(&mut self.waiting).into_values() {
            self.job.counters.waiting.value.sub(held.entries() as u64);
            self.let_go(held);
        }
        while let Some(held) = self.later.pop() {
            self.let_go(held);
        }
    }

    /// Offers what has waited for long enough.
    pub(super) fn offer_again(&mut self) {
        if self.is_lost() {
            return self.let_all_go();
        }
        let Some(tell) = self.tell.clone() else { return };
        let now = Instant::now();
        while let Some(first) = self.waiting.first_entry() {
            if first.key().0 > now {
                break;
            }
            let held = first.remove();
            let entries = held.entries() as u64;
            self.job.counters.waiting.value.sub(entries);
            self.job.counters.offered_again.value.add(entries);
            // In line with what is read: of one level, whoever asks first is served first.
            let (job, tell, ticket) = (self.job.clone(), tell.clone(), self.job.gate.queue(held.level));
            tokio::spawn(async move {
                if let Ok(pass) = ticket.await {
                    offer(&job, &tell, held, pass);
                }
            });
        }
    }

    /// Nothing is offered any more.
    pub(super) fn wind_up(&mut self) {
        self.tell = None;
        self.back.append(&mut self.later);
        for held in std::mem::take(&mut self.waiting).into_values() {
            self.job.counters.waiting.value.sub(held.entries() as u64);
            self.back.push(held);
        }
    }
}
