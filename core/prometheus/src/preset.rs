//! Metric presets: the names and labels that other programs' dashboards and rules ask for, from OTel metrics.
//!
//! A preset is a table: a row takes one metric and says what it is called, which attributes become which labels, and
//! what is done to the value. What the source does not know has no series: an unknown lag is absent, never 0.

use std::collections::HashMap;

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Attributes, Value};

use crate::labels::{Labels, Rank};
use crate::write::MetadataType;

mod consumer_lag;
mod jeex;
mod postgres_writer;
mod redis_exporter;
#[cfg(test)]
mod tests;

/// A table with what its user chose.
#[derive(Debug, Clone)]
pub struct Preset {
    table: &'static Table,
    prefix: String,
    group: Option<String>,
}

/// All of a preset.
#[derive(Debug)]
struct Table {
    /// Whether the metrics that it takes are no longer shown under their own names, which would be too alike.
    replaces: bool,
    rows: &'static [Row],
    ratios: &'static [Ratio],
    /// Labels of every series, from the resource.
    labels: &'static [Label],
}

/// What becomes of a metric.
#[derive(Debug)]
pub(crate) struct Row {
    from: &'static str,
    to: &'static str,
    pub(crate) kind: MetadataType,
    change: Change,
    labels: &'static [Label],
    /// Takes only points with this attribute.
    only: Option<(&'static str, &'static str)>,
}

/// What is done to a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// Multiplied: another unit.
    Times(f64),
    /// 1 when it is above 0, else 0.
    Positive,
    /// The reverse.
    NotPositive,
    /// The time so many seconds before the point, in seconds since 1970.
    Before,
    /// 1 when the attribute has this value, else 0: states that are told by an attribute, one series for all.
    Is(&'static str, &'static str),
}

/// A label and where its value is from. What is not there is no label.
#[derive(Debug)]
pub(crate) struct Label {
    name: &'static str,
    from: From,
}

