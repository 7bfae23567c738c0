//! The token that tells a part's source what became of it, exactly once.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::outcome::{Outcome, Reason};

static ABANDONED: AtomicU64 = AtomicU64::new(0);

/// How many acks of this process were dropped without being settled and not by a panic. Tests want 0.
pub fn abandoned_acks() -> u64 {
    ABANDONED.load(Ordering::Relaxed)
}

/// Settled once, by [`Ack::settle`]. Dropped unsettled it settles itself: `Rejected(panic)` while unwinding, so that
/// poison cannot loop, else `Retry(abandoned)`.
#[must_use = "an ack that is dropped settles as abandoned"]
pub struct Ack(Option<Inner>);

/// Where data came from, when it has to know more than the outcome.
pub trait Source: Send + Sync {
    /// What became of the part; once.
    fn settle(&self, outcome: Outcome);

    /// One branch has refused while others are under way. The outcome follows all the same; must return at once.
    fn warn(&self, _: &Outcome) {}

    /// Whether the data can still be sent again.
    fn can_replay(&self) -> bool {
        true
    }
}

enum Inner {
    Settle(Box<dyn FnOnce(Outcome) + Send>),
    Source(Arc<dyn Source>),
    Child(Arc<Family>),
    /// Something that lives until the ack is settled.
    Holding(Box<Ack>, Arc<dyn Any + Send + Sync>),
    /// Set once the source has let go of the data.
    LetGo(Box<Ack>, Arc<AtomicBool>),
}

/// The children of one ack: the last to settle settles the parent with the worst of all.
struct Family {
    unsettled: AtomicUsize,
    state: Mutex<(Outcome, Option<Ack>)>,
}

impl Ack {
    /// An ack whose outcome goes to `settle`.
    pub fn new(settle: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Ack(Some(Inner::Settle(Box::new(settle))))
    }

    /// An ack whose source is told of refusals early, and asked whether it can replay.
    pub fn to(source: Arc<dyn Source>) -> Self {
        Ack(Some(Inner::Source(source)))
    }

    /// An ack whose source cannot send the data again once it has set the flag: it has answered, and forgotten it.
    pub fn until_let_go(self, gone: Arc<AtomicBool>) -> Self {
        Ack(Some(Inner::LetGo(Box::new(self), gone)))
    }

    /// Keeps something until the source has heard the outcome, such as the room that the part takes.
    pub fn holding(self, held: Arc<dyn Any + Send + Sync>) -> Self {
        Ack(Some(Inner::Holding(Box::new(self), held)))
    }

    /// For parts without a source: whatever becomes of them, nobody asks.
    pub const fn none() -> Self {
        Ack(None)
    }

    /// Whether anybody waits for the outcome.
    pub fn has_source(&self) -> bool {
        match &self.0 {
            None => false,
            Some(Inner::Holding(ack, _) | Inner::LetGo(ack, _)) => ack.has_source(),
            Some(Inner::Settle(_) | Inner::Source(_) | Inner::Child(_)) => true,
        }
    }

    /// Whether the source can still send the data again when it hears `Retry`. Where it cannot, that is a loss.
    pub fn can_replay(&self) -> bool {
        match &self.0 {
            None => false,
            Some(Inner::Settle(_)) => true,
            Some(Inner::Source(source)) => source.can_replay(),
            Some(Inner::Child(family)) => family.can_replay(),
            Some(Inner::Holding(ack, _)) => ack.can_replay(),
            Some(Inner::LetGo(ack, gone)) => !gone.load(Ordering::Acquire) && ack.can_replay(),
        }
    }

    /// Tells the source. The only way to end an ack well.
    pub fn settle(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    /// As many children as asked for; this ack settles when all of them have, with the worst outcome.
    /// With no children it is delivered: nothing was left of it on purpose.
    pub fn split(self, children: usize) -> Vec<Ack> {
        match (children, self.0.is_some()) {
            (0, _) => {
                self.settle(Outcome::Delivered);
                Vec::new()
            }
            (1, _) => vec![self],
            (n, false) => (0..n).map(|_| Ack::none()).collect(),
            (n, true) => {
                let family = Arc::new(Family {
                    unsettled: AtomicUsize::new(n),
                    state: Mutex::new((Outcome::Delivered, Some(self))),
                });
                (0..n).map(|_| Ack(Some(Inner::Child(family.clone())))).collect()
            }
        }
    }

    /// Tells the source what one branch has come to, while others are under way.
    fn warn(&self, outcome: &Outcome) {
        match &self.0 {
            Some(Inner::Source(source)) => source.warn(outcome),
            Some(Inner::Child(family)) => family.warn(outcome),
            Some(Inner::Holding(ack, _) | Inner::LetGo(ack, _)) => ack.warn(outcome),
            Some(Inner::Settle(_)) | None => {}
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        match self.0.take() {
            None => {}
            Some(Inner::Settle(settle)) => settle(outcome),
            Some(Inner::Source(source)) => source.settle(outcome),
            Some(Inner::Child(family)) => family.settle(outcome),
            Some(Inner::Holding(ack, held)) => {
                ack.settle(outcome);
                drop(held);
            }
            Some(Inner::LetGo(ack, _)) => ack.settle(outcome),
        }
    }
}

impl Family {
    fn can_replay(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.as_ref().is_some_and(Ack::can_replay)
    }

    fn warn(&self, outcome: &Outcome) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parent) = &state.1 {
            parent.warn(outcome);
        }
    }

