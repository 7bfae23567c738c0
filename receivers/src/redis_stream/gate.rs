//! Who goes into the pipelines next, when as many parts are offered as may be: by level, in order within one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::config::{Level, Mode, Priority};
use super::plan::GUARD;

/// A place in the pipelines for so many parts, and those that wait for one.
#[derive(Debug)]
pub(super) struct Gate {
    priority: Priority,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Places that nobody has; none while somebody waits.
    free: usize,
    waiting: [VecDeque<oneshot::Sender<Pass>>; LEVELS],
    /// What each level has had, in shares of its weight, and the least of them that was served last (`mode: weighted`).
    had: [f64; LEVELS],
    now: f64,
    /// When a level last passed that has others above it (`mode: strict`).
    guarded: Instant,
}

const LEVELS: usize = Level::ALL.len();

/// A place in the pipelines, given back with the value.
#[derive(Debug)]
pub(super) struct Pass(Option<Arc<Gate>>);

/// A place in the queue.
pub(super) type Ticket = oneshot::Receiver<Pass>;

impl Gate {
    pub fn new(places: usize, priority: Priority) -> Self {
        let state = State {
            free: places,
            waiting: Default::default(),
            had: [0.0; LEVELS],
            now: 0.0,
            guarded: Instant::now(),
        };
        Gate { priority, state: Mutex::new(state) }
    }

    /// Takes a place in the queue now; the ticket gives the pass when it is its turn.
    pub fn queue(self: &Arc<Self>, level: Level) -> Ticket {
        let (tell, ticket) = oneshot::channel();
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            drop(state);
            // A ticket that nobody holds any more gives the place back.
            let _ = tell.send(Pass(Some(self.clone())));
            return ticket;
        }
        let at = level as usize;
        if state.waiting[at].is_empty() {
            // Who had nothing to send has saved nothing up.
            state.had[at] = state.had[at].max(state.now);
        }
        state.waiting[at].push_back(tell);
        ticket
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(self: Arc<Self>) {
        let mut pass = Pass(Some(self.clone()));
        loop {
            let next = {
                let mut state = self.state();
                let next = state.next(&self.priority);
                if next.is_none() {
                    state.free += 1;
                    pass.0 = None;
                }
                next
            };
            // Whoever has given up waiting is passed over.
            match next.map(|next| next.send(pass)) {
                None | Some(Ok(())) => return,
                Some(Err(back)) => pass = back,
            }
        }
    }
}

impl State {
    fn next(&mut self, priority: &Priority) -> Option<oneshot::Sender<Pass>> {
        let mut waits = (0..LEVELS).filter(|at| !self.waiting[*at].is_empty());
        let first = waits.next()?;
        let at = match priority.mode {
            Mode::Strict => match waits.next_back() {
                // Nobody stands behind.
                None => {
                    self.guarded = Instant::now();
                    first
                }
                Some(last) if self.guarded.elapsed() >= GUARD => {
                    self.guarded = Instant::now();
                    last
                }
                Some(_) => first,
            },
            Mode::Weighted => {
                waits.fold(first, |best, at| if self.had[at] < self.had[best] { at } else { best })
            }
        };
        self.now = self.had[at];
        self.had[at] += 1.0 / f64::from(priority.weights.of(Level::ALL[at]));
        self.waiting[at].pop_front()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The levels that pass one after the other through one place, while all that are asked for wait all the time.
    async fn passes(mode: Mode, waiting: &[Level], count: usize, each: Duration) -> Vec<Level> {
        let gate = Arc::new(Gate::new(1, Priority { mode, ..Priority::default() }));
        let mut place = Some(gate.queue(Level::Normal).await.unwrap());
        let mut tickets: Vec<_> = waiting.iter().map(|level| (*level, gate.queue(*level))).collect();
        let mut passed = Vec::new();
        while passed.len() < count {
            tokio::time::advance(each).await;
            drop(place.take());
            for (level, ticket) in &mut tickets {
                if let Ok(pass) = ticket.try_recv() {
                    passed.push(*level);
                    *ticket = gate.queue(*level);
                    place = Some(pass);
                }
            }
        }
        passed
    }

    #[tokio::test(start_paused = true)]
    async fn levels_pass_by_their_weights() {
        let all = passes(Mode::Weighted, &Level::ALL, 150, Duration::ZERO).await;
        let share = |level| all.iter().filter(|passed| **passed == level).count();
        assert_eq!(Level::ALL.map(share), [80, 40, 20, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn strictly_the_highest_passes_and_once_a_second_the_lowest() {
        let both = [Level::Critical, Level::Low];
        let all = passes(Mode::Strict, &both, 100, Duration::from_millis(100)).await;
        let low = all.iter().filter(|level| **level == Level::Low).count();
        assert!((9..=11).contains(&low), "{low} of {}", all.len());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_holds_nobody_up_and_no_place_is_lost() {
        let gate = Arc::new(Gate::new(2, Priority::default()));
        let (one, two) = (gate.queue(Level::Low).await.unwrap(), gate.queue(Level::Low).await.unwrap());
        let given_up = gate.queue(Level::Critical);
        let mut waits = gate.queue(Level::Low);
        drop(given_up);
        assert!(waits.try_recv().is_err());
        drop(one);
        let three = waits.await.unwrap();
        drop((two, three));
        drop(gate.queue(Level::Low));
        let last = [gate.queue(Level::Low), gate.queue(Level::Low)];
        for ticket in last {
            drop(ticket.await.unwrap());
        }
        assert_eq!(gate.state().free, 2);
    }
}
