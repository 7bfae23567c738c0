//! The section of `alerting`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_alerts::{Bound, DEFAULT_LIMIT, NoData, NoDataState, Op, Rule, Template};
use streamgauge_component::ComponentConfig;
use streamgauge_series::Selector;

/// Settings of `alerting`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertingConfig {
    /// What to alert on.
    pub rules: Vec<AlertRule>,
    /// How often the `ALERTS` series of pending and firing alerts are repeated. Prometheus looks back 5 minutes.
    #[serde(default = "default_interval", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// The most series with an alert that is pending, firing or just resolved. Further ones do not alert:
    /// `streamgauge.series.overflowed` counts their points.
    #[serde(default = "default_max_series")]
    pub max_series: usize,
    /// Id of a storage extension, such as `file_storage`, that keeps the alerts' state: a restart then neither begins a
    /// `for` anew nor tells of an alert twice. Written at every transition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
}

/// One alerting rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// The alert's name; the label `alertname`.
    pub alert: String,
    /// Name of a gauge or a sum.
    pub metric: String,
    /// Only series whose attributes look like this: text, glob or `/regex/`. An attribute is looked for in the point,
    /// then in the resource.
    #[serde(default, rename = "match", skip_serializing_if = "Selector::is_empty")]
    pub matches: Selector,
    /// How values are compared with the bounds: `>`, `>=`, `<`, `<=`, `==`, `!=`.
    #[schemars(with = "String")]
    pub op: Op,
    /// The bound whose alert has `severity: warning`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    /// The bound whose alert has `severity: critical`. While that alert fires, the warning does not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
    /// Hysteresis: an active alert goes on until its value is past these, and not at the bounds themselves.
    #[serde(default)]
    pub clear: Clear,
    /// How long the condition must hold before the alert fires.
    #[serde(default, rename = "for", with = "humantime_serde")]
    #[schemars(with = "String")]
    pub hold: Duration,
    /// How long a firing alert goes on after its condition is gone.
    #[serde(default, with = "humantime_serde")]
    #[schemars(with = "String")]
    pub keep_firing_for: Duration,
    /// What it means when a series that was seen is silent. One that says that it ends resolves its alerts.
    #[serde(default)]
    pub no_data: NoDataRule,
    /// Labels added to the alert; templates such as `{{ $labels.stream }}`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: BTreeMap<String, Template>,
    /// Texts for people; templates such as `{{ $labels.stream }} lags by {{ $value | humanize }}`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub annotations: BTreeMap<String, Template>,
}

/// Where active alerts end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clear {
    /// For the warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<f64>,
    /// For the critical alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoDataRule {
    /// How long a series may be silent.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub after: Duration,
    /// What it counts as then.
    pub state: Silence,
}

/// What a silent series counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Silence {
    /// The last value stands.
    #[default]
    Keep,
    /// The condition is not met.
    Ok,
    /// The alert fires.
    Alerting,
}

impl Default for NoDataRule {
    fn default() -> Self {
        Self { after: NoData::default().after, state: Silence::default() }
    }
}

fn default_interval() -> Duration {
    Duration::from_secs(60)
}

fn default_max_series() -> usize {
    DEFAULT_LIMIT
}

impl AlertRule {
    /// The rule as the state machine knows it.
    pub fn rule(&self) -> Rule {
        let bound = |threshold: Option<f64>, clear| threshold.map(|threshold| Bound { threshold, clear });
        let templates = |map: &BTreeMap<String, Template>| {
            map.iter().map(|(name, template)| (name.clone(), template.clone())).collect()
        };
        Rule {
            warning: bound(self.warning, self.clear.warning),
            critical: bound(self.critical, self.clear.critical),
            hold: self.hold,
            keep_firing_for: self.keep_firing_for,
            no_data: NoData {
                after: self.no_data.after,
                state: match self.no_data.state {
                    Silence::Keep => NoDataState::Keep,
                    Silence::Ok => NoDataState::Ok,
                    Silence::Alerting => NoDataState::Alerting,
                },
            },
            labels: templates(&self.labels),
            annotations: templates(&self.annotations),
            ..Rule::new(self.alert.as_str(), self.op)
        }
    }
}

impl ComponentConfig for AlertingConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.rules.is_empty() {
            found.push(("rules".into(), "must have at least one rule".into()));
        }
        if self.max_series == 0 {
            found.push(("max_series".into(), "must be at least 1".into()));
        }
        if self.interval < Duration::from_secs(1) {
            found.push(("interval".into(), "must be at least 1s".into()));
        }
        for (number, rule) in self.rules.iter().enumerate() {
            let mut say = |key: &str, message: String| {
                let key = if key.is_empty() { String::new() } else { format!("::{key}") };
                found.push((format!("rules::{number}{key}"), message));
            };
            if rule.metric.is_empty() {
                say("metric", "must name a metric".into());
            }
            for (name, clear, bound) in [
                ("warning", rule.clear.warning, rule.warning),
                ("critical", rule.clear.critical, rule.critical),
            ] {
                if clear.is_some() && bound.is_none() {
                    say(&format!("clear::{name}"), format!("there is no {name} that it could clear"));
                }
            }
            for problem in rule.rule().problems() {
                say(&problem.at.join("::"), problem.message);
            }
            let same = |other: &AlertRule| {
                (&other.alert, &other.metric, &other.matches) == (&rule.alert, &rule.metric, &rule.matches)
            };
            if let Some(other) = self.rules[..number].iter().position(same) {
                say("alert", format!("rule {other} has the same name and watches the same series"));
            }
        }
        found
    }
}
