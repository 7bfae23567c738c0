//! A round's points to OTLP bytes.

mod chunk;
mod names;

use std::collections::HashMap;

use bytes::Bytes;

use self::chunk::Chunk;
pub(crate) use self::names::Place;
use self::names::{Names, ROOT, make_room};
use super::histogram::Exponential;
use super::table::{Kind, Metric, Since};

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Number {
    Int(i64),
    Double(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Double(value)
    }
}

impl Number {
    pub(crate) fn double(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Double(value) => value,
        }
    }
}

/// A resource's attributes.
pub(crate) type Resource = Vec<(&'static str, String)>;

/// What stands for all attributes of what is over the limit of series.
const OTHER: &str = "other";
/// Points of one request, where a round may be sent in several.
pub(crate) const MANY: usize = 2048;

/// What is known of a series: the number of its metric in the table, and the round that saw it last.
#[derive(Clone, Copy)]
struct Series {
    metric: u16,
    round: u16,
}

/// What is remembered of a counter or histogram: its last value, and what it counts from.
struct Count {
    value: Number,
    start: u64,
}

/// All series of a resource.
#[derive(Default)]
struct All {
    names: Names<Vec<Series>>,
    counts: HashMap<(Place, u16), Count>,
}

/// Collects a round's points, remembers the series, tells resets and ends.
pub(crate) struct Recorder {
    metrics: Vec<&'static Metric>,
    enabled: Vec<bool>,
    resource: Resource,
    all: All,
    chunk: Chunk,
    /// The resource that this round has left, with the series that lived there.
    left: Option<(Resource, All)>,
    round: u16,
    /// Time of this round and of the last one that was not missed, in nanoseconds since 1970.
    now: u64,
    before: u64,
    missed: bool,
    /// What counters since `Process` and since `Stats` count from.
    process_start: u64,
    stats_start: u64,
    /// The most series of one metric; and how many each has.
    limit: usize,
    counts: Vec<usize>,
}

impl Recorder {
    pub(crate) fn new(metrics: impl Iterator<Item = &'static Metric>, enabled: Vec<bool>) -> Self {
        Recorder {
            metrics: metrics.collect(),
            limit: usize::MAX,
            counts: vec![0; enabled.len()],
            enabled,
            resource: Resource::new(),
            all: All::default(),
            chunk: Chunk::default(),
            left: None,
            round: 0,
            now: 0,
            before: 0,
            missed: false,
            process_start: 0,
            stats_start: 0,
        }
    }

    /// Lets no metric have more series than this. What comes beyond is one series more, all of whose attributes are
    /// `other`: the sum of what can be summed (counters, numbers of things, bytes, histograms), of the rest the greatest.
    pub(crate) fn limited(self, limit: usize) -> Self {
        Recorder { limit, ..self }
    }

    /// Begins a round. Another resource than in the last round makes every series another one: all that live end there.
    pub(crate) fn begin(&mut self, now: u64, resource: Resource) {
        if resource != self.resource {
            let old = std::mem::replace(&mut self.resource, resource);
            self.left = Some((old, std::mem::take(&mut self.all)));
            self.counts.fill(0);
        }
        self.round = self.round.wrapping_add(1);
        self.now = now;
        if self.before == 0 {
            self.before = now;
        }
        self.missed = false;
    }

    /// The server's process is another one than in the last round: its counters start at 0, at `start` or, where the
    /// server's clock is too coarse to tell, after the last round.
    pub(crate) fn restarted(&mut self, start: u64) {
        let first = self.process_start == 0;
        self.process_start = if first { start } else { start.max(self.before + 1) };
        self.stats_start = self.process_start;
        for ((_, metric), count) in &mut self.all.counts {
            if matches!(
                self.metrics[*metric as usize].kind,
                Kind::Counter(Since::Process | Since::Stats) | Kind::Histogram(Since::Process | Since::Stats)
            ) {
                count.value = Number::Int(0); // nothing is less: the fall is told by the restart already
            }
        }
    }

    /// Whether a metric is on.
    pub(crate) fn wants(&self, metric: usize) -> bool {
        self.enabled[metric]
    }

    /// The place of these values of attributes, in this round.
    pub(crate) fn at(&mut self, values: &[&str]) -> Place {
        values.iter().fold(ROOT, |place, value| self.all.names.below(place, value))
    }

    /// The place of one value more.
    pub(crate) fn below(&mut self, place: Place, value: &str) -> Place {
        self.all.names.below(place, value)
    }

    /// Adds a point.
    pub(crate) fn record(&mut self, metric: usize, values: &[&str], value: impl Into<Number>) {
        if self.enabled[metric] {
            self.limit_or_put(metric, values, value.into(), None);
        }
    }

    /// Adds a histogram.
    pub(crate) fn histogram(&mut self, metric: usize, values: &[&str], histogram: Exponential) {
        if self.enabled[metric] {
            self.limit_or_put(metric, values, Number::from(histogram.count()), Some(Box::new(histogram)));
        }
    }

    /// Adds a point at a place, for metrics without a limit of series.
    pub(crate) fn put(&mut self, metric: usize, place: Place, value: impl Into<Number>) {
        if self.enabled[metric] {
            self.add(metric as u16, place, value.into(), None);
        }
    }

    /// Leaves a series without a point in this round, but alive.
    pub(crate) fn keep_at(&mut self, metric: usize, place: Place) {
        let (metric, round) = (metric as u16, self.round);
        let known = self.all.names.known_mut(place);
        known.iter_mut().filter(|series| series.metric == metric).for_each(|series| series.round = round);
    }

    fn limit_or_put(
        &mut self,
        metric: usize,
        values: &[&str],
        value: Number,
        histogram: Option<Box<Exponential>>,
    ) {
        let number = metric as u16;
        if self.counts[metric] >= self.limit && !self.is_known(number, values) {
            let others = vec![OTHER; values.len()];
            let place = self.at(&others);
            let has_point = self.all.has_point(number, place, self.round);
            if let Some(there) = self.chunk.find(number, place).filter(|_| has_point) {
                there.value = there.value.map(|there| joined(self.metrics[metric], there, value));
                if let (Some(there), Some(mine)) = (&mut there.histogram, histogram) {
                    there.merge(&mine);
                }
                return;
            }
            return self.add(number, place, value, histogram);
        }
        let place = self.at(values);
        self.add(number, place, value, histogram);
    }

    fn is_known(&self, metric: u16, values: &[&str]) -> bool {
        let place = values.iter().try_fold(ROOT, |place, value| self.all.names.find(place, value));
        place.is_some_and(|place| self.all.names.known(place).iter().any(|series| series.metric == metric))
    }

    fn add(&mut self, metric: u16, place: Place, value: Number, histogram: Option<Box<Exponential>>) {
        let round = self.round;
        let known = self.all.names.known_mut(place);
        match known.iter_mut().find(|series| series.metric == metric) {
            Some(series) if series.round == round => {
                // Told twice: what was said last holds, unless the first is on its way.
                if let Some(point) = self.chunk.find(metric, place) {
                    (point.value, point.histogram) = (Some(value), histogram);
                }
                return;
            }
            Some(series) => series.round = round,
            None => {
                make_room(known);
                known.push(Series { metric, round });
                self.counts[metric as usize] += 1;
            }
        }
        let table = (metric, self.metrics[metric as usize]);
        self.chunk.push(table, place, || self.all.names.path(place), Some(value), histogram);
    }

    /// Nothing could be asked in this round: all series stay alive, and a later reset may lie in this time too.
    pub(crate) fn missed(&mut self) {
        self.keep(|_, _| true);
        self.missed = true;
    }

    /// The last points of a node that is watched no more: all its series end.
    pub(crate) fn end(mut self, now: u64, scope: &str) -> Option<(Bytes, usize)> {
        self.round = self.round.wrapping_add(1);
        self.now = now;
        self.finish(scope)
    }

    /// Leaves the series for which `which` says so without a point, but alive.
    pub(crate) fn keep(&mut self, which: impl Fn(&Metric, &[&str]) -> bool) {
        let round = self.round;
        for place in self.all.names.places() {
            if self.all.names.known(place).iter().all(|series| series.round == round) {
                continue;
            }
            let path = self.all.names.path(place);
            let keeps = |series: &Series| which(self.metrics[series.metric as usize], &path);
            let kept: Vec<u16> =
                self.all.names.known(place).iter().filter(|s| keeps(s)).map(|series| series.metric).collect();
            let known = self.all.names.known_mut(place).iter_mut();
            known.filter(|series| kept.contains(&series.metric)).for_each(|series| series.round = round);
        }
    }

    /// A part of the round's points, when there are many. Not for tables with counters since `Stats`, of which each can
    /// change what all count from.
    pub(crate) fn cut(&mut self, scope: &str) -> Option<(Bytes, usize)> {
        if self.chunk.points.len() < MANY {
            return None;
        }
        self.settle();
        Some(self.chunk.write(&self.metrics, &self.resource, scope, self.now))
    }

    /// Ends the round: the rest of its points, and a last one without a value for each series that got none; and how
    /// many.
    pub(crate) fn finish(&mut self, scope: &str) -> Option<(Bytes, usize)> {
        self.settle();
        let mut left = None;
        if let Some((resource, mut all)) = self.left.take() {
            let mut chunk = Chunk::default();
            all.end_unseen(None, &self.metrics, &mut chunk, |_, _| {});
            left = (!chunk.is_empty()).then(|| chunk.write(&self.metrics, &resource, scope, self.now));
        }
        let counts = &mut self.counts;
        self.all.end_unseen(Some(self.round), &self.metrics, &mut self.chunk, |metric, path| {
            if path.iter().any(|name| *name != OTHER) || path.is_empty() {
                let count = &mut counts[metric as usize];
                *count = count.saturating_sub(1);
            }
        });
        if !self.missed {
            self.before = self.now;
        }
        let now = self.chunk.is_empty();
        let now = (!now).then(|| self.chunk.write(&self.metrics, &self.resource, scope, self.now));
        match (left, now) {
            (Some((left, ended)), Some((now, items))) => Some(([left, now].concat().into(), ended + items)),
            (left, now) => left.or(now),
        }
    }

    /// Finds what the points of the chunk count from.
    fn settle(&mut self) {
        let mut stats_fell = false;
        for point in &mut self.chunk.points {
            let (Kind::Counter(since) | Kind::Histogram(since)) = self.metrics[point.metric as usize].kind
            else {
                continue;
            };
            let Some(value) = point.value else { continue };
            let known = self.all.counts.entry((point.place, point.metric));
            let count = known.or_insert(Count { value, start: self.now });
            if value < count.value {
                match since {
                    Since::Stats => stats_fell = true,
                    _ => count.start = self.before,
                }
            }
            count.value = value;
            point.start = Some(count.start);
        }
        if stats_fell {
            self.stats_start = self.before;
        }
        for point in &mut self.chunk.points {
            let start = match self.metrics[point.metric as usize].kind {
                Kind::Gauge => continue,
                Kind::Snapshot => self.now,
                Kind::Counter(Since::Stats) | Kind::Histogram(Since::Stats) => self.stats_start,
                Kind::UpDown | Kind::Counter(Since::Process) | Kind::Histogram(Since::Process) => {
                    self.process_start
                }
                Kind::Counter(Since::Series) | Kind::Histogram(Since::Series) => point.start.unwrap_or(0),
            };
            point.start = (start != 0).then(|| start.min(self.now));
        }
    }
}

impl All {
    fn has_point(&self, metric: u16, place: Place, round: u16) -> bool {
        self.names.known(place).iter().any(|series| series.metric == metric && series.round == round)
    }

    /// Adds a last point for each series that `round` has not seen, and forgets it; without a round for all of them.
    fn end_unseen(
        &mut self,
        round: Option<u16>,
        metrics: &[&'static Metric],
        chunk: &mut Chunk,
        mut ended: impl FnMut(u16, &[&str]),
    ) {
        let is_seen = |series: &Series| Some(series.round) == round;
        for place in self.names.places() {
            let known = self.names.known(place);
            if !known.iter().all(is_seen) {
                let path = self.names.path(place);
                for Series { metric, .. } in known.iter().filter(|series| !is_seen(series)) {
                    chunk.push((*metric, metrics[*metric as usize]), place, || path.clone(), None, None);
                    self.counts.remove(&(place, *metric));
                    ended(*metric, &path);
                }
                self.names.known_mut(place).retain(is_seen);
            }
            self.names.prune(place, Vec::is_empty);
        }
    }
}

/// Two values of one metric as one.
fn joined(metric: &Metric, a: Number, b: Number) -> Number {
    let adds = metric.kind != Kind::Gauge || metric.unit == "By" || metric.unit.starts_with('{');
    match (a, b) {
        (Number::Int(a), Number::Int(b)) if adds => Number::Int(a.saturating_add(b)),
        (a, b) if adds => Number::Double(a.double() + b.double()),
        (a, b) => {
            if a.double() < b.double() {
                b
            } else {
                a
            }
        }
    }
}

#[cfg(test)]
mod tests;
