//! What is held of each series: its last value, until it ends or is not heard of any more.
//!
//! Families are shared with the snapshots that scrapes are written from; one that changes while a scrape reads it is
//! copied, so neither waits for the other. The labels of a series are kept once for all families that have one with the
//! same (`labels`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge_component::Reason;
use streamgauge_prometheus::classic::Classic;
use streamgauge_prometheus::exposition::label_text;
use streamgauge_prometheus::point::{Exemplar, Histogram, Point, Sink, Value};
use streamgauge_prometheus::translate::NO_POINT;
use streamgauge_prometheus::write::MetadataType;
use streamgauge_prometheus::{Dropped, Labels};

use super::labels::{Text, Texts};

/// Families by name: what a scrape is written from.
pub(super) type Snapshot = BTreeMap<Arc<str>, Arc<Family>>;

/// Metrics of one name.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub kind: MetadataType,
    pub help: String,
    pub unit: String,
    /// By the number of their labels.
    pub series: BTreeMap<u64, Held>,
}

/// The last point of a series.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub labels: Arc<Text>,
    /// When it was taken, milliseconds since 1970; 0 when nobody said.
    pub time_ms: i64,
    /// When it came.
    pub seen: Instant,
    pub value: Last,
    pub exemplars: Box<[Exemplar]>,
    /// The server that it is about, `host:port`; empty when nobody said.
    pub server: Arc<str>,
}

/// A point's value. Nearly all are numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Last {
    Number(f64),
    Histogram(Box<Buckets>),
    Summary(Box<Quantiles>),
}

/// A histogram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Buckets {
    pub bounds: Arc<[f64]>,
    pub below: Arc<[u64]>,
    pub count: u64,
    pub sum: Option<f64>,
}

/// A summary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantiles {
    pub quantiles: Arc<[(f64, f64)]>,
    pub count: u64,
    pub sum: f64,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Store {
    families: Snapshot,
    series: usize,
    max_series: usize,
    expiration: Duration,
    swept: Option<Instant>,
    /// Servers, so that series share their names; forgotten when no series has them.
    servers: BTreeSet<Arc<str>>,
    texts: Texts,
    /// Changes whenever something else is to be shown.
    version: u64,
}

impl Store {
    pub fn new(max_series: usize, expiration: Duration) -> Self {
        let (families, servers) = (Snapshot::new(), BTreeSet::new());
        let texts = Texts::default();
        Store { families, series: 0, max_series, expiration, swept: None, servers, texts, version: 0 }
    }

    /// What there is now: one reference a family.
    pub fn snapshot(&self) -> Snapshot {
        self.families.clone()
    }

    /// Of what a snapshot shows; another one means that something else may be shown.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn series(&self) -> usize {
        self.series
    }

    /// Takes a request's points.
    pub fn intake(&mut self, now: Instant) -> Intake<'_> {
        self.version += 1;
        self.sweep(now);
        Intake { store: self, now, lost: Vec::new(), last_lost: NO_POINT, labels: Labels::default() }
    }

    /// Forgets what has not been heard of for long. Looking through all series is done rarely; a scrape leaves out what
    /// has expired since.
    fn sweep(&mut self, now: Instant) {
        let pause = (self.expiration / 4).min(Duration::from_secs(15));
        if self.swept.is_some_and(|last| now.saturating_duration_since(last) < pause) {
            return;
        }
        self.swept = Some(now);
        let expired = |held: &Held| now.saturating_duration_since(held.seen) > self.expiration;
        for family in self.families.values_mut() {
            if family.series.values().any(expired) {
                let family = Arc::make_mut(family);
                let before = family.series.len();
                family.series.retain(|_, held| !expired(held));
                self.series -= before - family.series.len();
            }
        }
        self.families.retain(|_, family| !family.series.is_empty());
        self.servers.retain(|server| Arc::strong_count(server) > 1);
        self.texts.sweep();
    }

    fn server(servers: &mut BTreeSet<Arc<str>>, name: &str) -> Arc<str> {
        match servers.get(name) {
            Some(server) => server.clone(),
            None => {
                let server: Arc<str> = name.into();
                servers.insert(server.clone());
                server
            }
        }
    }

    /// Ends a series. Where a value of the same time has taken its place, that goes on.
    fn end(&mut self, name: &str, labels: &str, time_ms: i64) {
        let Some(number) = self.texts.find(labels) else { return };
        let Some(family) = self.families.get_mut(name) else { return };
        if family.series.get(&number).is_some_and(|held| held.time_ms < time_ms || time_ms == 0) {
            let family = Arc::make_mut(family);
            family.series.remove(&number);
            self.series -= 1;
            if family.series.is_empty() {
                self.families.remove(name);
            }
        }
    }

    fn put(&mut self, point: &Point<'_>, labels: &Labels, now: Instant) -> Result<(), Reason> {
        let kind = point.family.kind;
        let text = label_text(labels, kind, false);
        let name = point.family.name.as_str();
        if point.ended {
            self.end(name, &text, point.time_ms);
            return Ok(());
        }
        let full = self.series >= self.max_series;
        let family = match self.families.get_mut(name) {
            // Prometheus would refuse the whole scrape for two types of one name.
            Some(family) if family.kind != kind => return Err(Reason::Unsupported),
            Some(family) => family,
            None if full => return Err(Reason::CardinalityLimit),
            None => {
                let (help, unit) = (point.family.help.clone(), point.family.unit.clone());
                let family = Family { kind, help, unit, series: BTreeMap::new() };
                self.families.entry(name.into()).or_insert(Arc::new(family))
            }
        };
        let number = self.texts.find(&text).filter(|number| family.series.contains_key(number));
        let Some((number, held)) = number.and_then(|number| Some((number, family.series.get(&number)?)))
        else {
            if full {
                return Err(Reason::CardinalityLimit);
            }
            let (number, labels) = self.texts.keep(text, || label_text(labels, kind, true));
            let held = Held {
                labels,
                time_ms: point.time_ms,
                seen: now,
                value: Last::of(&point.value, None),
                exemplars: point.exemplars.into(),
                server: Store::server(&mut self.servers, point.server),
            };
            Arc::make_mut(family).series.insert(number, held);
            self.series += 1;
            return Ok(());
        };
        if point.time_ms != 0 && point.time_ms < held.time_ms {
            return Err(Reason::OutOfOrder);
        }
        let same_time = point.time_ms != 0 && point.time_ms == held.time_ms;
        if point.delta && same_time {
            return Err(Reason::Duplicate);
        }
        let value = Last::of(&point.value, Some(&held.value));
        let value = if point.delta { value.after(&held.value, &point.value) } else { value };
        let twin = same_time && !value.same(&held.value);
        if let Some(held) = Arc::make_mut(family).series.get_mut(&number) {
            (held.time_ms, held.seen, held.value) = (point.time_ms, now, value);
            if *held.server != *point.server {
                held.server = Store::server(&mut self.servers, point.server);
            }
            if !point.exemplars.is_empty() {
                held.exemplars = point.exemplars.into();
            }
        }
        if twin { Err(Reason::Duplicate) } else { Ok(()) }
    }
}

