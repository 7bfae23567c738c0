//! The points of one counter in a time window: how much it grew, and how fast.

use std::collections::VecDeque;

use crate::counter::{Change, Counter};

/// At most this many points are remembered; in a window with more, points that lie closer together than a
/// 240th of it are not told apart as its beginning.
const MAX_POINTS: u64 = 240;

/// The growth of one counter over a sliding window, from the oldest to the newest point in it.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Possible beginnings, oldest first: (time, growth since the first point ever).
    points: VecDeque<(u64, f64)>,
    newest: Option<(u64, f64)>,
    counter: Option<Counter>,
}

/// What a window says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// How much the counter grew, resets accounted for.
    pub increase: f64,
    /// Between which two points, in nanoseconds; never 0.
    pub over: u64,
}

impl Growth {
    /// Growth in a second.
    pub fn per_second(&self) -> f64 {
        self.increase / (self.over as f64 / 1e9)
    }
}

impl Window {
    /// Takes a point of a cumulative counter; `length` is the window's, times are in nanoseconds. The growth from the
    /// oldest point in the window to this one, or `None` for a first, a late or the only point: what happened
    /// before the first point is never made up.
    pub fn cumulative(&mut self, start: u64, time: u64, value: f64, length: u64) -> Option<Growth> {
        let Some(counter) = &mut self.counter else {
            if value.is_finite() {
                self.counter = Some(Counter::first(start, time, value));
                self.push(time, 0.0, length);
            }
            return None;
        };
        match counter.next(start, time, value) {
            Change::Stale => None,
            Change::Grew(by) | Change::Reset(by) => self.grow(time, by, length),
        }
    }

    /// Takes a point that says by how much a counter grew since `start`. The first one counts if its start is known.
    pub fn delta(&mut self, start: u64, time: u64, value: f64, length: u64) -> Option<Growth> {
        if !value.is_finite() || self.newest.is_some_and(|(newest, _)| time <= newest) {
            return None;
        }
        if self.newest.is_none() {
            if start == 0 || start >= time {
                self.push(time, 0.0, length);
                return None;
            }
            self.push(start, 0.0, length);
        }
        self.grow(time, value, length)
    }

    /// When the newest point was taken; `None` before the first.
    pub fn newest(&self) -> Option<u64> {
        self.newest.map(|(time, _)| time)
    }

    fn grow(&mut self, time: u64, by: f64, length: u64) -> Option<Growth> {
        let total = self.newest.map_or(0.0, |(_, total)| total) + by;
        self.push(time, total, length);
        let &(oldest, base) = self.points.front()?;
        let over = time.saturating_sub(oldest);
        (over > 0).then_some(Growth { increase: total - base, over })
    }

    fn push(&mut self, time: u64, total: f64, length: u64) {
        self.newest = Some((time, total));
        while self.points.front().is_some_and(|(oldest, _)| time.saturating_sub(*oldest) > length) {
            self.points.pop_front();
        }
        let apart = length / MAX_POINTS;
        if self.points.back().is_none_or(|(last, _)| time.saturating_sub(*last) >= apart) {
            self.points.push_back((time, total));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * S;

    fn feed(points: &[(u64, f64)]) -> Option<Growth> {
        let mut window = Window::default();
        points.iter().map(|(at, value)| window.cumulative(1, (100 + at) * S, *value, MINUTE)).last().flatten()
    }

    #[test]
    fn growth_is_from_the_oldest_to_the_newest_point_in_the_window() {
        assert_eq!(feed(&[(0, 1000.0)]), None);
        assert_eq!(feed(&[(0, 1000.0), (10, 1050.0)]), Some(Growth { increase: 50.0, over: 10 * S }));
        let all = feed(&[(0, 0.0), (30, 300.0), (60, 420.0)]).unwrap();
        assert_eq!((all.increase, all.over, all.per_second()), (420.0, MINUTE, 7.0));
        let slid = feed(&[(0, 0.0), (30, 300.0), (61, 420.0)]).unwrap();
        assert_eq!((slid.increase, slid.over), (120.0, 31 * S));
    }

    #[test]
    fn a_gap_longer_than_the_window_starts_over() {
        assert_eq!(feed(&[(0, 0.0), (10, 5.0), (100, 500.0)]), None);
        assert_eq!(
            feed(&[(0, 0.0), (100, 500.0), (110, 510.0)]),
            Some(Growth { increase: 10.0, over: 10 * S })
        );
    }

    #[test]
    fn a_reset_in_the_window_counts_what_came_after_it() {
        let growth = feed(&[(0, 1000.0), (10, 1010.0), (20, 4.0), (30, 6.0)]).unwrap();
        assert_eq!((growth.increase, growth.over), (16.0, 30 * S));
    }

    #[test]
    fn late_points_change_nothing() {
        let growth = feed(&[(0, 0.0), (10, 10.0), (5, 7.0), (20, 20.0)]).unwrap();
        assert_eq!((growth.increase, growth.over), (20.0, 20 * S));
    }

    #[test]
    fn deltas_count_from_their_start() {
        let mut window = Window::default();
        assert_eq!(window.delta(100 * S, 110 * S, 5.0, MINUTE), Some(Growth { increase: 5.0, over: 10 * S }));
        assert_eq!(
            window.delta(110 * S, 120 * S, 7.0, MINUTE),
            Some(Growth { increase: 12.0, over: 20 * S })
        );
        let mut unknown = Window::default();
        assert_eq!(unknown.delta(0, 110 * S, 5.0, MINUTE), None);
        assert_eq!(unknown.delta(0, 120 * S, 7.0, MINUTE), Some(Growth { increase: 7.0, over: 10 * S }));
    }

    #[test]
    fn many_points_take_bounded_room_and_stay_exact_between_two_points() {
        let mut window = Window::default();
        let mut last = None;
        for ms in 0..200_000u64 {
            last = window.cumulative(1, S + ms * 1_000_000, ms as f64, MINUTE);
        }
        assert!(window.points.len() as u64 <= MAX_POINTS + 2, "{}", window.points.len());
        let growth = last.unwrap();
        assert!((growth.per_second() - 1000.0).abs() < 1e-9);
        assert!(growth.over > MINUTE - MINUTE / MAX_POINTS - S && growth.over <= MINUTE);
    }

    proptest::proptest! {
        /// Whatever a counter does, the increase is the sum of what it grew by: never negative.
        #[test]
        fn growth_is_never_negative(values in proptest::collection::vec((1u64..50, 0.0f64..1e6), 2..100)) {
            let mut window = Window::default();
            let mut now = S;
            for (gap, value) in values {
                now += gap * S;
                if let Some(growth) = window.cumulative(0, now, value, MINUTE) {
                    assert!(growth.increase >= 0.0 && growth.over <= MINUTE && growth.over > 0);
                }
            }
        }
    }
}
