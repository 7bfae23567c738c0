//! What could not be asked: counted each time, logged once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use streamgauge_component::{Host, Instrument, InstrumentKind};
use streamgauge_redis::{CommandError, Fault};

/// A stream and perhaps a group of it.
type Place = (Vec<u8>, Option<Vec<u8>>);

/// What is not watched because of a limit, in one round of all nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeftOut {
    pub(crate) streams: u64,
    pub(crate) groups: u64,
    pub(crate) consumers: u64,
    /// Details that the budget of server time did not allow.
    pub(crate) shed: u64,
}

impl LeftOut {
    pub(crate) fn add(&mut self, other: &LeftOut) {
        self.streams += other.streams;
        self.groups += other.groups;
        self.consumers += other.consumers;
        self.shed += other.shed;
    }
}

/// Counts and logs the failures of single streams and groups.
pub(crate) struct Failures {
    host: Host,
    counters: HashMap<Fault, Arc<Instrument>>,
    /// What failed in the last round, and what has failed in this one.
    known: HashMap<Place, Fault>,
    now: HashMap<Place, Fault>,
    /// Limits that were reached and have been told.
    limits: HashSet<&'static str>,
}

impl Failures {
    pub(crate) fn new(host: Host) -> Self {
        let (counters, known, now) = (HashMap::new(), HashMap::new(), HashMap::new());
        Failures { host, counters, known, now, limits: HashSet::new() }
    }

    /// A command about a stream, or a group of it, was refused.
    pub(crate) fn add(&mut self, stream: &[u8], group: Option<&[u8]>, error: &CommandError) {
        let host = &self.host;
        let counter = self.counters.entry(error.fault).or_insert_with(|| {
            host.instrument(
                InstrumentKind::Counter,
                "streamgauge.redis.stream.failures",
                "{command}",
                "Commands about a stream that were refused.",
                vec![("fault", error.fault.as_str().to_owned())],
            )
        });
        counter.value.add(1);
        let place = (stream.to_vec(), group.map(<[u8]>::to_vec));
        if self.known.get(&place) != Some(&error.fault) && self.now.get(&place) != Some(&error.fault) {
            let stream = String::from_utf8_lossy(stream);
            let group = group.map(String::from_utf8_lossy).unwrap_or_default();
            tracing::warn!(id = &**host.id(), %stream, %group, fault = error.fault.as_str(), "stream not readable: {error}");
        }
        self.now.insert(place, error.fault);
    }

    /// Tells all limits.
    pub(crate) fn limits(&mut self, left_out: &LeftOut) {
        self.limit("max_streams", left_out.streams);
        self.limit("max_groups", left_out.groups);
        self.limit("consumers.max", left_out.consumers);
        self.limit("max_server_time", left_out.shed);
    }

    /// A limit of ours was reached and something is left out; `count` is how much.
    fn limit(&mut self, setting: &'static str, count: u64) {
        let instrument = self.host.instrument(
            InstrumentKind::Gauge,
            "streamgauge.redis.stream.left_out",
            "{item}",
            "Streams, groups, consumers or details that are not watched because of a limit.",
            vec![("setting", setting.to_owned())],
        );
        instrument.value.set(count);
        if count == 0 {
            self.limits.remove(setting);
        } else if self.limits.insert(setting) {
            tracing::warn!(
                id = &**self.host.id(),
                setting,
                count,
                "more than may be watched; the rest is left out"
            );
        }
    }

    /// Ends a round: what did not fail again may be logged again.
    pub(crate) fn finish(&mut self) {
        self.known = std::mem::take(&mut self.now);
    }
}
