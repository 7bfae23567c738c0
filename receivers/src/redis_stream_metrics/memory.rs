//! What is remembered of streams and groups from round to round, and what follows from it.

use std::collections::HashMap;
use std::time::Duration;

use streamgauge_redis::{GroupInfo, StreamId, StreamInfo};

use super::by_name::ByName;
use super::clock::age_ms;
use super::config::StreamConfig;
use super::history::{History, Sample};
use super::lag::{Lag, Quality, lag};
use super::loss::Loss;
use super::offsets::Offsets;
use super::seen::{Group, Stream};
use super::state::{Facts, States, judge};

/// The share of its time that a consumer should be busy, so that peaks find it free.
const UTILIZATION: f64 = 0.8;
/// Rounds from which a recommendation is as sure as it can be.
const SURE: f64 = 5.0;

/// What is remembered of all streams of a node.
pub(crate) struct Memory {
    window: Duration,
    states: States,
    streams: HashMap<Vec<u8>, Box<StreamMemory>>,
    round: u64,
    /// Whether the server may count what a group has read as if it had lost nothing.
    counts_on: bool,
}

/// The moment of a round, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// By a clock that only goes forwards.
    pub(crate) steady: u64,
    /// By the server's clock, since 1970.
    pub(crate) server: u64,
}

/// What follows for a stream; the groups in the order of the stream's. Rates are of a second.
#[derive(Debug, Default)]
pub(crate) struct Insight {
    pub(crate) rate_in: Option<f64>,
    pub(crate) rate_removed: Option<f64>,
    pub(crate) groups: Vec<GroupInsight>,
}

/// What follows for a group. Times are in seconds, rates of a second.
#[derive(Debug)]
pub(crate) struct GroupInsight {
    pub(crate) lag: Lag,
    pub(crate) lag_time: Option<f64>,
    /// Exact, bounded (the group's own id is older than what it reads next), or unknown.
    pub(crate) lag_time_quality: Quality,
    /// `None` when the server does not tell what was ever added.
    pub(crate) lost: Option<u64>,
    pub(crate) rate_out: Option<f64>,
    pub(crate) ack_rate: Option<f64>,
    pub(crate) velocity: Option<f64>,
    /// Infinite when the lag does not fall.
    pub(crate) eta: Option<f64>,
    pub(crate) headroom: Option<f64>,
    /// Consumers needed for what comes in, and how sure that is, from 0 to 1.
    pub(crate) needed: Option<(u64, f64)>,
    pub(crate) state: (&'static str, &'static str),
}

#[derive(Default)]
struct StreamMemory {
    round: u64,
    /// The youngest id, and the largest that was ever deleted, of the last look; and when the latter was another one last.
    id: StreamId,
    deleted: Option<StreamId>,
    deleted_at: u64,
    offsets: Offsets,
    history: History<StreamSample>,
    groups: ByName<GroupMemory>,
}

#[derive(Clone, Copy, Debug)]
struct StreamSample {
    at: u64,
    added: u64,
    removed: u64,
}

#[derive(Default)]
struct GroupMemory {
    round: u64,
    history: History<GroupSample>,
    loss: Loss,
    lost_at: Option<u64>,
    rewound_at: Option<u64>,
    delivered: Option<StreamId>,
    /// Since when entries wait and none was delivered.
    still_since: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct GroupSample {
    at: u64,
    /// Entries that were delivered, counted from anywhere.
    delivered: Maybe,
    pending: u64,
    lag: Maybe,
}

/// A number that may not be known, in the room of a number: there are many of them.
#[derive(Clone, Copy, Debug)]
struct Maybe(u64);

impl Maybe {
    fn new(number: Option<u64>) -> Self {
        Maybe(number.unwrap_or(u64::MAX))
    }

    fn get(self) -> Option<u64> {
        (self.0 != u64::MAX).then_some(self.0)
    }
}

impl Sample for StreamSample {
    fn at(&self) -> u64 {
        self.at
    }
}

impl Sample for GroupSample {
    fn at(&self) -> u64 {
        self.at
    }
}

impl Memory {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        let (window, states) = (config.rate_window, config.states.clone());
        Memory { window, states, streams: HashMap::new(), round: 0, counts_on: true }
    }

    /// How long a consumer may ask for nothing.
    pub(crate) fn stop_after(&self) -> Duration {
        self.states.stop_after
    }

    /// A new round begins; streams that were not seen in the last hundred are forgotten.
    pub(crate) fn begin(&mut self, version: Option<&str>) {
        // Seen on Redis 7.0; Redis 8 and Valkey 8 put it right.
        let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        self.counts_on = major.is_none_or(|major| major < 8);
        self.round += 1;
        let oldest = self.round.saturating_sub(100);
        self.streams.retain(|_, stream| stream.round >= oldest);
    }

