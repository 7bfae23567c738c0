//! Thins out lines that repeat.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::Metadata;
use tracing::callsite::Identifier;

use crate::config::Sampling;

/// Of the lines from one place in the code: the first of each tick, then every n-th.
pub(super) struct Sampler {
    settings: Sampling,
    places: Mutex<HashMap<Identifier, (Instant, u64)>>,
}

impl Sampler {
    pub fn new(settings: &Sampling) -> Self {
        Self { settings: settings.clone(), places: Mutex::default() }
    }

    pub fn passes(&self, metadata: &Metadata<'_>) -> bool {
        self.passes_at(metadata.callsite(), Instant::now())
    }

    fn passes_at(&self, place: Identifier, now: Instant) -> bool {
        let Sampling { tick, initial, thereafter, .. } = self.settings;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = places.entry(place).or_insert((now, 0));
        if now.duration_since(*since) >= tick {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= initial || (thereafter > 0 && (*count - initial).is_multiple_of(thereafter))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Sampler, Sampling};

    #[test]
    fn the_first_lines_of_a_tick_pass_and_then_every_nth() {
        let callsite = tracing::callsite!(name: "place", kind: tracing::metadata::Kind::EVENT, fields:);
        let place = || tracing::callsite::Identifier(callsite);
        let settings = Sampling { initial: 2, thereafter: 3, ..Sampling::default() };
        let (sampler, start) = (Sampler::new(&settings), Instant::now());
        let passed: Vec<_> = (1..=9).filter(|_| sampler.passes_at(place(), start)).collect();
        assert_eq!(passed, [1, 2, 5, 8]);
        assert!(sampler.passes_at(place(), start + Duration::from_secs(10)), "a new tick begins anew");
    }
}
