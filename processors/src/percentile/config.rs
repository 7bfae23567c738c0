//! The section of `percentile`.

use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_series::Selector;

/// Settings of `percentile`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PercentileConfig {
    /// What to compute.
    pub rules: Vec<PercentileRule>,
    /// The most groups a rule, and the most cumulative histograms that feed it. Values beyond go into one group with the
    /// attribute `otel.metric.overflow`; histograms beyond are left out. `streamgauge.series.overflowed` counts both.
    #[serde(default = "default_max_series")]
    pub max_series: usize,
}

/// One rule of `percentile`: exactly one of `metric`, `span` and `attribute` says where values come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PercentileRule {
    /// Values of a metric: of a gauge or a sum that is not monotonic, or those that a histogram has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Values of spans; only as a connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanValue>,
    /// Values of this attribute of spans and log records: numbers, or text that is a number; only as a connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// Only what has attributes that look like this: text, glob or `/regex/`. An attribute is looked for in the point, span or
    /// record, then in the resource.
    #[serde(default, rename = "match", skip_serializing_if = "Selector::is_empty")]
    pub matches: Selector,
    /// Attributes that tell groups apart, beside the resource; for spans also `span.name`, `span.kind` and
    /// `status.code`. None: one group a resource.
    #[serde(default)]
    pub by: Vec<String>,
    /// How far to look back. It slides by a tenth of itself.
    #[serde(default = "default_window", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// How often the quantiles are given out.
    #[serde(default = "default_interval", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// Which quantiles, from 0 (the least value) to 1 (the greatest).
    #[serde(default = "default_quantiles")]
    pub quantiles: Vec<f64>,
    /// Name of the gauge; by default that of the metric or attribute, or `span.duration`, with `.quantile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Unit of the gauge; by default the metric's, `s` for durations, none for attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// What is measured of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpanValue {
    /// From start to end, in seconds.
    Duration,
}

impl PercentileRule {
    /// Name of the gauge.
    pub fn output_name(&self) -> String {
        let of = self.metric.as_deref().or(self.attribute.as_deref()).unwrap_or("span.duration");
        self.name.clone().unwrap_or_else(|| format!("{of}.quantile"))
    }
}

fn default_max_series() -> usize {
    2000
}

fn default_window() -> Duration {
    Duration::from_secs(300)
}

fn default_interval() -> Duration {
    Duration::from_secs(10)
}

fn default_quantiles() -> Vec<f64> {
    vec![0.5, 0.9, 0.99]
}

impl ComponentConfig for PercentileConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.rules.is_empty() {
            found.push(("rules".into(), "must have at least one rule".into()));
        }
        if self.max_series == 0 {
            found.push(("max_series".into(), "must be at least 1".into()));
        }
        let mut names = HashMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let mut say = |key: &str, message: String| {
                let key = if key.is_empty() { String::new() } else { format!("::{key}") };
                found.push((format!("rules::{number}{key}"), message));
            };
            let sources = [rule.metric.is_some(), rule.span.is_some(), rule.attribute.is_some()];
            if sources.iter().filter(|given| **given).count() != 1 {
                say("", "give exactly one of metric, span and attribute".into());
            }
            if rule.metric.as_deref() == Some("") || rule.attribute.as_deref() == Some("") {
                say(if rule.metric.is_some() { "metric" } else { "attribute" }, "must not be empty".into());
            }
            if rule.interval < Duration::from_millis(100) {
                say("interval", "must be at least 100ms".into());
            }
            if rule.window < rule.interval {
                say("window", "must be at least as long as the interval".into());
            }
            if rule.quantiles.is_empty() {
                say("quantiles", "must have at least one quantile".into());
            }
            for (place, quantile) in rule.quantiles.iter().enumerate() {
                if !(0.0..=1.0).contains(quantile) {
                    say(
                        "quantiles",
                        format!("{quantile} is not between 0 and 1: the 99th percentile is 0.99"),
                    );
                }
                if rule.quantiles[..place].contains(quantile) {
                    say("quantiles", format!("{quantile} stands here twice"));
                }
            }
            if rule.by.iter().any(|name| name == "quantile") {
                say("by", "the attribute quantile is set by the gauge itself".into());
            }
            let name = rule.output_name();
            if name.is_empty() || rule.metric.as_ref() == Some(&name) {
                say("name", "must differ from the metric, which passes through".into());
            }
            if let Some(other) = names.insert(name.clone(), number) {
                say("name", format!("rule {other} makes {name:?} too: choose another name"));
            }
        }
        found
    }
}