#[derive(Debug)]
enum From {
    /// The point's attribute.
    Attribute(&'static str),
    /// The same, with something before it.
    Prefixed(&'static str, &'static str),
    /// The same, without something before it.
    Stripped(&'static str, &'static str),
    /// The same, in other words; a word that is not listed stays.
    Words(&'static str, &'static [(&'static str, &'static str)]),
    /// What stands before the last colon of the point's attribute, and what stands behind it.
    Host(&'static str),
    Port(&'static str),
    /// The resource's attribute.
    Resource(&'static str),
    /// Always this.
    Fixed(&'static str),
}

/// A gauge that is made of two metrics without attributes. Without the second, or when that is 0, there is none.
#[derive(Debug)]
pub(crate) struct Ratio {
    pub(crate) to: &'static str,
    pub(crate) part: &'static str,
    pub(crate) whole: Whole,
    pub(crate) times: f64,
    pub(crate) about: &'static str,
}

/// What a ratio is of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whole {
    /// Another metric.
    Of(&'static str),
    /// Another metric and the part itself.
    With(&'static str),
}

impl Preset {
    /// The names and labels of redis_exporter; `redis` is the usual prefix.
    #[must_use]
    pub fn redis_exporter(prefix: &str) -> Self {
        Preset { table: &redis_exporter::TABLE, prefix: prefix.to_owned(), group: None }
    }

    /// What the postgres-writer says of each stream, for the consumer group `group`.
    #[must_use]
    pub fn postgres_writer(prefix: &str, group: &str) -> Self {
        let group = Some(group.to_owned());
        Preset { table: &postgres_writer::TABLE, prefix: prefix.to_owned(), group }
    }

    /// `event_consumer_lag`; `event` is the usual prefix.
    #[must_use]
    pub fn consumer_lag(prefix: &str) -> Self {
        Preset { table: &consumer_lag::TABLE, prefix: prefix.to_owned(), group: None }
    }

    /// What JEEX calls them; `jeex` is the usual prefix.
    #[must_use]
    pub fn jeex(prefix: &str) -> Self {
        Preset { table: &jeex::TABLE, prefix: prefix.to_owned(), group: None }
    }

    /// The metrics that the preset reads, each as often as it is read.
    pub fn sources(&self) -> impl Iterator<Item = &'static str> {
        let ratios = self.table.ratios.iter().flat_map(|ratio| [ratio.part, ratio.whole.metric()]);
        self.table.rows.iter().map(|row| row.from).chain(ratios)
    }

    /// The names that the preset gives.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let to = self.table.rows.iter().map(|row| row.to).chain(self.table.ratios.iter().map(|r| r.to));
        to.map(|to| self.name(to))
    }

    pub(crate) fn ratios(&self) -> &'static [Ratio] {
        self.table.ratios
    }

    pub(crate) fn name(&self, to: &str) -> String {
        if self.prefix.is_empty() { to.to_owned() } else { format!("{}_{to}", self.prefix) }
    }

    /// Labels of the resource that every series of the preset has.
    pub(crate) fn common(&self, resource: Attributes<'_>, labels: &mut Labels) -> Result<(), Malformed> {
        self.table.labels.iter().try_for_each(|label| label.add(&[], resource, labels))
    }

    /// Whether the row wants a point with these attributes.
    pub(crate) fn takes(&self, row: &Row, attributes: &[(&str, Value<'_>)]) -> bool {
        let is = |key: &str, wanted: &str| find(attributes, key) == Some(wanted);
        row.only.is_none_or(|(key, wanted)| is(key, wanted))
            && self.group.as_deref().is_none_or(|group| is("group", group))
    }
}

impl Whole {
    pub(crate) fn metric(self) -> &'static str {
        match self {
            Whole::Of(metric) | Whole::With(metric) => metric,
        }
    }
}

impl Row {
    pub(crate) fn family(&self, preset: &Preset) -> String {
        preset.name(self.to)
    }

    /// The value; `None` for the end of a series that goes on with another point's attributes.
    pub(crate) fn value(
        &self,
        value: f64,
        time_ms: i64,
        ended: bool,
        attributes: &[(&str, Value<'_>)],
    ) -> Option<f64> {
        match self.change {
            Change::Times(_) => Some(self.scale(value)),
            Change::Positive => Some(f64::from(u8::from(value > 0.0))),
            Change::NotPositive => Some(f64::from(u8::from(value <= 0.0))),
            Change::Before => Some((time_ms as f64 / 1000.0 - value).floor()),
            Change::Is(..) if ended || value <= 0.0 => None,
            Change::Is(key, wanted) => Some(f64::from(u8::from(find(attributes, key) == Some(wanted)))),
        }
    }

    /// A number in the unit of the row. To divide by 1,000 is exact where to multiply by 0.001 is not.
    pub(crate) fn scale(&self, value: f64) -> f64 {
        match self.change {
            Change::Times(factor) if factor < 1.0 => value / (1.0 / factor).round(),
            Change::Times(factor) => value * factor,
            _ => value,
        }
    }

    pub(crate) fn labels(
        &self,
        attributes: &[(&str, Value<'_>)],
        resource: Attributes<'_>,
        labels: &mut Labels,
    ) -> Result<(), Malformed> {
        self.labels.iter().try_for_each(|label| label.add(attributes, resource, labels))
    }
}

impl Label {
    fn add(
        &self,
        attributes: &[(&str, Value<'_>)],
        resource: Attributes<'_>,
        labels: &mut Labels,
    ) -> Result<(), Malformed> {
        let mut push = |before: &str, value: &str| {
            labels.push_with(
                Rank::Attribute,
                |out| {
                    out.push_str(self.name);
                    true
                },
                |out| out.extend([before, value]),
            );
        };
        let text = |key| find(attributes, key);
        match self.from {
            From::Attribute(key) => push("", text(key).unwrap_or_default()),
            From::Prefixed(before, key) => text(key).into_iter().for_each(|value| push(before, value)),
            From::Stripped(before, key) => {
                let value = text(key).unwrap_or_default();
                push("", value.strip_prefix(before).unwrap_or(value));
            }
            From::Words(key, words) => {
                let value = text(key).unwrap_or_default();
                push("", words.iter().find(|(word, _)| *word == value).map_or(value, |(_, other)| other));
            }
            From::Host(key) => {
                push("", text(key).and_then(|text| text.rsplit_once(':')).map_or("", |(host, _)| host))
            }
            From::Port(key) => {
                push("", text(key).and_then(|text| text.rsplit_once(':')).map_or("", |(_, port)| port))
            }
            From::Resource(key) => {
                if let Some(value) = resource.get(key)? {
                    push("", &value.to_text()?);
                }
            }
            From::Fixed(value) => push("", value),
        }
        Ok(())
    }
}

/// An attribute's text. The receivers' attributes are texts.
fn find<'a>(attributes: &[(&str, Value<'a>)], key: &str) -> Option<&'a str> {
    attributes.iter().find(|(name, _)| *name == key).and_then(|(_, value)| value.as_str())
}

/// Presets by the metrics that they read.
#[derive(Debug, Default)]
pub(crate) struct Index {
    presets: Vec<Preset>,
    rows: HashMap<&'static str, Vec<(usize, &'static Row)>>,
}

impl Index {
    pub(crate) fn new(presets: Vec<Preset>) -> Self {
        let mut rows: HashMap<_, Vec<_>> = HashMap::new();
        for (at, preset) in presets.iter().enumerate() {
            for row in preset.table.rows {
                rows.entry(row.from).or_default().push((at, row));
            }
        }
        Index { presets, rows }
    }

    pub(crate) fn presets(&self) -> &[Preset] {
        &self.presets
    }

    /// The rows that read a metric, with the numbers of their presets.
    pub(crate) fn rows(&self, metric: &str) -> &[(usize, &'static Row)] {
        self.rows.get(metric).map_or(&[], Vec::as_slice)
    }

    /// Whether a metric is no longer shown under its own name.
    pub(crate) fn replaces(&self, metric: &str) -> bool {
        self.rows(metric).iter().any(|(at, _)| self.presets[*at].table.replaces)
    }
}

const COUNTER: MetadataType = MetadataType::Counter;
const GAUGE: MetadataType = MetadataType::Gauge;
const HISTOGRAM: MetadataType = MetadataType::Histogram;
const SUMMARY: MetadataType = MetadataType::Summary;

/// A row for every point, value as it is.
const fn row(from: &'static str, to: &'static str, kind: MetadataType, labels: &'static [Label]) -> Row {
    Row { from, to, kind, change: Change::Times(1.0), labels, only: None }
}

impl Row {
    const fn times(self, factor: f64) -> Row {
        Row { change: Change::Times(factor), ..self }
    }

    const fn change(self, change: Change) -> Row {
        Row { change, ..self }
    }

    const fn only(self, key: &'static str, value: &'static str) -> Row {
        Row { only: Some((key, value)), ..self }
    }
}

const fn label(name: &'static str, from: From) -> Label {
    Label { name, from }
}