    /// What follows from a stream as it is now.
    pub(crate) fn look(&mut self, stream: &Stream, now: Moment) -> Insight {
        let (round, window) = (self.round, self.window);
        let memory = self.streams.entry(stream.name.clone()).or_default();
        memory.round = round;
        if let Some(info) = &stream.info {
            memory.note(info, now.steady, window);
        }
        let rates = memory.rates();
        let mut insight = Insight {
            rate_in: rates.map(|(rate_in, _)| rate_in),
            rate_removed: rates.map(|(_, out)| out),
            groups: Vec::new(),
        };
        for group in &stream.groups {
            let known = memory.groups.of(&group.info.name);
            known.round = round;
            let place = Place {
                stream,
                offsets: &mut memory.offsets,
                history: &memory.history,
                deleted_at: memory.deleted_at,
                rate_in: insight.rate_in,
                window,
                states: &self.states,
                counts_on: self.counts_on,
                now,
            };
            insight.groups.push(known.look(group, place));
        }
        memory.groups.retain(|_, group| group.round == round);
        insight
    }
}

impl StreamMemory {
    fn note(&mut self, info: &StreamInfo, at: u64, window: Duration) {
        if let (Some(id), Some(added)) = (info.last_generated_id, info.entries_added) {
            let is_new = self.history.iter().last().is_some_and(|last| added < last.added) || id < self.id;
            if is_new {
                // Deleted and made again: nothing of before holds.
                *self = StreamMemory { round: self.round, ..StreamMemory::default() };
            }
            let removed = added.saturating_sub(info.length);
            if self.deleted != info.max_deleted_id {
                self.deleted_at = at;
            }
            (self.id, self.deleted) = (id, info.max_deleted_id);
            self.history.push(StreamSample { at, added, removed }, window);
        }
        self.offsets.note(info);
    }

    /// Entries added and removed in a second.
    fn rates(&self) -> Option<(f64, f64)> {
        let rate_in = self.history.rate(|sample| Some(sample.added))?;
        Some((rate_in, self.history.rate(|sample| Some(sample.removed))?.max(0.0)))
    }
}

/// Where a group is.
struct Place<'a> {
    stream: &'a Stream,
    offsets: &'a mut Offsets,
    history: &'a History<StreamSample>,
    deleted_at: u64,
    rate_in: Option<f64>,
    window: Duration,
    states: &'a States,
    counts_on: bool,
    now: Moment,
}

impl GroupMemory {
    fn look(&mut self, group: &Group, place: Place<'_>) -> GroupInsight {
        let Place { stream, offsets, history, deleted_at, rate_in, window, states, counts_on, now } = place;
        let info = stream.info.as_ref();
        let is_recent = |at: Option<u64>| at.is_some_and(|at| now.steady - at <= window.as_millis() as u64);
        self.follow(&group.info, now.steady);
        let missed = self.loss.missed(&group.info, info, counts_on);
        let lag = lag(&group.info, stream.length, info, missed, group.counted, offsets);
        if let (Some(delivered), Some(info)) = (group.info.last_delivered_id, info) {
            let is_at_end = info.last_generated_id.is_some_and(|last| last <= delivered);
            let read = group.info.entries_read.filter(|_| group.info.lag.is_some() && lag.known().is_some());
            let position = if is_at_end { info.entries_added } else { read.map(|read| read + missed.surely) };
            if let Some(position) = position {
                offsets.anchor(delivered, position, info);
            }
        }
        let lost = info.filter(|info| info.entries_added.is_some()).map(|info| {
            if self.loss.look(&group.info, lag.known(), info) > 0 {
                self.lost_at = Some(now.steady);
            }
            self.loss.total()
        });
        // What a group has passed, read or lost: all that was added but what lags.
        let passed = info.and_then(|info| info.entries_added).zip(lag.known());
        let delivered =
            passed.zip(lost).map(|((added, lag), lost)| added.saturating_sub(lag).saturating_sub(lost));
        let pending = group.info.pending;
        let (delivered, entries) = (Maybe::new(delivered), Maybe::new(lag.entries));
        self.history.push(GroupSample { at: now.steady, delivered, pending, lag: entries }, window);
        if lag.entries == Some(0) {
            self.still_since = None;
        }
        let still = self.still_since.map(|since| now.steady - since);
        if self.still_since.is_none() && lag.entries.is_some_and(|lag| lag > 0) {
            self.still_since = Some(now.steady);
        }

        let rate_out = self.history.rate(|sample| sample.delivered.get()).map(|rate| rate.max(0.0));
        let acked = |sample: &GroupSample| sample.delivered.get().and_then(|n| n.checked_sub(sample.pending));
        let ack_rate = self.history.rate(acked).map(|rate| rate.max(0.0));
        let velocity =
            self.history.rate(|sample| sample.lag.get()).filter(|_| lag.quality >= Quality::Bounded);
        let (lag_time_ms, lag_time_quality) = lag_time(group, &lag, info, now.server);
        let active = group.consumers.active.unwrap_or(group.info.consumers);
        let facts = Facts {
            lag: lag.entries,
            lag_time_ms,
            rises: self.history.rises(|sample| sample.lag.get()),
            loses: is_recent(self.lost_at),
            rewound: is_recent(self.rewound_at),
            still_ms: still.unwrap_or(0),
            consumers: group.info.consumers,
            // They may be idle for long when the first entry comes after a silence: the next round knows more.
            idle_ms: group.consumers.least_idle_ms.filter(|_| still.is_some()),
            oldest_idle_ms: group.oldest.as_ref().and_then(|entry| entry.idle_ms).filter(|_| pending > 0),
            quiet_ms: info.and_then(|info| age_ms(info.last_generated_id, now.server)),
        };
        GroupInsight {
            eta: eta(lag.entries, velocity),
            headroom: headroom(stream.length, lag.entries, history, deleted_at),
            needed: self.needed(rate_in, rate_out, active),
            state: judge(&facts, states),
            lag_time: lag_time_ms.map(|ms| ms as f64 / 1000.0),
            lag_time_quality,
            lag,
            lost,
            rate_out,
            ack_rate,
            velocity,
        }
    }

