//! Data points, as the forms that their metric takes: under its own name, and under those of presets.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{
    Attributes, Buckets, Data, ExponentialHistogramPoint, HistogramPoint, MetricView, NumberPoint,
    SummaryPoint,
};

use super::resource::ResourceTarget;
use super::{Dropped, Translated, Translator, exemplars, is_delta, kinds};
use crate::classic::Classic;
use crate::labels::Labels;
use crate::native::Exponential;
use crate::point::{Exemplar, Family, Histogram, Point, Sink, Value};
use crate::preset::{Preset, Row, Whole};
use crate::write::MetadataType;

/// The points of one scope, with what their series have in common.
pub(super) struct Points<'t, 'a, S> {
    translator: &'t Translator,
    resource: Attributes<'a>,
    target: &'t ResourceTarget,
    prefix: &'t Labels,
    out: &'t mut Translated<S>,
    /// What the metric at hand becomes.
    forms: Vec<Form<'t>>,
    /// Whether its values count from the point before.
    delta: bool,
    /// The labels of the form at hand.
    labels: Labels,
    attributes: Vec<(&'a str, streamgauge_pdata::view::Value<'a>)>,
    exemplars: Vec<Exemplar>,
    /// Numbers that presets' ratios are made of.
    numbers: Vec<Number>,
    latest_ms: Option<i64>,
}

/// One of the ways in which a metric is shown.
struct Form<'t> {
    family: Family,
    row: Option<(&'t Preset, &'static Row)>,
}

/// A number without attributes; `None` when its series ends.
struct Number {
    metric: &'static str,
    value: Option<f64>,
    time_ms: i64,
    point: u32,
}

/// A point that has no series, and why.
struct NoSeries(Dropped);

impl From<Malformed> for NoSeries {
    fn from(_: Malformed) -> Self {
        NoSeries(Dropped::Malformed)
    }
}

impl From<Dropped> for NoSeries {
    fn from(reason: Dropped) -> Self {
        NoSeries(reason)
    }
}

type Step = Result<(), NoSeries>;

impl<'t, 'a, S: Sink> Points<'t, 'a, S> {
    pub(super) fn new(
        translator: &'t Translator,
        resource: Attributes<'a>,
        target: &'t ResourceTarget,
        prefix: &'t Labels,
        out: &'t mut Translated<S>,
    ) -> Self {
        Self {
            translator,
            resource,
            target,
            prefix,
            out,
            forms: Vec::new(),
            delta: false,
            labels: Labels::default(),
            attributes: Vec::new(),
            exemplars: Vec::new(),
            numbers: Vec::new(),
            latest_ms: None,
        }
    }

    /// The time of the latest point that became a sample.
    pub(super) fn latest_ms(&self) -> Option<i64> {
        self.latest_ms
    }

    pub(super) fn metric(&mut self, metric: &MetricView<'a>) {
        let refused = self.shape(metric).err();
        match metric.data {
            Data::Empty => {}
            Data::Gauge(points) | Data::Sum { points, .. } => {
                let source = self.translator.ratio_source(metric.name);
                self.each(points, refused, |to, point| to.number(source, point));
            }
            Data::Histogram { points, .. } => self.each(points, refused, Self::histogram),
            Data::ExponentialHistogram { points, .. } => self.each(points, refused, Self::exponential),
            Data::Summary(points) => self.each(points, refused, Self::summary),
        }
    }

    /// Finds the forms of a metric.
    fn shape(&mut self, metric: &MetricView<'a>) -> Result<(), Dropped> {
        self.forms.clear();
        let (kind, meta) = kinds(&metric.data, S::DELTAS)?;
        self.delta = is_delta(&metric.data);
        let family = |name, kind, unit: &str| Family {
            name,
            kind,
            help: metric.description.to_owned(),
            unit: crate::unit::metadata(unit),
        };
        let translator = self.translator;
        for (preset, row) in translator.presets.rows(metric.name) {
            let preset = &translator.presets.presets()[*preset];
            let family = family(row.family(preset), row.kind, "");
            self.forms.push(Form { family, row: Some((preset, row)) });
        }
        if !translator.presets.replaces(metric.name) {
            let name = translator.settings.namer.metric(metric.name, metric.unit, kind);
            match name {
                Some(name) => self.forms.push(Form { family: family(name, meta, metric.unit), row: None }),
                None if self.forms.is_empty() => return Err(Dropped::Unsupported),
                None => {}
            }
        }
        if translator.settings.metadata {
            self.forms.iter().for_each(|form| self.out.describe(&form.family));
        }
        Ok(())
    }

