//! A metrics request as Prometheus series.
//!
//! What a point means is settled here once, whatever sends the series on: its name and labels, a histogram's
//! cumulative buckets, the stale marker of a series that ended. What Prometheus cannot say is dropped, counted
//! by data points.

use std::collections::HashMap;

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Attributes, Data, MetricView, MetricsView, Temporality, Value};

use crate::labels::{Labels, Rank};
use crate::name::{Kind, Namer};
use crate::write::{Metadata, MetadataType, Sample, SeriesSet};

mod points;
mod resource;
pub use resource::ResourceLabels;

/// How to translate; the settings of an exporter.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Makes the names.
    pub namer: Namer,
    /// Labels added to everything, where nothing else has set them.
    pub external_labels: Vec<(String, String)>,
    /// Whether series carry `otel_scope_*`.
    pub scope_labels: bool,
    /// Whether a resource's attributes become a `target_info` series.
    pub target_info: bool,
    /// Which resource attributes become labels of every series.
    pub resource_labels: ResourceLabels,
    /// Whether families' metadata is gathered.
    pub metadata: bool,
}

/// Why a point has no series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// A delta sum or histogram (or one that does not say): Prometheus counts from a start.
    Delta,
    /// Something Prometheus has no form for: a metric whose name has no usable character, a point without a
    /// value, an exponential histogram without sum or with a scale below -4.
    Unsupported,
    /// The point's bytes are broken.
    Malformed,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Translated {
    /// The series.
    pub series: SeriesSet,
    /// Data points seen. Points inside a metric that is broken as a whole are not.
    pub points: u32,
    /// Points without series, by reason.
    pub dropped: Vec<(Dropped, u64)>,
    /// Metadata of families, each once.
    pub metadata: Vec<Metadata>,
    families: HashMap<String, ()>,
    targets: HashMap<(String, String), Target>,
}

#[derive(Debug)]
struct Target {
    labels: Labels,
    timestamp_ms: i64,
}

/// The `point` of samples that no data point stands behind (`target_info`).
pub const NO_POINT: u32 = u32::MAX;

/// Translates requests; one for an exporter.
#[derive(Debug)]
pub struct Translator {
    settings: Settings,
}

impl Translator {
    /// A translator with these settings; external labels' names are made legal.
    #[must_use]
    pub fn new(mut settings: Settings) -> Self {
        let namer = settings.namer.clone();
        settings.external_labels.retain_mut(|(name, _)| {
            let mut legal = String::new();
            let named = namer.label(name, &mut legal);
            *name = legal;
            named
        });
        Self { settings }
    }

    /// Adds a request's series to `out`.
    ///
    /// # Errors
    /// The request is broken between its records (which the door refuses); what came before is in `out`.
    pub fn translate(&self, request: &[u8], out: &mut Translated) -> Result<(), Malformed> {
        for resource in MetricsView::new(request).resources() {
            let resource = resource?;
            let target = self.target(resource.attributes())?;
            let mut latest = None;
            for scope in resource.scopes() {
                let scope = scope?;
                let mut prefix = target.labels.clone();
                if self.settings.scope_labels {
                    self.scope_labels(&scope, &mut prefix)?;
                }
                let mut points = points::Points::new(self, &prefix, out);
                for metric in scope.records().flatten() {
                    points.metric(&metric);
                }
                latest = latest.max(points.latest_ms());
            }
            if let (Some(timestamp_ms), true) = (latest, self.settings.target_info) {
                self.target_info(resource.attributes(), &target, timestamp_ms, out)?;
            }
        }
        Ok(())
    }

    /// Adds the `target_info` series. To be called once, after the last request of a batch.
    pub fn finish(&self, out: &mut Translated) {
        for target in std::mem::take(&mut out.targets).into_values() {
            let sample = Sample { timestamp_ms: target.timestamp_ms, value: 1.0, point: NO_POINT };
            out.series.sample(&target.labels, sample);
        }
    }

    /// Adds attributes as labels, in the order of their keys: what collides is joined in that order.
    fn attributes<'a>(
        &self,
        attributes: Attributes<'a>,
        scratch: &mut Vec<(&'a str, Value<'a>)>,
        prefix: &str,
        labels: &mut Labels,
    ) -> Result<(), Malformed> {
        scratch.clear();
        for attribute in attributes {
            scratch.push(attribute?);
        }
        scratch.sort_by_key(|(key, _)| *key);
        for (key, value) in scratch.iter() {
            self.label(prefix, key, value, labels)?;
        }
        Ok(())
    }

    fn label(
        &self,
        prefix: &str,
        key: &str,
        value: &Value<'_>,
        labels: &mut Labels,
    ) -> Result<(), Malformed> {
        let text = value.to_text()?;
        let named = |out: &mut String| {
            let start = out.len();
            let ok = if prefix.is_empty() {
                self.settings.namer.label(key, out)
            } else {
                self.settings.namer.label(&format!("{prefix}{key}"), out)
            };
            // A label of Prometheus' own, such as `__name__`, is not for attributes to set.
            ok && !out[start..].starts_with("__name__")
        };
        labels.push_with(Rank::Attribute, named, |out| out.push_str(&text));
        Ok(())
    }
}

impl Translated {
    /// Counts points without series.
    fn drop_points(&mut self, reason: Dropped, points: u64) {
        match self.dropped.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += points,
            None => self.dropped.push((reason, points)),
        }
    }

    fn describe(&mut self, name: &str, metric: &MetricView<'_>, kind: MetadataType) {
        if self.families.insert(name.to_owned(), ()).is_none() {
            self.metadata.push(Metadata {
                kind,
                name: name.to_owned(),
                help: metric.description.to_owned(),
                unit: crate::unit::metadata(metric.unit),
            });
        }
    }
}

/// What a metric is to Prometheus; `None` for what it cannot say.
fn kinds(data: &Data<'_>) -> Result<(Kind, MetadataType), Dropped> {
    match data {
        Data::Empty => Err(Dropped::Unsupported),
        Data::Gauge(_) => Ok((Kind::Gauge, MetadataType::Gauge)),
        Data::Sum { temporality, .. }
        | Data::Histogram { temporality, .. }
        | Data::ExponentialHistogram { temporality, .. }
            if *temporality != Temporality::Cumulative =>
        {
            Err(Dropped::Delta)
        }
        Data::Sum { monotonic: true, .. } => Ok((Kind::Counter, MetadataType::Counter)),
        Data::Sum { .. } => Ok((Kind::UpDownCounter, MetadataType::Gauge)),
        Data::Histogram { .. } | Data::ExponentialHistogram { .. } => {
            Ok((Kind::Histogram, MetadataType::Histogram))
        }
        Data::Summary(_) => Ok((Kind::Summary, MetadataType::Summary)),
    }
}

#[cfg(test)]
mod tests;
