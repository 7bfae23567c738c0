//! What is alerted on: the rule, its bounds, and what is wrong with it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Template;

/// How a value is compared with a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Op {
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Op {
    /// Every operator as it is written.
    pub const NAMES: [&'static str; 6] = [">", ">=", "<", "<=", "==", "!="];

    /// Whether `value op threshold` holds. As in Prometheus NaN is only ever `!=`.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Op::Greater => value > threshold,
            Op::GreaterOrEqual => value >= threshold,
            Op::Less => value < threshold,
            Op::LessOrEqual => value <= threshold,
            Op::Equal => value == threshold,
            Op::NotEqual => value != threshold,
        }
    }

    /// Whether `a` is a milder threshold than `b`: low where high is bad, high where low is bad. None where the
    /// operator knows no direction.
    fn milder(self, a: f64, b: f64) -> Option<bool> {
        match self {
            Op::Greater | Op::GreaterOrEqual => Some(a < b),
            Op::Less | Op::LessOrEqual => Some(a > b),
            Op::Equal | Op::NotEqual => None,
        }
    }
}

impl FromStr for Op {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.trim() {
            ">" => Op::Greater,
            ">=" => Op::GreaterOrEqual,
            "<" => Op::Less,
            "<=" => Op::LessOrEqual,
            "==" => Op::Equal,
            "!=" => Op::NotEqual,
            _ => return Err(format!("unknown operator {text:?}: use one of {}", Op::NAMES.join(" "))),
        })
    }
}

impl TryFrom<String> for Op {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Op> for String {
    fn from(op: Op) -> Self {
        op.to_string()
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Op::NAMES[*self as usize])
    }
}

/// Which bound of a rule an alert belongs to; the value of its label `severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The milder bound.
    Warning,
    /// The bound that, while it fires, speaks for the warning too.
    Critical,
}

impl Severity {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One bound of a rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The condition is met when `value op threshold` holds.
    pub threshold: f64,
    /// Once met, the condition stays met while `value op clear` holds: hysteresis. Without it, `threshold` is used.
    pub clear: Option<f64>,
}

impl Bound {
    /// A bound without hysteresis.
    pub fn at(threshold: f64) -> Self {
        Self { threshold, clear: None }
    }
}

/// What silence of a series means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDataState {
    /// The last value stands.
    Keep,
    /// The condition counts as not met.
    Ok,
    /// The alert fires, without waiting for `for` once more.
    Alerting,
}

/// What to do about a series that was seen and is silent. One that said it ended is not silent: it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoData {
    /// How long a series may be silent.
    pub after: Duration,
    /// What it counts as then.
    pub state: NoDataState,
}

impl Default for NoData {
    /// Five minutes, as long as Prometheus looks back for a sample; then the last value stands.
    fn default() -> Self {
        Self { after: Duration::from_secs(300), state: NoDataState::Keep }
    }
}

/// An alerting rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The label `alertname`.
    pub name: String,
    /// How values are compared with both bounds.
    pub op: Op,
    /// The bound of severity `warning`.
    pub warning: Option<Bound>,
    /// The bound of severity `critical`.
    pub critical: Option<Bound>,
    /// How long the condition must hold before the alert fires.
    pub hold: Duration,
    /// How long a firing alert goes on after its condition is gone.
    pub keep_firing_for: Duration,
    /// What silence means.
    pub no_data: NoData,
    /// Labels added to the series' own; rendered once, when the alert becomes active.
    pub labels: Vec<(String, Template)>,
    /// Annotations, rendered at every transition.
    pub annotations: Vec<(String, Template)>,
}

