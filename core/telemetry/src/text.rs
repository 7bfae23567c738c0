//! The own metrics as a scrape's answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use streamgauge_prometheus::text::{FamilyType, TextWriter};
use streamgauge_prometheus::{Kind, Labels, Namer, Rank, ResourceLabels, Strategy};

use crate::config::PrometheusReader;
use crate::families::{Family, Source};

/// Answers scrapes of one reader.
#[derive(Debug)]
pub(crate) struct Exposition {
    source: Source,
    namer: Namer,
    units: bool,
    types: bool,
    constant: Vec<(String, String)>,
    target: Vec<(String, String)>,
}

impl Exposition {
    pub fn new(source: Source, reader: &PrometheusReader, resource: &BTreeMap<String, String>) -> Self {
        let names = &reader.with_resource_constant_labels;
        let chosen = ResourceLabels { included: names.included.clone(), excluded: names.excluded.clone() };
        let pairs = |keep: &dyn Fn(&str) -> bool| -> Vec<_> {
            resource.iter().filter(|(k, _)| keep(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        Self {
            source,
            namer: Namer::new(Strategy::UnderscoreEscapingWithSuffixes, ""),
            units: !reader.without_units,
            types: !reader.without_type_suffix,
            constant: pairs(&|key| chosen.chooses(key)),
            target: pairs(&|_| true),
        }
    }

    /// Every metric as text.
    pub fn text(&self) -> String {
        let mut out = TextWriter::default();
        out.family("target_info", "Who speaks.", FamilyType::Gauge);
        let mut labels = Labels::default();
        self.sample(&mut out, "target_info", &self.target, &mut labels, 1.0);
        for (name, family) in self.source.read() {
            let Some(name) = self.name(&name, &family) else { continue };
            let kind = if family.counter { FamilyType::Counter } else { FamilyType::Gauge };
            out.family(&name, family.help, kind);
            for (attributes, value) in &family.points {
                labels.clear();
                for (key, value) in &self.constant {
                    labels.push_with(
                        Rank::External,
                        |out| self.namer.label(key, out),
                        |out| out.push_str(value),
                    );
                }
                self.sample(&mut out, &name, attributes, &mut labels, *value);
            }
        }
        out.finish()
    }

    fn name(&self, name: &str, family: &Family) -> Option<String> {
        // No unit and no type to tell add no suffix.
        let kind = if family.counter && self.types { Kind::Counter } else { Kind::UpDownCounter };
        self.namer.metric(name, if self.units { family.unit } else { "" }, kind)
    }

    fn sample<K: AsRef<str>>(
        &self,
        out: &mut TextWriter,
        name: &str,
        attributes: &[(K, String)],
        labels: &mut Labels,
        value: f64,
    ) {
        for (key, value) in attributes {
            let named = |out: &mut String| self.namer.label(key.as_ref(), out);
            labels.push_with(Rank::Attribute, named, |out| {
                let _ = write!(out, "{value}");
            });
        }
        labels.finish();
        out.sample(name, labels.iter(), value);
    }
}
