//! The section of `rate`.

use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;
use streamgauge_series::Selector;

/// Settings of the `rate` processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// What to compute. A metric may be named by several rules.
    pub rules: Vec<RateRule>,
    /// The most series a rule. Further ones get no rate: `streamgauge.series.overflowed` counts their points.
    #[serde(default = "default_max_series")]
    pub max_series: usize,
}

/// One rule of `rate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRule {
    /// Name of the counter: a monotonic sum, cumulative or delta.
    pub metric: String,
    /// Only series whose attributes look like this: text, glob or `/regex/`. An attribute is looked for in the point,
    /// then in the resource.
    #[serde(default, rename = "match", skip_serializing_if = "Selector::is_empty")]
    pub matches: Selector,
    /// How far to look back. Should hold at least two points, better four.
    #[serde(default = "default_window", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub window: Duration,
    /// `rate` is growth in a second, `increase` the growth itself.
    #[serde(default)]
    pub output: Output,
    /// Name of the gauge; by default the metric's name with `.rate` or `.increase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a rule computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Growth in a second.
    #[default]
    Rate,
    /// Growth.
    Increase,
}

impl RateRule {
    /// Name of the gauge.
    pub fn output_name(&self) -> String {
        let suffix = match self.output {
            Output::Rate => "rate",
            Output::Increase => "increase",
        };
        self.name.clone().unwrap_or_else(|| format!("{}.{suffix}", self.metric))
    }
}

fn default_max_series() -> usize {
    10_000
}

fn default_window() -> Duration {
    Duration::from_secs(60)
}

impl ComponentConfig for RateConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.rules.is_empty() {
            found.push(("rules".into(), "must have at least one rule".into()));
        }
        if self.max_series == 0 {
            found.push(("max_series".into(), "must be at least 1".into()));
        }
        let mut names: HashMap<(String, String), usize> = HashMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let mut say =
                |key: &str, message: String| found.push((format!("rules::{number}::{key}"), message));
            if rule.metric.is_empty() {
                say("metric", "must name a metric".into());
            }
            if rule.window.is_zero() {
                say("window", "must be longer than 0".into());
            }
            let name = rule.output_name();
            if name.is_empty() || name == rule.metric {
                say("name", format!("must differ from the metric {:?}, which passes through", rule.metric));
            }
            let matches = serde_json::to_string(&rule.matches).unwrap_or_default();
            if let Some(other) = names.insert((name.clone(), matches), number) {
                say("name", format!("rule {other} makes {name:?} from the same series: choose another name"));
            }
        }
        found
    }
}
