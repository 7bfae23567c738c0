//! The section of `metricsgeneration`, with the Collector's keys and messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

/// Settings of the `metricsgeneration` processor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsGenerationConfig {
    /// What to generate, in this order: a rule may use what rules above it have generated.
    pub rules: Vec<GenerationRule>,
}

/// One rule of `metricsgeneration`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationRule {
    /// Name of the generated gauge. Must be given.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// `calculate` with the points of `metric2`, or `scale` by the number `scale_by`. Must be given.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["calculate", "scale"]))]
    pub kind: String,
    /// Name of the first operand, a gauge or a sum: each of its points gives one. Must be given.
    pub metric1: String,
    /// For `calculate`: name of the second operand, a gauge or a sum. Must be given there.
    pub metric2: String,
    /// What is done with the two; `percent` is the first in hundredths of the second. Must be given.
    #[schemars(extend("enum" = ["add", "subtract", "multiply", "divide", "percent"]))]
    pub operation: String,
    /// For `scale`: the second operand, greater than 0. Must be given there.
    pub scale_by: f64,
}

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Percent,
}

impl Operation {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "add" => Self::Add,
            "subtract" => Self::Subtract,
            "multiply" => Self::Multiply,
            "divide" => Self::Divide,
            "percent" => Self::Percent,
            _ => return None,
        })
    }
}

/// The second operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Metric(String),
    Number(f64),
}

impl GenerationRule {
    /// What the rule asks for; or the key that is wrong, and why.
    pub(super) fn read(&self) -> Result<(Operation, Operand), (&'static str, String)> {
        let given = |key: &'static str, value: &str| match value {
            "" => Err((key, format!("missing required field {key:?}"))),
            _ => Ok(()),
        };
        given("name", &self.name)?;
        given("type", &self.kind)?;
        given("metric1", &self.metric1)?;
        let operand = match self.kind.as_str() {
            "calculate" if self.metric2.is_empty() => {
                let message = "missing required field \"metric2\" for generation type \"calculate\"";
                return Err(("metric2", message.into()));
            }
            "calculate" => Operand::Metric(self.metric2.clone()),
            "scale" if self.scale_by > 0.0 && self.scale_by.is_finite() => Operand::Number(self.scale_by),
            "scale" => {
                let message =
                    "field \"scale_by\" required to be greater than 0 for generation type \"scale\"";
                return Err(("scale_by", message.into()));
            }
            _ => return Err(("type", r#""type" must be in ["calculate" "scale"]"#.into())),
        };
        given("operation", &self.operation)?;
        let operation = Operation::named(&self.operation).ok_or_else(|| {
            let names = r#"["add" "divide" "multiply" "percent" "subtract"]"#;
            ("operation", format!("\"operation\" must be in {names}"))
        })?;
        for (key, metric) in [("metric1", &self.metric1), ("metric2", &self.metric2)] {
            if self.name == *metric {
                let message = format!("value of field \"name\" may not match value of field {key:?}");
                return Err(("name", message));
            }
        }
        Ok((operation, operand))
    }
}

impl ComponentConfig for MetricsGenerationConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let wrong = |(number, rule): (usize, &GenerationRule)| {
            let (key, message) = rule.read().err()?;
            Some((format!("rules::{number}::{key}"), message))
        };
        self.rules.iter().enumerate().filter_map(wrong).collect()
    }
}
