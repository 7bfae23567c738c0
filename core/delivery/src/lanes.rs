//! Who gets how much of a queue, and whose turn it is. Plain state: no tasks, no locks, time is handed in.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// How long a source counts after it was last heard: the others leave it its share meanwhile.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(10);
/// How often the forgotten are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(1);
/// How many sources are told apart; the others share one lane.
pub(crate) const MOST: usize = 1024;
/// The lane of those that are not told apart.
pub(crate) const OTHERS: u64 = 0;

/// A queue in lanes, one a source: in order within a lane, in turn between them.
///
/// Up to half of the capacity everybody takes what comes. Above it every source has an equal share of the other half,
/// and one that is above its share is refused. `T` waits to be sent, `W` waits for room.
pub(crate) struct Lanes<T, W> {
    capacity: usize,
    used: usize,
    lanes: HashMap<u64, Lane<T, W>>,
    /// Lanes in which something waits to be sent; each once.
    turn: VecDeque<u64>,
    /// Lanes in which somebody waits for room; each once.
    room_turn: VecDeque<u64>,
    /// Whoever waits for room and is next needs more than there is: nobody may overtake.
    starved: bool,
    swept: Instant,
}

struct Lane<T, W> {
    used: usize,
    /// What of it was taken while the queue was more than half full. Room given back is counted off here first.
    above: usize,
    waiting: VecDeque<T>,
    room_wanted: VecDeque<(usize, W)>,
    seen: Instant,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The queue is full, or whoever waits comes first.
    Full,
    /// The source has its share.
    Share,
}

impl<T, W> Lanes<T, W> {
    pub(crate) fn new(capacity: usize, now: Instant) -> Self {
        Lanes {
            capacity,
            used: 0,
            lanes: HashMap::new(),
            turn: VecDeque::new(),
            room_turn: VecDeque::new(),
            starved: false,
            swept: now,
        }
    }

    /// The lane of a source from now on.
    pub(crate) fn lane(&mut self, source: u64, now: Instant) -> u64 {
        if now - self.swept >= SWEEP {
            self.swept = now;
            self.lanes.retain(|_, lane| lane.used > 0 || lane.wants() || now - lane.seen < REMEMBERED);
        }
        let id = if self.lanes.len() >= MOST && !self.lanes.contains_key(&source) { OTHERS } else { source };
        let fresh =
            || Lane { used: 0, above: 0, waiting: VecDeque::new(), room_wanted: VecDeque::new(), seen: now };
        self.lanes.entry(id).or_insert_with(fresh).seen = now;
        id
    }

    /// What all have taken.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Takes room for somebody who has not waited.
    pub(crate) fn take(&mut self, id: u64, need: usize) -> Result<(), Refusal> {
        if self.starved || self.lanes.get(&id).is_some_and(Lane::wants) {
            return Err(Refusal::Full);
        }
        self.admit(id, need)
    }

    /// Puts behind the others of its lane what has its room.
    pub(crate) fn push(&mut self, id: u64, load: T) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.waiting.is_empty() {
            self.turn.push_back(id);
        }
        lane.waiting.push_back(load);
    }

    /// The first of the lane whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let id = self.turn.pop_front()?;
        let lane = self.lanes.get_mut(&id)?;
        let load = lane.waiting.pop_front();
        if !lane.waiting.is_empty() {
            self.turn.push_back(id);
        }
        load
    }

    /// What to lose so that a lane gets room that it was refused. Where that was for its share: its own oldest. Else its
    /// own oldest if it is above its share, or that of one who is, or its own all the same, or that of the lane whose turn
    /// it is. `None` when none of that waits.
    pub(crate) fn pop_oldest(&mut self, id: u64, refusal: Refusal) -> Option<T> {
        let own = self.turn.iter().position(|lane| *lane == id);
        let at = match (refusal, own) {
            (Refusal::Share, own) => own?,
            (Refusal::Full, Some(own)) if self.is_over(id) => own,
            (Refusal::Full, own) => self.turn.iter().position(|id| self.is_over(*id)).or(own).unwrap_or(0),
        };
        let victim = self.turn.remove(at)?;
        let lane = self.lanes.get_mut(&victim)?;
        let lost = lane.waiting.pop_front();
        if !lane.waiting.is_empty() {
            self.turn.insert(at, victim);
        }
        lost
    }

    /// Gives room back.
    pub(crate) fn release(&mut self, id: u64, room: usize) {
        self.used -= room;
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.used -= room;
            lane.above = lane.above.saturating_sub(room);
        }
    }

    /// Lets somebody wait for room.
    pub(crate) fn want(&mut self, id: u64, need: usize, who: W) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        if lane.room_wanted.is_empty() {
            self.room_turn.push_back(id);
        }
        lane.room_wanted.push_back((need, who));
    }

    /// The next of those who wait, with the room for it; none while nobody who waits may have any.
    pub(crate) fn grant(&mut self) -> Option<(u64, W)> {
        self.starved = false;
        for _ in 0..self.room_turn.len() {
            let id = self.room_turn.pop_front()?;
            let Some(need) = self.lanes.get(&id).and_then(Lane::first_need) else { continue };
            match self.admit(id, need) {
                Ok(()) => {
                    let lane = self.lanes.get_mut(&id)?;
                    let granted = lane.room_wanted.pop_front();
                    if lane.wants() {
                        self.room_turn.push_back(id);
                    }
                    return granted.map(|(_, who)| (id, who));
                }
                Err(Refusal::Full) => {
                    self.room_turn.push_front(id);
                    self.starved = true;
                    return None;
                }
                Err(Refusal::Share) => self.room_turn.push_back(id),
            }
        }
        None
    }

    /// Takes one out of those who wait.
    pub(crate) fn leave(&mut self, id: u64, is: impl Fn(&W) -> bool) -> Option<W> {
        let lane = self.lanes.get_mut(&id)?;
        let at = lane.room_wanted.iter().position(|(_, who)| is(who))?;
        let left = lane.room_wanted.remove(at);
        if !lane.wants() {
            self.room_turn.retain(|lane| *lane != id);
        }
        left.map(|(_, who)| who)
    }

    /// Takes all of them out.
    pub(crate) fn leave_all(&mut self) -> Vec<W> {
        self.room_turn.clear();
        self.starved = false;
        self.lanes.values_mut().flat_map(|lane| lane.room_wanted.drain(..)).map(|(_, who)| who).collect()
    }

    fn admit(&mut self, id: u64, need: usize) -> Result<(), Refusal> {
        if self.used + need > self.capacity {
            return Err(Refusal::Full);
        }
        let (share, half) = (self.share(), self.capacity / 2);
        let Some(lane) = self.lanes.get_mut(&id) else { return Err(Refusal::Full) };
        if self.used + need > half {
            // Who has nothing of that half may have something, however small the shares are.
            if lane.above > 0 && lane.above + need > share {
                return Err(Refusal::Share);
            }
            lane.above += need;
        }
        lane.used += need;
        self.used += need;
        Ok(())
    }

    fn is_over(&self, id: u64) -> bool {
        self.lanes.get(&id).is_some_and(|lane| lane.above > self.share())
    }

    /// What each source may have of the upper half.
    fn share(&self) -> usize {
        (self.capacity - self.capacity / 2) / self.lanes.len().max(1)
    }
}

impl<T, W> Lane<T, W> {
    fn wants(&self) -> bool {
        !self.room_wanted.is_empty()
    }

    fn first_need(&self) -> Option<usize> {
        self.room_wanted.front().map(|(need, _)| *need)
    }
}

#[cfg(test)]
mod tests;
