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
            Event::Doomed(letter) => self.post.add([letter]),
            Event::Gone(stream, ids) => {
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
            Outcome::Delivered => self.acks.add(held.runs, held.grip),
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
                if *answered && (held.is_last_chance || held.tries() >= self.job.config.retry.max_deliveries)
                {
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
            Reason::PeerError | Reason::Unauthenticated => {
                self.post.add(Letter::of(held, reason.as_str(), detail))
            }
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
            Ok(halves) => halves.into_iter().for_each(|half| self.wait(half, Instant::now())),
            Err(held) => self.post.add(Letter::of(held, reason, detail)),
        }
    }

    /// Offers what has waited for long enough.
    pub(super) fn offer_again(&mut self) {
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
            let (job, tell) = (self.job.clone(), tell.clone());
            // In line with what is read: whoever asks first is served first.
            tokio::spawn(async move {
                if let Ok(permit) = job.workers.clone().acquire_owned().await {
                    offer(&job, &tell, held, permit);
                }
            });
        }
    }

    /// Nothing is offered any more.
    pub(super) fn wind_up(&mut self) {
        self.tell = None;
        for held in std::mem::take(&mut self.waiting).into_values() {
            self.job.counters.waiting.value.sub(held.entries() as u64);
            self.back.push(held);
        }
    }
}
