//! What is known of parts that were sent in part: which of their entries are in Redis already.
//!
//! A part is known by where its bytes lie: a retry has the same ones. They are kept until the part is done, or nobody else
//! has them any more.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The parts that are under way or half done.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Part>,
    /// Slots that are free again, and the next one that never was used.
    free: BTreeSet<u32>,
    slots: u32,
    serial: u64,
}

/// One part, and how far it came.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Bytes,
    /// A number that no other part has at the same time.
    pub slot: u32,
    /// A number that no other part of this process has.
    pub serial: u64,
    done: Vec<bool>,
}

impl Part {
    /// Whether an entry is in Redis.
    pub fn is_done(&self, entry: usize) -> bool {
        self.done.get(entry).copied().unwrap_or(false)
    }

    /// An entry is in Redis.
    pub fn set_done(&mut self, entry: usize) {
        if self.done.len() <= entry {
            self.done.resize(entry + 1, false);
        }
        if let Some(place) = self.done.get_mut(entry) {
            *place = true;
        }
    }
}

/// An attempt at some parts. What it learned is kept when it ends, also when it is dropped.
pub(super) struct Attempt<'a> {
    progress: &'a Progress,
    pub parts: Vec<Part>,
}

impl Progress {
    /// Begins an attempt, or goes on where the last one at these parts stopped.
    pub fn begin(&self, parts: &[Bytes]) -> Attempt<'_> {
        let mut state = self.lock();
        state.sweep();
        let parts = parts.iter().map(|bytes| state.take(bytes)).collect();
        Attempt { progress: self, parts }
    }

    /// Looks at a part that was sent in part.
    pub fn of<T>(&self, bytes: &Bytes, look: impl FnOnce(&Part) -> T) -> Option<T> {
        let state = self.lock();
        let found = state.waiting.iter().find(|part| is_same(&part.bytes, bytes));
        found.filter(|part| part.done.contains(&true)).map(look)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes: &Bytes) -> Part {
        if let Some(at) = self.waiting.iter().position(|part| is_same(&part.bytes, bytes)) {
            return self.waiting.swap_remove(at);
        }
        let slot = self.free.pop_first().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.serial += 1;
        Part { bytes: bytes.clone(), slot, serial: self.serial, done: Vec::new() }
    }

    /// Forgets parts that nobody will send again.
    fn sweep(&mut self) {
        let State { waiting, free, .. } = self;
        waiting.retain(|part| {
            let is_wanted = !part.bytes.is_unique();
            if !is_wanted {
                free.insert(part.slot);
            }
            is_wanted
        });
    }
}

impl Attempt<'_> {
    /// All entries are in Redis.
    pub fn finish(mut self) {
        let parts = std::mem::take(&mut self.parts);
        self.progress.lock().free.extend(parts.iter().map(|part| part.slot));
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.parts.is_empty() {
            self.progress.lock().waiting.append(&mut self.parts);
        }
    }
}

fn is_same(a: &Bytes, b: &Bytes) -> bool {
    std::ptr::eq(a.as_ptr(), b.as_ptr()) && a.len() == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_goes_on_where_the_last_one_stopped_also_when_that_was_dropped() {
        let (progress, part, other) = (Progress::default(), Bytes::from(vec![1]), Bytes::from(vec![1]));
        let mut attempt = progress.begin(&[part.clone(), other.clone()]);
        attempt.parts[0].set_done(2);
        let (slot, serial) = (attempt.parts[0].slot, attempt.parts[0].serial);
        drop(attempt);
        assert_eq!(progress.of(&part, |part| part.is_done(2)), Some(true));
        assert_eq!(progress.of(&other, |_| ()), None, "nothing of it is done");
        let attempt = progress.begin(std::slice::from_ref(&part));
        let again = &attempt.parts[0];
        assert_eq!((again.slot, again.serial), (slot, serial));
        assert!(again.is_done(2) && !again.is_done(0) && !again.is_done(9));
        attempt.finish();
        assert_eq!(progress.of(&part, |_| ()), None);
        assert!(!progress.begin(&[part]).parts[0].is_done(2), "the same bytes later are another part");
    }

    #[test]
    fn slots_are_not_shared_and_those_of_parts_that_were_given_up_are_used_again() {
        let progress = Progress::default();
        let parts: Vec<Bytes> = (0..3).map(|n| Bytes::from(vec![n])).collect();
        let attempt = progress.begin(&parts);
        let slots: BTreeSet<u32> = attempt.parts.iter().map(|part| part.slot).collect();
        assert_eq!(slots, BTreeSet::from([0, 1, 2]));
        drop(attempt);
        drop(parts);
        let next = Bytes::from(vec![9]);
        assert_eq!(progress.begin(&[next]).parts[0].slot, 0);
        assert!(progress.lock().waiting.len() <= 1, "given up parts are not kept");
    }
}
