//! Who may have how much of a queue on disk: the shares of `Lanes`, for records that have no lane to wait in. Plain state:
//! time is handed in.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::lanes::{MOST, OTHERS, REMEMBERED, Refusal, SWEEP};

/// Up to half of the capacity everybody takes what comes; above it every source has an equal share of the other half.
/// What nobody is known to have brought, that of an earlier run, counts as used and is nobody's share.
pub(super) struct Shares {
    sources: HashMap<u64, Source>,
    swept: Instant,
}

struct Source {
    held: u64,
    /// What of it was taken while the queue was more than half full. Room given back is counted off here first.
    above: u64,
    seen: Instant,
}

impl Shares {
    pub(super) fn new(now: Instant) -> Self {
        Shares { sources: HashMap::new(), swept: now }
    }

    /// Whether a source may have so much more. It is remembered either way: the others leave it its share.
    pub(super) fn ask(
        &mut self,
        source: u64,
        need: u64,
        used: u64,
        capacity: u64,
        now: Instant,
    ) -> Result<(), Refusal> {
        if now - self.swept >= SWEEP {
            self.swept = now;
            self.sources.retain(|_, source| source.held > 0 || now - source.seen < REMEMBERED);
        }
        let id =
            if self.sources.len() >= MOST && !self.sources.contains_key(&source) { OTHERS } else { source };
        let mine = self.sources.entry(id).or_insert(Source { held: 0, above: 0, seen: now });
        mine.seen = now;
        let above = mine.above;
        if used + need > capacity {
            return Err(Refusal::Full);
        }
        // Who has nothing of the upper half may have something, however small the shares are.
        let upper = upper(need, used, capacity);
        if upper > 0 && above > 0 && above + upper > self.share(capacity) {
            return Err(Refusal::Share);
        }
        Ok(())
    }

    /// Takes what was asked for.
    pub(super) fn take(&mut self, source: u64, need: u64, used: u64, capacity: u64) {
        let id = self.known(source);
        if let Some(mine) = self.sources.get_mut(&id) {
            mine.held += need;
            mine.above += upper(need, used, capacity);
        }
    }

    /// Gives room back.
    pub(super) fn release(&mut self, source: u64, room: u64) {
        let id = self.known(source);
        if let Some(mine) = self.sources.get_mut(&id) {
            mine.held = mine.held.saturating_sub(room);
            mine.above = mine.above.saturating_sub(room);
        }
    }

    /// Whether a source has more than its share.
    pub(super) fn is_over(&self, source: u64, capacity: u64) -> bool {
        let share = self.share(capacity);
        self.sources.get(&self.known(source)).is_some_and(|mine| mine.above > share)
    }

    /// Whether anybody has.
    pub(super) fn any_is_over(&self, capacity: u64) -> bool {
        let share = self.share(capacity);
        self.sources.values().any(|source| source.above > share)
    }

    fn known(&self, source: u64) -> u64 {
        if self.sources.contains_key(&source) { source } else { OTHERS }
    }

    /// What each source may have of the upper half.
    fn share(&self, capacity: u64) -> u64 {
        (capacity - capacity / 2) / (self.sources.len() as u64).max(1)
    }
}

/// What of it lies in the upper half.
fn upper(need: u64, used: u64, capacity: u64) -> u64 {
    (used + need).saturating_sub(used.max(capacity / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_floods_is_refused_above_its_share_and_the_others_have_theirs() {
        let now = Instant::now();
        let (mut shares, mut used) = (Shares::new(now), 0);
        let mut offer = |source: u64, used: &mut u64| {
            let asked = shares.ask(source, 1, *used, 100, now);
            if asked.is_ok() {
                shares.take(source, 1, *used, 100);
                *used += 1;
            }
            asked
        };
        for source in 1..=10 {
            assert_eq!(offer(source, &mut used), Ok(()));
        }
        let flood: Vec<_> = (0..1000).map(|_| offer(1, &mut used)).collect();
        assert_eq!(
            flood.iter().filter(|asked| asked.is_ok()).count(),
            40 + 5,
            "half, and a tenth of the rest"
        );
        assert!(flood.contains(&Err(Refusal::Share)));
        for source in 2..=10 {
            for _ in 0..5 {
                assert_eq!(offer(source, &mut used), Ok(()), "{source}");
            }
        }
        assert_eq!((used, offer(2, &mut used)), (100, Err(Refusal::Full)));
        assert!(!shares.any_is_over(100));
        shares.release(1, 45);
        assert_eq!(shares.ask(1, 1, 55, 100, now), Ok(()), "what it gave back is its own again");
    }

    #[test]
    fn a_source_alone_has_the_whole_queue_and_who_is_not_heard_any_more_leaves_its_share() {
        let now = Instant::now();
        let mut shares = Shares::new(now);
        let mut fill = |source: u64, from: u64, now: Instant| {
            (from..200)
                .take_while(|used| {
                    let room = shares.ask(source, 1, *used, 200, now).is_ok();
                    if room {
                        shares.take(source, 1, *used, 200);
                    }
                    room
                })
                .count()
        };
        assert_eq!(fill(7, 0, now), 200);
        assert_eq!(fill(8, 150, now), 50, "nothing of the upper half is its own yet");
        assert_eq!(fill(9, 190, now + REMEMBERED), 10);
    }
}