impl Last {
    /// A value to keep; what does not change from point to point is shared with the one before.
    fn of(value: &Value<'_>, before: Option<&Last>) -> Last {
        let histogram = |h: Histogram<'_>| {
            let bounds = match before {
                Some(Last::Histogram(before)) if *before.bounds == *h.bounds => before.bounds.clone(),
                _ => h.bounds.into(),
            };
            Last::Histogram(Box::new(Buckets { bounds, below: h.below.into(), count: h.count, sum: h.sum }))
        };
        match value {
            Value::Number(value) => Last::Number(*value),
            Value::Histogram(h) => histogram(*h),
            Value::Exponential(e) => {
                let Classic { bounds, below } = Classic::from_exponential(e);
                histogram(Histogram { count: e.count, sum: e.sum, bounds: &bounds, below: &below })
            }
            Value::Summary { count, sum, quantiles } => Last::Summary(Box::new(Quantiles {
                quantiles: (*quantiles).into(),
                count: *count,
                sum: *sum,
            })),
        }
    }

    /// A delta, added to the sum of those before it. Of a histogram with other bounds the count begins anew.
    fn after(self, before: &Last, point: &Value<'_>) -> Last {
        match (self, before) {
            (Last::Number(delta), Last::Number(sum)) => Last::Number(sum + delta),
            (Last::Histogram(delta), Last::Histogram(before)) => {
                let Buckets { bounds, below, count, sum } = *delta;
                let Buckets { bounds: bounds_before, below: below_before, count: counted, sum: summed } =
                    &**before;
                let exponential = matches!(point, Value::Exponential(_));
                if !exponential && bounds != *bounds_before {
                    return Last::Histogram(Box::new(Buckets { bounds, below, count, sum }));
                }
                // An exponential one's bounds are always powers: both together have all that either has.
                let mut all: Vec<f64> = bounds.iter().chain(bounds_before.iter()).copied().collect();
                all.sort_by(f64::total_cmp);
                all.dedup();
                let up_to = |bounds: &[f64], below: &[u64], bound: f64| {
                    let at = bounds.partition_point(|b| *b <= bound);
                    at.checked_sub(1).and_then(|at| below.get(at)).copied().unwrap_or(0)
                };
                let total = |bound: &f64| {
                    up_to(&bounds, &below, *bound).saturating_add(up_to(bounds_before, below_before, *bound))
                };
                Last::Histogram(Box::new(Buckets {
                    below: all.iter().map(total).collect(),
                    bounds: if all == **bounds_before { bounds_before.clone() } else { all.into() },
                    count: counted.saturating_add(count),
                    sum: sum.zip(*summed).map(|(delta, sum)| sum + delta),
                }))
            }
            (value, _) => value,
        }
    }

    /// Equal, and a number that is none like itself.
    fn same(&self, other: &Last) -> bool {
        match (self, other) {
            (Last::Number(a), Last::Number(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}

/// Puts points into the store and counts those that it has no place for.
pub(super) struct Intake<'a> {
    store: &'a mut Store,
    now: Instant,
    /// Data points that are not shown, by reason.
    pub lost: Vec<(Reason, u64)>,
    /// A point with several series is lost once.
    last_lost: u32,
    labels: Labels,
}

impl Sink for Intake<'_> {
    const EXEMPLARS: bool = true;
    const DELTAS: bool = true;

    fn point(&mut self, point: &Point<'_>) -> Result<(), Dropped> {
        self.labels.clone_from(point.labels);
        self.labels.finish();
        if let Err(reason) = self.store.put(point, &self.labels, self.now)
            && point.number != NO_POINT
            && self.last_lost != point.number
        {
            self.last_lost = point.number;
            match self.lost.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => self.lost.push((reason, 1)),
            }
        }
        Ok(())
    }
}
