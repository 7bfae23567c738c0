//! How long to wait between attempts.

use std::time::Duration;

use streamgauge_component::RetrySettings;

/// The Collector's exponential back-off: each wait is drawn around an interval that grows up to a bound.
pub(crate) struct Backoff<'a> {
    settings: &'a RetrySettings,
    interval: Duration,
}

impl<'a> Backoff<'a> {
    pub(crate) fn new(settings: &'a RetrySettings) -> Self {
        Backoff { settings, interval: settings.initial_interval }
    }

    /// The next wait; `random` is in [0, 1).
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let s = self.settings;
        let wait = scaled(self.interval, 1.0 + s.randomization_factor * (2.0 * random - 1.0));
        self.interval = scaled(self.interval, s.multiplier).min(s.max_interval);
        wait
    }
}

fn scaled(by: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(by.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_the_multiplier_up_to_the_bound() {
        let settings = RetrySettings { randomization_factor: 0.0, ..RetrySettings::default() };
        let mut backoff = Backoff::new(&settings);
        let waits: Vec<f64> = (0..7).map(|_| backoff.next(0.9).as_secs_f64()).collect();
        assert_eq!(waits, [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0]);
    }

    #[test]
    fn the_random_factor_spreads_a_wait_around_its_interval() {
        let settings = RetrySettings::default();
        for (random, seconds) in [(0.0, 2.5), (0.5, 5.0), (0.999_999, 7.5)] {
            let wait = Backoff::new(&settings).next(random).as_secs_f64();
            assert!((wait - seconds).abs() < 0.001, "{random} gave {wait}");
        }
    }
}