    fn settle(&self, outcome: Outcome) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let worst = std::mem::replace(&mut state.0, Outcome::Delivered).worst(outcome);
        if self.unsettled.fetch_sub(1, Ordering::AcqRel) > 1 {
            if let (false, Some(parent)) = (worst == Outcome::Delivered, &state.1) {
                parent.warn(&worst);
            }
            state.0 = worst;
            return;
        }
        let parent = state.1.take();
        drop(state); // the parent's source runs code of its own
        if let Some(parent) = parent {
            parent.settle(worst);
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if self.0.is_none() {
            return;
        }
        let outcome = if std::thread::panicking() {
            Outcome::rejected(Reason::Panic)
        } else {
            ABANDONED.fetch_add(1, Ordering::Relaxed);
            Outcome::retry(Reason::Abandoned)
        };
        self.finish(outcome);
    }
}

impl std::fmt::Debug for Ack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Ack(unsettled)" } else { "Ack(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> (Ack, Arc<Mutex<Vec<Outcome>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        (Ack::new(move |o| into.lock().unwrap().push(o)), seen)
    }

    #[test]
    fn a_source_hears_exactly_once() {
        let (ack, seen) = watched();
        ack.settle(Outcome::Delivered);
        assert_eq!(*seen.lock().unwrap(), vec![Outcome::Delivered]);
    }

    #[test]
    fn a_parent_waits_for_all_children_and_hears_the_worst() {
        let (ack, seen) = watched();
        let mut children = ack.split(3);
        children.pop().unwrap().settle(Outcome::Delivered);
        children.pop().unwrap().settle(Outcome::rejected(Reason::Malformed));
        assert!(seen.lock().unwrap().is_empty());
        children.pop().unwrap().settle(Outcome::Delivered);
        assert_eq!(*seen.lock().unwrap(), vec![Outcome::rejected(Reason::Malformed)]);
    }

    #[test]
    fn grandchildren_reach_the_source() {
        let (ack, seen) = watched();
        for child in ack.split(2) {
            for grandchild in child.split(2) {
                grandchild.settle(Outcome::retry(Reason::QueueFull));
            }
        }
        assert_eq!(*seen.lock().unwrap(), vec![Outcome::retry(Reason::QueueFull)]);
    }

    #[test]
    fn a_source_that_asked_is_warned_of_a_refusal_while_other_branches_are_under_way() {
        #[derive(Default)]
        struct Noted {
            warned: Mutex<Vec<Outcome>>,
            heard: Mutex<Vec<Outcome>>,
        }
        impl Source for Noted {
            fn settle(&self, outcome: Outcome) {
                self.heard.lock().unwrap().push(outcome);
            }
            fn warn(&self, outcome: &Outcome) {
                self.warned.lock().unwrap().push(outcome.clone());
            }
        }
        let source = Arc::new(Noted::default());
        let (warned, heard) = (&source.warned, &source.heard);
        let mut children = Ack::to(source.clone()).split(2);
        let (slow, split) = (children.pop().unwrap(), children.pop().unwrap());
        let mut grandchildren = split.split(2);
        grandchildren.pop().unwrap().settle(Outcome::Delivered);
        assert!(warned.lock().unwrap().is_empty(), "a delivery is no warning");
        grandchildren.pop().unwrap().settle(Outcome::retry(Reason::QueueFull));
        assert_eq!(*warned.lock().unwrap(), vec![Outcome::retry(Reason::QueueFull)]);
        assert!(heard.lock().unwrap().is_empty(), "the outcome waits for the slow branch");
        slow.settle(Outcome::Delivered);
        assert_eq!(*heard.lock().unwrap(), vec![Outcome::retry(Reason::QueueFull)]);
    }

    #[test]
    fn dropped_unsettled_it_says_abandoned_and_in_a_panic_rejected() {
        let (ack, seen) = watched();
        drop(ack);
        assert_eq!(*seen.lock().unwrap(), vec![Outcome::retry(Reason::Abandoned)]);

        let (ack, seen) = watched();
        let panicked = std::thread::spawn(move || {
            let _in_hand = ack;
            panic!("poison");
        })
        .join();
        assert!(panicked.is_err());
        assert_eq!(*seen.lock().unwrap(), vec![Outcome::rejected(Reason::Panic)]);
    }

    #[test]
    fn what_is_held_lives_until_the_source_has_heard() {
        let (ack, seen) = watched();
        let held = Arc::new(());
        let mut children = ack.holding(held.clone()).split(2);
        children.pop().unwrap().settle(Outcome::Delivered);
        assert_eq!(Arc::strong_count(&held), 2);
        children.pop().unwrap().settle(Outcome::Delivered);
        assert_eq!((Arc::strong_count(&held), seen.lock().unwrap().len()), (1, 1));
        assert!(!Ack::none().holding(held).has_source());
    }

    #[test]
    fn a_source_that_has_let_go_cannot_replay_whatever_stands_between() {
        let gone = Arc::new(AtomicBool::new(false));
        let (ack, _) = watched();
        let children = ack.until_let_go(gone.clone()).holding(Arc::new(())).split(2);
        assert!(children.iter().all(Ack::can_replay));
        gone.store(true, Ordering::Release);
        assert!(!children.iter().any(Ack::can_replay));
        children.into_iter().for_each(|child| child.settle(Outcome::Delivered));
        assert!(!Ack::none().can_replay());
    }

    #[test]
    fn nothing_left_on_purpose_is_delivered() {
        let (ack, seen) = watched();
        assert!(ack.split(0).is_empty());
        assert_eq!(*seen.lock().unwrap(), vec![Outcome::Delivered]);
    }
}
