//! A metrics request as Prometheus series.
//!
//! What a point means is settled here once, whatever sends the series on: its name and labels, a histogram's
//! cumulative buckets, the stale marker of a series that ended. What Prometheus cannot say is dropped, counted
//! by data points.

use std::collections::HashMap;

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Data, MetricsView, Temporality, Value};

use crate::labels::{Labels, Rank};
use crate::name::{Kind, Namer};
use crate::point::{Family, Point, Sink};
use crate::preset::{Index, Preset};
use crate::write::{Metadata, MetadataType, SeriesSet};

mod exemplars;
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
    /// Other programs' names for what is known of Redis, beside the metrics' own.
    pub presets: Vec<Preset>,
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
pub struct Translated<S = SeriesSet> {
    /// What takes the points: the series of a message, or another sink.
    pub series: S,
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
    presets: Index,
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
        let presets = Index::new(std::mem::take(&mut settings.presets));
        Self { settings, presets }
    }

    /// Adds a request's series to `out`.
    ///
    /// # Errors
    /// The request is broken between its records (which the door refuses); what came before is in `out`.
    pub fn translate<S: Sink>(&self, request: &[u8], out: &mut Translated<S>) -> Result<(), Malformed> {
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
                let mut points = points::Points::new(self, resource.attributes(), &target, &prefix, out);
                for metric in scope.records().flatten() {
                    points.metric(&metric);
                }
                points.finish()?;
                latest = latest.max(points.latest_ms());
            }
            if let (Some(timestamp_ms), true) = (latest, self.settings.target_info) {
                self.target_info(resource.attributes(), &target, timestamp_ms, out)?;
            }
        }
        Ok(())
    }

    /// Adds the `target_info` series. To be called once, after the last request of a batch.
    pub fn finish<S: Sink>(&self, out: &mut Translated<S>) {
        let family = Family {
            name: self.target_info_name(),
            kind: MetadataType::Gauge,
            help: "Target metadata".to_owned(),
            unit: String::new(),
        };
        for target in std::mem::take(&mut out.targets).into_values() {
            // It is no data point: a sink without room for it has lost none.
            let _ = out.series.point(&Point {
                family: &family,
                labels: &target.labels,
                server: "",
                time_ms: target.timestamp_ms,
                ended: false,
                delta: false,
                value: crate::point::Value::Number(1.0),
                exemplars: &[],
                number: NO_POINT,
            });
        }
    }

    /// The metric's name, when a preset's ratio is made of it.
    fn ratio_source(&self, metric: &str) -> Option<&'static str> {
        let ratios = self.presets.presets().iter().flat_map(Preset::ratios);
        ratios.flat_map(|ratio| [ratio.part, ratio.whole.metric()]).find(|source| *source == metric)
    }

    /// Adds attributes as labels. They must be in the order of their keys: what collides is joined in that order.
    fn label_all(
        &self,
        prefix: &str,
        attributes: &[(&str, Value<'_>)],
        labels: &mut Labels,
    ) -> Result<(), Malformed> {
        attributes.iter().try_for_each(|(key, value)| self.label(prefix, key, value, labels))
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

impl<S> Translated<S> {
    /// Nothing yet; points go to this sink.
    pub fn new(sink: S) -> Self {
        Translated {
            series: sink,
            points: 0,
            dropped: Vec::new(),
            metadata: Vec::new(),
            families: HashMap::new(),
            targets: HashMap::new(),
        }
    }

    /// Counts points without series.
    fn drop_points(&mut self, reason: Dropped, points: u64) {
        match self.dropped.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += points,
            None => self.dropped.push((reason, points)),
        }
    }

    fn describe(&mut self, family: &Family) {
        if self.families.insert(family.name.clone(), ()).is_none() {
            self.metadata.push(Metadata {
                kind: family.kind,
                name: family.name.clone(),
                help: family.help.clone(),
                unit: family.unit.clone(),
            });
        }
    }
}

/// What a metric is to Prometheus; an error for what it cannot say.
fn kinds(data: &Data<'_>, deltas: bool) -> Result<(Kind, MetadataType), Dropped> {
    let counts = |temporality: Temporality, grows: bool| {
        temporality == Temporality::Cumulative || (is_delta(data) && deltas && grows)
    };
    match data {
        Data::Empty => Err(Dropped::Unsupported),
        Data::Gauge(_) => Ok((Kind::Gauge, MetadataType::Gauge)),
        Data::Sum { temporality, monotonic, .. } if !counts(*temporality, *monotonic) => Err(Dropped::Delta),
        Data::Histogram { temporality, .. } | Data::ExponentialHistogram { temporality, .. }
            if !counts(*temporality, true) =>
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

/// Whether values count from the point before.
fn is_delta(data: &Data<'_>) -> bool {
    let temporality = match data {
        Data::Sum { temporality, .. }
        | Data::Histogram { temporality, .. }
        | Data::ExponentialHistogram { temporality, .. } => *temporality,
        Data::Empty | Data::Gauge(_) | Data::Summary(_) => return false,
    };
    temporality == Temporality::Delta
}

#[cfg(test)]
mod tests;
