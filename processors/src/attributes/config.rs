//! The section of `attributes`, with the Collector's keys.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use streamgauge_component::{ComponentConfig, Signal};

use crate::actions::{ActionConfig, problems};

/// Settings of the `attributes` processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributesConfig {
    /// Which records to act on; every one when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Match>,
    /// Which of them not to act on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Match>,
    /// What to do, in this order.
    pub actions: Vec<ActionConfig>,
}

/// Properties of records; all that are given must match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// How texts are compared.
    pub match_type: MatchType,
    /// Accepted from Collector files; there is no cache to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regexp: Option<RegexpCache>,
    /// The resource's `service.name` matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// All of these are in the resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Pair>,
    /// The scope matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<Library>,
    /// All of these are in the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Pair>,
    /// The span's name matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub span_names: Vec<String>,
    /// The span's kind matches one of these: `SPAN_KIND_INTERNAL`, `_SERVER`, `_CLIENT`, `_PRODUCER`, `_CONSUMER`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub span_kinds: Vec<String>,
    /// The log record's body is a string that matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_bodies: Vec<String>,
    /// The log record's severity text matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_severity_texts: Vec<String>,
    /// The log record's severity is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_severity_number: Option<SeverityNumber>,
    /// The metric's name matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_names: Vec<String>,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MatchType {
    /// The text itself.
    Strict,
    /// A regular expression, not anchored.
    Regexp,
}

/// The Collector's cache of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegexpCache {
    /// Without effect.
    pub cacheenabled: bool,
    /// Without effect.
    pub cachemaxnumentries: usize,
}

/// An attribute to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its key.
    pub key: String,
    /// Its value; any will do when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// An instrumentation scope to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// Its version; any will do when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A bound on severity numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeverityNumber {
    /// The least that matches: 1 TRACE, 5 DEBUG, 9 INFO, 13 WARN, 17 ERROR, 21 FATAL.
    pub min: i32,
    /// Whether a severity that is not given matches.
    pub match_undefined: bool,
}

/// The kinds of spans by their number.
pub(super) const SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];

impl Match {
    /// The properties that only one signal has, and whether they are given.
    fn special(&self) -> [(Signal, &'static str, bool); 6] {
        [
            (Signal::Traces, "span_names", !self.span_names.is_empty()),
            (Signal::Traces, "span_kinds", !self.span_kinds.is_empty()),
            (Signal::Logs, "log_bodies", !self.log_bodies.is_empty()),
            (Signal::Logs, "log_severity_texts", !self.log_severity_texts.is_empty()),
            (Signal::Logs, "log_severity_number", self.log_severity_number.is_some()),
            (Signal::Metrics, "metric_names", !self.metric_names.is_empty()),
        ]
    }

    /// A property that records of this signal do not have.
    pub(super) fn foreign_to(&self, signal: Signal) -> Option<&'static str> {
        self.special().into_iter().find(|(of, _, given)| *given && *of != signal).map(|(_, key, _)| key)
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let general = [&self.services].iter().any(|list| !list.is_empty())
            || [&self.resources, &self.attributes].iter().any(|list| !list.is_empty())
            || !self.libraries.is_empty();
        if !general && !self.special().iter().any(|(_, _, given)| *given) {
            found.push(("match_type", "needs at least one property to match".to_owned()));
        }
        let lists = [
            ("services", &self.services),
            ("span_names", &self.span_names),
            ("span_kinds", &self.span_kinds),
            ("log_bodies", &self.log_bodies),
            ("log_severity_texts", &self.log_severity_texts),
            ("metric_names", &self.metric_names),
        ];
        if self.match_type == MatchType::Regexp {
            for (key, pattern) in
                lists.iter().flat_map(|(key, list)| list.iter().map(|pattern| (*key, pattern)))
            {
                found.extend(Regex::new(pattern).err().map(|error| (key, error.to_string())));
            }
            for (key, pairs) in [("resources", &self.resources), ("attributes", &self.attributes)] {
                for value in pairs.iter().filter_map(|pair| pair.value.as_ref()) {
                    match value.as_str().map(Regex::new) {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => found.push((key, error.to_string())),
                        None => {
                            found.push((key, "match_type=regexp needs values that are strings".to_owned()))
                        }
                    }
                }
            }
        }
        if self.match_type == MatchType::Strict {
            for kind in self.span_kinds.iter().filter(|kind| !SPAN_KINDS.contains(&kind.as_str())) {
                found.push(("span_kinds", format!("{kind:?} is none of {}", SPAN_KINDS.join(", "))));
            }
        }
        found
    }
}

impl ComponentConfig for AttributesConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = problems("actions", &self.actions);
        for (name, properties) in [("include", &self.include), ("exclude", &self.exclude)] {
            let problems = properties.iter().flat_map(Match::problems);
            found.extend(problems.map(|(key, message)| (format!("{name}::{key}"), message)));
        }
        found
    }
}