    fn each<P>(
        &mut self,
        points: impl Iterator<Item = Result<P, Malformed>>,
        refused: Option<Dropped>,
        take: impl Fn(&mut Self, &P) -> Step,
    ) {
        for point in points {
            let step = match (refused, point) {
                (Some(reason), _) => Err(NoSeries(reason)),
                (None, Ok(point)) => take(self, &point),
                (None, Err(fault)) => Err(fault.into()),
            };
            if let Err(NoSeries(reason)) = step {
                self.out.drop_points(reason, 1);
            }
            self.out.points += 1;
        }
    }

    /// Reads what all forms of a point need.
    fn open(&mut self, attributes: Attributes<'a>) -> Result<(), Malformed> {
        self.attributes.clear();
        self.exemplars.clear();
        for attribute in attributes {
            self.attributes.push(attribute?);
        }
        self.attributes.sort_by_key(|(key, _)| *key);
        Ok(())
    }

    /// Gives every form of a point to the sink.
    fn emit(&mut self, time: u64, ended: bool, value: Value<'_>) -> Step {
        let time_ms = millis(time);
        let Self { forms, labels, attributes, out, exemplars, .. } = self;
        for Form { family, row } in forms.iter() {
            let mut scaled = Classic::default();
            let value = match row {
                None => {
                    labels.clone_from(self.prefix);
                    self.translator.label_all("", attributes, labels)?;
                    value
                }
                Some((preset, row)) => {
                    if !preset.takes(row, attributes) {
                        continue;
                    }
                    labels.clone_from(&self.target.labels);
                    preset.common(self.resource, labels)?;
                    row.labels(attributes, self.resource, labels)?;
                    match changed(row, value, time_ms, ended, attributes, &mut scaled) {
                        Some(value) => value,
                        None => continue,
                    }
                }
            };
            self.latest_ms = self.latest_ms.max(Some(time_ms));
            let number = out.points;
            let delta = self.delta;
            let server = self.target.server.as_str();
            let point = Point { family, labels, server, time_ms, ended, delta, value, exemplars, number };
            out.series.point(&point)?;
        }
        Ok(())
    }

    fn number(&mut self, source: Option<&'static str>, point: &NumberPoint<'a>) -> Step {
        let ended = point.no_recorded_value();
        let value = match (ended, point.value) {
            (_, Some(value)) => value.as_f64(),
            (true, None) => 0.0,
            (false, None) => return Err(NoSeries(Dropped::Unsupported)),
        };
        self.open(point.attributes())?;
        if let (Some(metric), true) = (source, self.attributes.is_empty()) {
            let value = (!ended).then_some(value);
            let number = Number { metric, value, time_ms: millis(point.time), point: self.out.points };
            self.numbers.push(number);
        }
        if S::EXEMPLARS {
            exemplars::read(point.exemplars(), &mut self.exemplars)?;
        }
        self.emit(point.time, ended, Value::Number(value))
    }

    fn histogram(&mut self, point: &HistogramPoint<'a>) -> Step {
        let mut bounds = point.explicit_bounds().collect::<Result<Vec<_>, _>>()?;
        let counts = point.bucket_counts().collect::<Result<Vec<_>, _>>()?;
        let mut below = Vec::with_capacity(bounds.len());
        let mut sum = 0_u64;
        for at in 0..bounds.len() {
            sum = sum.saturating_add(counts.get(at).copied().unwrap_or(0));
            below.push(sum);
        }
        // A bound that is no number is what `+Inf` says anyway.
        let finite = bounds.iter().position(|bound| !bound.is_finite()).unwrap_or(bounds.len());
        bounds.truncate(finite);
        self.open(point.attributes())?;
        if S::EXEMPLARS {
            exemplars::read(point.exemplars(), &mut self.exemplars)?;
        }
        let histogram =
            Histogram { count: point.count, sum: point.sum, bounds: &bounds, below: &below[..finite] };
        self.emit(point.time, point.no_recorded_value(), Value::Histogram(histogram))
    }