    /// Notices that the group has gone on, or was set back.
    fn follow(&mut self, group: &GroupInfo, now: u64) {
        if group.last_delivered_id == self.delivered {
            return;
        }
        if self.delivered.is_some() && group.last_delivered_id < self.delivered {
            self.rewound_at = Some(now);
            self.history.clear();
            self.loss.set_back();
        }
        self.delivered = group.last_delivered_id;
        self.still_since = None;
    }

    /// What one consumer does when entries always wait tells how many are needed for what comes in.
    fn needed(&self, rate_in: Option<f64>, rate_out: Option<f64>, active: u64) -> Option<(u64, f64)> {
        let rounds = self.history.iter().len() as f64;
        let busy =
            self.history.iter().filter(|sample| sample.lag.get().is_some_and(|lag| lag > 0)).count() as f64;
        let (rate_in, rate_out) = (rate_in?, rate_out.filter(|rate| *rate > 0.0)?);
        if active == 0 || busy < rounds {
            return None;
        }
        let each = rate_out / active as f64;
        Some(((rate_in / (each * UTILIZATION)).ceil().max(1.0) as u64, (rounds / SURE).min(1.0)))
    }
}

/// How long the oldest entry that was not delivered has waited, in milliseconds.
fn lag_time(group: &Group, lag: &Lag, stream: Option<&StreamInfo>, now: u64) -> (Option<u64>, Quality) {
    let delivered = group.info.last_delivered_id;
    if lag.entries == Some(0) {
        return (Some(0), Quality::Exact);
    }
    let first =
        stream.and_then(|info| info.first_entry).filter(|first| delivered.is_some_and(|id| id < *first));
    let last = stream.and_then(|info| info.last_entry).filter(|_| lag.known() == Some(1));
    if let Some(ms) = age_ms(first.or(group.next).or(last), now) {
        return (Some(ms), Quality::Exact);
    }
    match age_ms(delivered.filter(|_| group.next.is_none()), now) {
        Some(ms) => (Some(ms), Quality::Bounded),
        None => (None, Quality::Unknown),
    }
}

fn eta(lag: Option<u64>, velocity: Option<f64>) -> Option<f64> {
    match (lag?, velocity) {
        (0, _) => Some(0.0),
        (lag, Some(velocity)) if velocity < 0.0 => Some(lag as f64 / -velocity),
        (_, Some(_)) => Some(f64::INFINITY),
        (_, None) => None,
    }
}

/// How long until the group loses entries, if it stands still from now on: the entries before the ones that wait are
/// cut off at the rate of the window. Deleted entries say nothing about that.
fn headroom(length: u64, lag: Option<u64>, history: &History<StreamSample>, deleted_at: u64) -> Option<f64> {
    if history.iter().next()?.at < deleted_at {
        return None;
    }
    let rate = history.rate(|sample| Some(sample.removed)).filter(|rate| *rate > 0.0)?;
    Some(length.saturating_sub(lag?) as f64 / rate)
}

#[cfg(test)]
mod tests;
