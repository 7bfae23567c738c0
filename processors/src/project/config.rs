//! The section of `project`.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

/// Settings of the `project` processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectConfig {
    /// The resource attribute that gets the project.
    pub attribute: String,
    /// The project of data that no rule matches.
    pub default: String,
    /// Where to look for the project; the first rule that matches counts.
    pub rules: Vec<ProjectRule>,
}

impl Default for ProjectConfig {
    fn default() -> Self {
        ProjectConfig { attribute: "project.id".into(), default: "unassigned".into(), rules: Vec::new() }
    }
}

/// One rule: exactly one of `attribute`, `resource`, `header` and `value`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectRule {
    /// An attribute of the span, log record or data point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// A resource attribute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// A request header that the receiver was told to keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// This very project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A regular expression for what was found there: the project is its first group, or all of the match when it has
    /// none. A rule whose pattern does not match does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

impl ComponentConfig for ProjectConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (key, value) in [("attribute", &self.attribute), ("default", &self.default)] {
            if value.is_empty() {
                found.push((key.to_owned(), "must not be empty".to_owned()));
            }
        }
        for (number, rule) in self.rules.iter().enumerate() {
            let mut say =
                |key: &str, message: String| found.push((format!("rules::{number}::{key}"), message));
            let sources = [&rule.attribute, &rule.resource, &rule.header, &rule.value];
            let given = sources.iter().filter(|source| source.is_some()).count();
            if given != 1 {
                let message =
                    format!("needs exactly one of attribute, resource, header and value; here are {given}");
                say("", message);
            }
            if sources.iter().any(|source| source.as_deref() == Some("")) {
                say("", "must not look for an empty name or give an empty project".to_owned());
            }
            match &rule.pattern {
                Some(_) if rule.value.is_some() => say("pattern", "has no meaning with value".to_owned()),
                Some(pattern) => {
                    Regex::new(pattern).err().into_iter().for_each(|error| say("pattern", error.to_string()));
                }
                None => {}
            }
        }
        found
    }
}
