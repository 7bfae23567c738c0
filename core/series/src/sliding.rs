//! A distribution over a sliding window.

use std::collections::VecDeque;

use crate::Histogram;

/// Into how many parts a window is cut; it slides by one of them.
pub const PARTS: u64 = 10;

/// Histograms of the parts of a window; a part that leaves the window is forgotten as a whole. The window asked for
/// covers the current part, not yet full, and the nine before it.
#[derive(Clone, Debug)]
pub struct Sliding {
    part: u64,
    parts: VecDeque<(u64, Histogram)>,
}

impl Sliding {
    /// For a window of this many nanoseconds.
    pub fn new(window: u64) -> Self {
        Self { part: (window / PARTS).max(1), parts: VecDeque::new() }
    }

    /// The histogram that takes the values of `now`. When the clock steps back, it is the newest.
    pub fn current(&mut self, now: u64) -> &mut Histogram {
        self.forget(now);
        let part = now / self.part;
        if self.parts.back().is_none_or(|(newest, _)| *newest < part) {
            self.parts.push_back((part, Histogram::new()));
        }
        let newest = self.parts.len() - 1;
        &mut self.parts[newest].1
    }

    /// All values in the window.
    pub fn merged(&mut self, now: u64) -> Histogram {
        self.forget(now);
        let mut all = Histogram::new();
        self.parts.iter().for_each(|(_, part)| all.merge(part));
        all
    }

    /// Whether the window holds nothing.
    pub fn is_empty(&mut self, now: u64) -> bool {
        self.forget(now);
        self.parts.iter().all(|(_, part)| part.count() == 0)
    }

    fn forget(&mut self, now: u64) {
        let oldest = (now / self.part).saturating_sub(PARTS - 1);
        while self.parts.front().is_some_and(|(part, _)| *part < oldest) {
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_leave_with_their_part_of_the_window() {
        let mut sliding = Sliding::new(100);
        sliding.current(1000).record(1.0);
        sliding.current(1049).record(2.0);
        sliding.current(1090).record(3.0);
        assert_eq!(sliding.merged(1099).count(), 3);
        assert_eq!(sliding.merged(1100).count(), 2);
        assert_eq!(sliding.merged(1139).count(), 2);
        assert_eq!(sliding.merged(1140).count(), 1);
        assert!(!sliding.is_empty(1189));
        assert!(sliding.is_empty(1190));
        assert_eq!(sliding.merged(1190).quantile(0.5), None);
    }

    #[test]
    fn a_clock_that_steps_back_loses_nothing() {
        let mut sliding = Sliding::new(100);
        sliding.current(1000).record(1.0);
        sliding.current(900).record(2.0);
        assert_eq!(sliding.merged(1000).count(), 2);
    }
}
