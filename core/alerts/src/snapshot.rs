//! The state as plain data, to be written and read back by whoever owns a disk.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alerts::{Alerts, Instance, Series};
use crate::state::{State, Track, nanos};
use crate::{Labels, Severity};

/// Everything [`Alerts`] remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The series, in no order.
    pub series: Vec<SavedSeries>,
}

/// One series under one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedSeries {
    /// The rule's alert name.
    pub rule: String,
    /// Which of the rules with that name it is, from 0.
    pub occurrence: usize,
    /// The series' key.
    pub key: Vec<u8>,
    /// The series' labels.
    pub labels: Labels,
    /// What the caller attached to the series.
    pub origin: Vec<u8>,
    /// The last value; as its bits, since not every format has all numbers.
    #[serde(with = "bits")]
    pub value: f64,
    /// Whether the series said that it ended.
    pub ended: bool,
    /// The warning's alert.
    pub warning: SavedTrack,
    /// The critical alert.
    pub critical: SavedTrack,
}

/// The alert of one bound. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedTrack {
    /// Where it stands.
    pub state: State,
    /// Since when its condition is met.
    pub since: Option<u64>,
    /// Since when, firing, it misses its condition.
    pub missing: Option<u64>,
    /// When it resolved.
    pub resolved: Option<u64>,
    /// The alert's labels.
    pub labels: Option<Labels>,
}

impl Alerts {
    /// What is remembered now.
    pub fn snapshot(&self) -> Snapshot {
        let rules = self.rules.iter().zip(&self.instances).enumerate();
        let series = rules.flat_map(|(number, (rule, instances))| {
            let occurrence = self.rules[..number].iter().filter(|earlier| earlier.name == rule.name).count();
            instances.iter().map(move |(key, instance)| SavedSeries {
                rule: rule.name.clone(),
                occurrence,
                key: key.to_vec(),
                labels: instance.series.labels.clone(),
                origin: instance.series.origin.to_vec(),
                value: instance.value,
                ended: instance.ended,
                warning: SavedTrack::of(&instance.warning),
                critical: SavedTrack::of(&instance.critical),
            })
        });
        Snapshot { series: series.collect() }
    }

    /// Takes over a snapshot, at `now`. Series of rules that are gone are left out, alerts of bounds that are gone
    /// too; an alert that fired before a now longer `for` is over is pending again. Silence is counted from `now`: that
    /// nobody listened is not the series' fault. The time of pending alerts went on.
    pub fn restore(&mut self, snapshot: Snapshot, now: u64) {
        for saved in snapshot.series {
            let mut named = self.rules.iter().enumerate().filter(|(_, rule)| rule.name == saved.rule);
            let Some((number, rule)) = named.nth(saved.occurrence) else { continue };
            let hold = nanos(rule.hold);
            let track = |severity, saved: SavedTrack| match rule.bound(severity) {
                Some(_) => saved.into_track(hold, now),
                None => Track::default(),
            };
            let instance = Instance {
                warning: track(Severity::Warning, saved.warning),
                critical: track(Severity::Critical, saved.critical),
                series: Series { labels: saved.labels, origin: saved.origin.into() },
                value: saved.value,
                last_seen: now,
                ended: saved.ended,
            };
            self.put(number, saved.key.into(), instance, now);
        }
    }
}

impl SavedTrack {
    fn of(track: &Track) -> Self {
        Self {
            state: track.state,
            since: track.since,
            missing: track.missing,
            resolved: track.resolved,
            labels: track.labels.as_deref().cloned(),
        }
    }

    fn into_track(self, hold: u64, now: u64) -> Track {
        let too_early = self.since.is_some_and(|since| now.saturating_sub(since) < hold);
        let state = if self.state == State::Firing && too_early { State::Pending } else { self.state };
        Track {
            state,
            since: self.since,
            missing: self.missing.filter(|_| state == State::Firing),
            resolved: self.resolved,
            labels: self.labels.map(Arc::new),
        }
    }
}

/// A number that no format can change: JSON has no infinity.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}
