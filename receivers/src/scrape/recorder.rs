//! A round's points to OTLP bytes.

use std::collections::HashMap;

use bytes::Bytes;
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::Temporality;

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

/// Series by the values of their attributes. Many metrics are about the same thing: its name is kept once.
type All = HashMap<Box<[Box<str>]>, Vec<Series>>;

/// Writes a point of either kind: its attributes, then its start and what `$value` writes, or that it has ended.
macro_rules! points {
    ($self:ident, $metric:ident, $points:ident, $open:ident, |$point:ident, $series:ident| $value:expr) => {
        for (values, $series) in $points {
            let mut $point = $open.point($self.now);
            for (key, value) in $metric.attributes.iter().zip(values) {
                $point.attribute(key, &**value);
            }
            if $series.round != $self.round {
                $point.no_recorded_value();
                continue;
            }
            if let Some(start) = $self.start($metric.kind, $series) {
                $point.start(start);
            }
            $value;
        }
    };
}

/// What stands for all attributes of what is over the limit of series.
const OTHER: &str = "other";

/// What is known of a series.
struct Series {
    /// Number of the metric in the table.
    metric: u32,
    /// Of a histogram, how many values it has.
    value: Number,
    histogram: Option<Box<Exponential>>,
    /// What a counter counts from.
    start: u64,
    /// The round that saw it last, and whether it got a point then.
    round: u64,
    recorded: bool,
}