/// Something wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The settings at fault, outermost first: `["clear", "warning"]`.
    pub at: Vec<&'static str>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Rule {
    /// A rule that fires at once, has no bounds yet and adds nothing to the series' labels.
    pub fn new(name: impl Into<String>, op: Op) -> Self {
        Self {
            name: name.into(),
            op,
            warning: None,
            critical: None,
            hold: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            no_data: NoData::default(),
            labels: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// The bound of a severity.
    pub fn bound(&self, severity: Severity) -> Option<&Bound> {
        match severity {
            Severity::Warning => self.warning.as_ref(),
            Severity::Critical => self.critical.as_ref(),
        }
    }

    /// Everything that makes the rule senseless.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut say = |at: &[&'static str], message: String| found.push(Problem { at: at.to_vec(), message });
        let op = self.op;
        if self.name.trim().is_empty() {
            say(&["alert"], "an alert needs a name".into());
        }
        if self.warning.is_none() && self.critical.is_none() {
            say(&[], "give a threshold: warning, critical or both".into());
        }
        for severity in [Severity::Warning, Severity::Critical] {
            let Some(bound) = self.bound(severity) else { continue };
            let name = severity.as_str();
            if bound.threshold.is_nan() {
                say(&[name], "NaN is no threshold: no value compares with it".into());
            }
            let Some(clear) = bound.clear else { continue };
            match op.milder(bound.threshold, clear) {
                None => say(&["clear", name], format!("clear has no meaning with {op}: remove it")),
                Some(_) if clear.is_nan() => say(&["clear", name], "NaN is no threshold".into()),
                Some(true) => say(
                    &["clear", name],
                    format!(
                        "the alert would clear at {clear} while it still meets {op} {}: with {op} clear must be {} \
                         the threshold",
                        bound.threshold,
                        if op.milder(0.0, 1.0) == Some(true) { "at or below" } else { "at or above" },
                    ),
                ),
                Some(false) => {}
            }
        }
        if let (Some(warning), Some(critical)) = (&self.warning, &self.critical)
            && op.milder(warning.threshold, critical.threshold) == Some(false)
        {
            let side = if op.milder(0.0, 1.0) == Some(true) { "above" } else { "below" };
            say(
                &["critical"],
                format!(
                    "with {op} critical ({}) must be {side} warning ({})",
                    critical.threshold, warning.threshold
                ),
            );
        }
        if self.no_data.after.is_zero() && self.no_data.state != NoDataState::Keep {
            say(&["no_data", "after"], "must be longer than the interval between two points, not 0".into());
        }
        for reserved in ["alertname", "severity", "alertstate"] {
            if self.labels.iter().any(|(name, _)| name == reserved) {
                say(
                    &["labels"],
                    format!("the label {reserved} is set by the alert itself: choose another name"),
                );
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(op: &str, warning: f64, critical: f64) -> Rule {
        let op = op.parse().unwrap();
        Rule { warning: Some(Bound::at(warning)), critical: Some(Bound::at(critical)), ..Rule::new("A", op) }
    }

    fn places(rule: &Rule) -> Vec<String> {
        rule.problems().iter().map(|problem| problem.at.join(".")).collect()
    }

    #[test]
    fn every_operator_reads_back_as_it_is_written() {
        for name in Op::NAMES {
            assert_eq!(name.parse::<Op>().unwrap().to_string(), name);
        }
        assert!("=>".parse::<Op>().unwrap_err().contains("use one of"));
    }

    #[test]
    fn the_order_of_the_bounds_follows_the_operator() {
        assert!(rule(">", 1.0, 2.0).problems().is_empty());
        assert!(rule("<", 2.0, 1.0).problems().is_empty());
        assert!(rule("==", 2.0, 1.0).problems().is_empty());
        assert_eq!(places(&rule(">", 2.0, 1.0)), ["critical"]);
        assert_eq!(places(&rule("<=", 1.0, 2.0)), ["critical"]);
        assert_eq!(places(&rule(">", 1.0, 1.0)), ["critical"]);
    }

    #[test]
    fn a_clear_on_the_wrong_side_is_an_error() {
        let with = |op: &str, threshold, clear| {
            let mut rule = Rule::new("A", op.parse().unwrap());
            rule.warning = Some(Bound { threshold, clear: Some(clear) });
            places(&rule)
        };
        assert!(with(">", 1000.0, 800.0).is_empty());
        assert!(with("<", 10.0, 12.0).is_empty());
        assert_eq!(with(">", 1000.0, 1200.0), ["clear.warning"]);
        assert_eq!(with("<=", 10.0, 8.0), ["clear.warning"]);
        assert_eq!(with("==", 1.0, 1.0), ["clear.warning"]);
    }

    #[test]
    fn a_rule_without_name_bound_or_with_a_reserved_label_is_an_error() {
        let mut bare = Rule::new(" ", Op::Greater);
        bare.labels.push(("severity".into(), Template::parse("x").unwrap()));
        assert_eq!(places(&bare), ["alert", "", "labels"]);
    }
}
