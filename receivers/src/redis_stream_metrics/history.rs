//! How fast things go: numbers of the last rounds, within a window.

use std::collections::VecDeque;
use std::time::Duration;

/// Rounds that are kept of a window, at most.
const MOST: u32 = 8;

/// Something that is looked at now and then.
pub(crate) trait Sample: Copy {
    /// When, in milliseconds.
    fn at(&self) -> u64;
}

/// Samples of a window. Of rounds that follow each other more closely than the window needs only the last one stays.
#[derive(Debug)]
pub(crate) struct History<S>(VecDeque<S>);

impl<S> Default for History<S> {
    fn default() -> Self {
        History(VecDeque::new())
    }
}

impl<S: Sample> History<S> {
    /// Adds one. At least two stay, however long ago the older was.
    pub(crate) fn push(&mut self, sample: S, window: Duration) {
        let window = window.as_millis() as u64;
        let spacing = window / u64::from(MOST - 1);
        let n = self.0.len();
        if n >= 2 && self.0[n - 1].at().saturating_sub(self.0[n - 2].at()) < spacing {
            self.0[n - 1] = sample;
        } else {
            if n == self.0.capacity() {
                // Two, and then all that there will ever be.
                self.0.reserve_exact(if n == 0 { 2 } else { (MOST as usize + 1).saturating_sub(n).max(1) });
            }
            self.0.push_back(sample);
        }
        while self.0.len() > 2 && self.0[1].at() + window <= sample.at() {
            self.0.pop_front();
        }
    }

    /// What was no longer is.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &S> + ExactSizeIterator {
        self.0.iter()
    }

    /// The change of a number in a second, from the first sample that has it to the last; `None` with only one.
    pub(crate) fn rate(&self, number: impl Fn(&S) -> Option<u64>) -> Option<f64> {
        let with = |sample: &S| number(sample).map(|number| (sample.at(), number));
        let (from, first) = self.0.iter().find_map(with)?;
        let (to, last) = self.0.iter().rev().find_map(with)?;
        (to > from).then(|| (last as f64 - first as f64) * 1000.0 / (to - from) as f64)
    }

    /// Whether every number of the later half lies above every one of the earlier half.
    pub(crate) fn rises(&self, number: impl Fn(&S) -> Option<u64>) -> bool {
        let numbers: Option<Vec<u64>> = self.0.iter().map(number).collect();
        let Some(numbers) = numbers.filter(|numbers| numbers.len() >= 4) else { return false };
        let (early, late) = numbers.split_at(numbers.len() / 2);
        early.iter().max() < late.iter().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sample for (u64, Option<u64>) {
        fn at(&self) -> u64 {
            self.0
        }
    }

    const WINDOW: Duration = Duration::from_secs(60);

    fn history(every: u64, numbers: impl Iterator<Item = Option<u64>>) -> History<(u64, Option<u64>)> {
        let mut history = History::default();
        numbers.enumerate().for_each(|(n, number)| history.push((n as u64 * every, number), WINDOW));
        history
    }

    #[test]
    fn a_steady_rate_is_told_at_any_interval_and_needs_two_numbers() {
        for every in [20, 1000, 10_000, 300_000] {
            let steady = history(every, (0..500).map(|n| Some(n * every)));
            let rate = steady.rate(|s| s.1).unwrap();
            assert!((rate - 1000.0).abs() < 1e-6, "{rate}");
            assert!(steady.iter().len() <= MOST as usize + 1, "{}", steady.iter().len());
        }
        assert_eq!(history(1000, [Some(7)].into_iter()).rate(|s| s.1), None);
        assert_eq!(history(1000, [Some(7), None].into_iter()).rate(|s| s.1), None);
    }

    #[test]
    fn what_happened_before_the_window_is_forgotten() {
        let then_nothing = history(10_000, (0..30).map(|n| Some(n.min(10))));
        assert_eq!(then_nothing.rate(|s| s.1), Some(0.0));
    }

    #[test]
    fn a_rise_needs_four_rounds_and_no_fall_back() {
        let rises = |numbers: &[u64]| history(10_000, numbers.iter().map(|n| Some(*n))).rises(|s| s.1);
        assert!(rises(&[1, 2, 3, 4]) && rises(&[1, 3, 5, 4]));
        assert!(!rises(&[1, 2, 3]) && !rises(&[5, 5, 5, 5]) && !rises(&[1, 9, 5, 9]));
    }
}