/// Collects a round's points, remembers the series, tells resets and ends.
pub(crate) struct Recorder {
    metrics: Vec<&'static Metric>,
    enabled: Vec<bool>,
    resource: Resource,
    series: All,
    /// The resource that this round has left, with the series that lived there.
    left: Option<(Resource, All)>,
    round: u64,
    /// Time of this round and of the last one that was not missed, in nanoseconds since 1970.
    now: u64,
    before: u64,
    missed: bool,
    /// What counters since `Process` and since `Stats` count from.
    process_start: u64,
    stats_start: u64,
    stats_fell: bool,
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
            series: HashMap::new(),
            left: None,
            round: 0,
            now: 0,
            before: 0,
            missed: false,
            process_start: 0,
            stats_start: 0,
            stats_fell: false,
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
            self.left = Some((old, std::mem::take(&mut self.series)));
            self.counts.fill(0);
        }
        self.round += 1;
        self.now = now;
        if self.before == 0 {
            self.before = now;
        }
        (self.missed, self.stats_fell) = (false, false);
    }

    /// The server's process is another one than in the last round: its counters start at 0, at `start` or, where the
    /// server's clock is too coarse to tell, after the last round.
    pub(crate) fn restarted(&mut self, start: u64) {
        let first = self.process_start == 0;
        self.process_start = if first { start } else { start.max(self.before + 1) };
        self.stats_start = self.process_start;
        for series in self.series.values_mut().flatten() {
            if matches!(
                self.metrics[series.metric as usize].kind,
                Kind::Counter(Since::Process | Since::Stats) | Kind::Histogram(Since::Process | Since::Stats)
            ) {
                series.value = Number::Int(0); // nothing is less: the fall is told by the restart already
            }
        }
    }

    /// Whether a metric is on.
    pub(crate) fn wants(&self, metric: usize) -> bool {
        self.enabled[metric]
    }

    /// Adds a point.
    pub(crate) fn record(&mut self, metric: usize, values: &[&str], value: impl Into<Number>) {
        if self.enabled[metric] {
            self.put(metric, values, value.into(), None);
        }
    }

    /// Adds a histogram.
    pub(crate) fn histogram(&mut self, metric: usize, values: &[&str], histogram: Exponential) {
        if self.enabled[metric] {
            self.put(metric, values, Number::from(histogram.count()), Some(Box::new(histogram)));
        }
    }

    fn put(&mut self, metric: usize, values: &[&str], value: Number, histogram: Option<Box<Exponential>>) {
        let (mut value, mut histogram) = (value, histogram);
        let mut key: Box<[Box<str>]> = values.iter().map(|text| (*text).into()).collect();
        let is_known = self.find(metric, &key).is_some();
        if !is_known && self.counts[metric] >= self.limit {
            key = values.iter().map(|_| OTHER.into()).collect();
            if let Some(there) =
                self.find(metric, &key).filter(|there| there.round == self.round && there.recorded)
            {
                value = joined(self.metrics[metric], there.value, value);
                if let (Some(mine), Some(there)) = (&mut histogram, &there.histogram) {
                    mine.merge(there);
                }
            }
        } else if !is_known {
            self.counts[metric] += 1;
        }
        let kind = self.metrics[metric].kind;
        let (round, now, before) = (self.round, self.now, self.before);
        let all = self.series.entry(key).or_default();
        let at = all.iter().position(|series| series.metric as usize == metric).unwrap_or_else(|| {
            let metric = metric as u32;
            all.push(Series { metric, value, histogram: None, start: now, round, recorded: true });
            all.len() - 1
        });
        let series = &mut all[at];
        if value < series.value {
            match kind {
                Kind::Counter(Since::Stats) | Kind::Histogram(Since::Stats) => self.stats_fell = true,
                Kind::Counter(_) | Kind::Histogram(_) => series.start = before,
                _ => {}
            }
        }
        (series.value, series.histogram, series.round, series.recorded) = (value, histogram, round, true);
    }

    fn find(&self, metric: usize, values: &[Box<str>]) -> Option<&Series> {
        self.series.get(values)?.iter().find(|series| series.metric as usize == metric)
    }

    /// Nothing could be asked in this round: all series stay alive, and a later reset may lie in this time too.
    pub(crate) fn missed(&mut self) {
        self.keep(|_, _| true);
        self.missed = true;
    }

    /// The last points of a node that is watched no more: all its series end.
    pub(crate) fn end(mut self, now: u64, scope: &str) -> Option<(Bytes, usize)> {
        self.round += 1;
        self.now = now;
        self.finish(scope)
    }

    /// Leaves the series for which `which` says so without a point, but alive.
    pub(crate) fn keep(&mut self, which: impl Fn(&Metric, &[Box<str>]) -> bool) {
        for (values, all) in &mut self.series {
            for series in all {
                if series.round != self.round && which(self.metrics[series.metric as usize], values) {
                    (series.round, series.recorded) = (self.round, false);
                }
            }
        }
    }

    /// Ends the round: its points, and a last one without a value for each series that got none; and how many.
    pub(crate) fn finish(&mut self, scope: &str) -> Option<(Bytes, usize)> {
        if self.stats_fell {
            self.stats_start = self.before;
        }
        let mut request = MetricsBuilder::new();
        if let Some((resource, series)) = self.left.take() {
            self.write(&mut request, &resource, &series, scope);
        }
        self.write(&mut request, &self.resource, &self.series, scope);
        if !self.missed {
            self.before = self.now;
        }
        let items = request.items();
        let round = self.round;
        let counts = &mut self.counts;
        self.series.retain(|values, all| {
            let is_other = values.iter().all(|value| &**value == OTHER);
            all.retain(|series| {
                let lives = series.round == round;
                if !lives && !is_other {
                    let count = &mut counts[series.metric as usize];
                    *count = count.saturating_sub(1);
                }
                lives
            });
            !all.is_empty()
        });
        (items > 0).then(|| (request.finish(), items))
    }

    /// The points of one resource.
    fn write(&self, request: &mut MetricsBuilder, resource: &Resource, series: &All, scope: &str) {
        let mut of_metric = vec![Vec::<(&[Box<str>], &Series)>::new(); self.metrics.len()];
        for (values, all) in series {
            for series in all.iter().filter(|series| series.recorded || series.round != self.round) {
                of_metric[series.metric as usize].push((values, series));
            }
        }
        if of_metric.iter().all(Vec::is_empty) {
            return;
        }
        let mut resource = request.resource(resource);
        let mut scope = resource.scope(scope, env!("CARGO_PKG_VERSION"));
        for (metric, mut points) in self.metrics.iter().zip(of_metric) {
            if points.is_empty() {
                continue;
            }
            points.sort_unstable_by_key(|(values, _)| *values);
            let Metric { name, unit, about, kind, .. } = metric;
            let mut open = match kind {
                Kind::Gauge => scope.gauge(name, unit, about),
                Kind::UpDown => scope.sum(name, unit, about, Temporality::Cumulative, false),
                Kind::Counter(_) => scope.sum(name, unit, about, Temporality::Cumulative, true),
                Kind::Histogram(_) | Kind::Snapshot => {
                    let mut open = scope.exponential_histogram(name, unit, about, Temporality::Cumulative);
                    points!(self, metric, points, open, |point, series| {
                        if let Some(histogram) = &series.histogram {
                            histogram.write(&mut point);
                        }
                    });
                    continue;
                }
            };
            points!(self, metric, points, open, |point, series| match series.value {
                Number::Int(value) => point.int(value),
                Number::Double(value) => point.double(value),
            });
        }
    }

    /// What a point counts from, where it counts.
    fn start(&self, kind: Kind, series: &Series) -> Option<u64> {
        let start = match kind {
            Kind::Gauge => return None,
            Kind::Snapshot => self.now,
            Kind::Counter(Since::Stats) | Kind::Histogram(Since::Stats) => self.stats_start,
            Kind::UpDown | Kind::Counter(Since::Process) | Kind::Histogram(Since::Process) => {
                self.process_start
            }
            Kind::Counter(Since::Series) | Kind::Histogram(Since::Series) => series.start,
        };
        (start != 0).then(|| start.min(self.now))
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
