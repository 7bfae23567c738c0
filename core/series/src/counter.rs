//! Counters: what they grew by between two points, whatever happened to them in between.

/// The last point of a cumulative counter.
///
/// A counter begins anew when its value falls, or when its start time moves past the previous point: then what it
/// shows is what it grew by since. A start time that moves less than that does not count: sources that compute it
/// from an uptime in whole seconds let it wander. Times are nanoseconds since the Unix epoch, 0 is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter {
    start: u64,
    time: u64,
    value: f64,
}

/// What a further point of a counter says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// It grew by this much since the point before.
    Grew(f64),
    /// It began anew and grew by this much since.
    Reset(f64),
    /// The point is not newer than the one before, or its value is no number: nothing was learnt.
    Stale,
}

impl Counter {
    /// The first point. It says where the counter stands, nothing about how fast it got there.
    pub fn first(start: u64, time: u64, value: f64) -> Self {
        Self { start, time, value }
    }

    /// Takes the next point.
    pub fn next(&mut self, start: u64, time: u64, value: f64) -> Change {
        if time <= self.time || !value.is_finite() {
            return Change::Stale;
        }
        let change = if value < self.value || began_anew(self.start, self.time, start) {
            Change::Reset(value)
        } else {
            Change::Grew(value - self.value)
        };
        *self = Self { start, time, value };
        change
    }

    /// When the last point was taken.
    pub fn time(&self) -> u64 {
        self.time
    }
}

/// Whether a start time says that a counter began anew after a point at `time` that counted from `start`.
pub(crate) fn began_anew(start: u64, time: u64, new_start: u64) -> bool {
    new_start > start && new_start >= time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_grows_resets_and_ignores_what_is_late() {
        let table = [
            ("grows", (10, 30, 7.0), Change::Grew(2.0)),
            ("stands still", (10, 30, 5.0), Change::Grew(0.0)),
            ("falls: reset", (10, 30, 3.0), Change::Reset(3.0)),
            ("start past the last point: reset though it is larger", (25, 30, 9.0), Change::Reset(9.0)),
            ("start at the last point: reset", (20, 30, 9.0), Change::Reset(9.0)),
            ("start wanders", (11, 30, 9.0), Change::Grew(4.0)),
            ("start becomes unknown", (0, 30, 9.0), Change::Grew(4.0)),
            ("same time", (10, 20, 9.0), Change::Stale),
            ("older", (10, 15, 9.0), Change::Stale),
            ("no number", (10, 30, f64::NAN), Change::Stale),
        ];
        for (case, (start, time, value), expected) in table {
            let mut counter = Counter::first(10, 20, 5.0);
            assert_eq!(counter.next(start, time, value), expected, "{case}");
        }
    }

    #[test]
    fn what_is_stale_does_not_become_the_base() {
        let mut counter = Counter::first(0, 20, 5.0);
        counter.next(0, 10, 100.0);
        assert_eq!(counter.next(0, 30, 6.0), Change::Grew(1.0));
    }
}