    fn summary(&mut self, point: &SummaryPoint<'a>) -> Step {
        let quantiles = point.quantiles().collect::<Result<Vec<_>, _>>()?;
        self.open(point.attributes())?;
        let value = Value::Summary { count: point.count, sum: point.sum, quantiles: &quantiles };
        self.emit(point.time, point.no_recorded_value(), value)
    }

    fn exponential(&mut self, point: &ExponentialHistogramPoint<'a>) -> Step {
        let row = |buckets: Buckets<'a>| buckets.counts.collect::<Result<Vec<_>, _>>();
        let (positive, negative) = (row(point.positive)?, row(point.negative)?);
        self.open(point.attributes())?;
        if S::EXEMPLARS {
            exemplars::read(point.exemplars(), &mut self.exemplars)?;
        }
        let value = Exponential {
            count: point.count,
            sum: point.sum,
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: (point.positive.offset, &positive),
            negative: (point.negative.offset, &negative),
        };
        self.emit(point.time, point.no_recorded_value(), Value::Exponential(value))
    }

    /// Adds what presets make of two metrics. To be called after the scope's last metric.
    pub(super) fn finish(&mut self) -> Result<(), Malformed> {
        if self.numbers.is_empty() {
            return Ok(());
        }
        let number = |metric: &str| self.numbers.iter().rfind(|n| n.metric == metric);
        for preset in self.translator.presets.presets() {
            self.labels.clone_from(&self.target.labels);
            preset.common(self.resource, &mut self.labels)?;
            for ratio in preset.ratios() {
                let (Some(part), Some(whole)) = (number(ratio.part), number(ratio.whole.metric())) else {
                    continue;
                };
                let value = part.value.zip(whole.value).and_then(|(part, other)| {
                    let whole = if let Whole::With(_) = ratio.whole { part + other } else { other };
                    (whole > 0.0).then_some(part / whole * ratio.times)
                });
                let family = Family {
                    name: preset.name(ratio.to),
                    kind: MetadataType::Gauge,
                    help: ratio.about.to_owned(),
                    unit: String::new(),
                };
                if self.translator.settings.metadata {
                    self.out.describe(&family);
                }
                let point = Point {
                    family: &family,
                    labels: &self.labels,
                    server: &self.target.server,
                    time_ms: part.time_ms,
                    ended: value.is_none(),
                    delta: false,
                    value: Value::Number(value.unwrap_or(0.0)),
                    exemplars: &[],
                    number: part.point,
                };
                // The point itself has its series; a sink that has no room counts that by itself.
                let _ = self.out.series.point(&point);
            }
        }
        Ok(())
    }
}

/// A value as a row wants it; `None` when this point tells the row nothing.
fn changed<'v>(
    row: &Row,
    value: Value<'v>,
    time_ms: i64,
    ended: bool,
    attributes: &[(&str, streamgauge_pdata::view::Value<'_>)],
    scaled: &'v mut Classic,
) -> Option<Value<'v>> {
    match value {
        Value::Number(number) => row.value(number, time_ms, ended, attributes).map(Value::Number),
        Value::Exponential(e) => {
            *scaled = Classic::from_exponential(&e);
            scaled.bounds.iter_mut().for_each(|bound| *bound = row.scale(*bound));
            let sum = e.sum.map(|sum| row.scale(sum));
            Some(Value::Histogram(Histogram {
                count: e.count,
                sum,
                bounds: &scaled.bounds,
                below: &scaled.below,
            }))
        }
        Value::Histogram(h) => {
            scaled.bounds = h.bounds.iter().map(|bound| row.scale(*bound)).collect();
            let sum = h.sum.map(|sum| row.scale(sum));
            Some(Value::Histogram(Histogram { sum, bounds: &scaled.bounds, ..h }))
        }
        Value::Summary { .. } => None,
    }
}

fn millis(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}
