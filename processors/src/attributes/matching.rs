//! Which records to act on.

use std::borrow::Cow;

use regex::Regex;
use streamgauge_pdata::build::AnyValue;
use streamgauge_pdata::edit::{Record, ResourceHeader, ScopeHeader};
use streamgauge_pdata::view::{Attributes, MetricView, Value};

use super::config::{Match, MatchType, Pair, SPAN_KINDS, SeverityNumber};
use crate::actions::any_value;

/// Properties of records, ready to be compared.
#[derive(Debug)]
pub(super) struct Matcher {
    services: Vec<Text>,
    resources: Vec<Expected>,
    libraries: Vec<(Text, Option<Text>)>,
    attributes: Vec<Expected>,
    span_names: Vec<Text>,
    span_kinds: Vec<Text>,
    log_bodies: Vec<Text>,
    log_severity_texts: Vec<Text>,
    log_severity_number: Option<SeverityNumber>,
    metric_names: Vec<Text>,
}

/// What is known of what a record is under.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub resource: bool,
    pub scope: bool,
    pub metric: bool,
}

#[derive(Debug)]
enum Text {
    Itself(String),
    Pattern(Regex),
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Text::Itself(own) => own == text,
            Text::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// An attribute to look for.
#[derive(Debug)]
struct Expected {
    key: String,
    value: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Any,
    Equal(AnyValue),
    Text(Text),
}

impl Matcher {
    pub(super) fn new(config: &Match) -> Result<Matcher, regex::Error> {
        let text = |text: &String| match config.match_type {
            MatchType::Strict => Ok(Text::Itself(text.clone())),
            MatchType::Regexp => Regex::new(text).map(Text::Pattern),
        };
        let texts = |list: &[String]| list.iter().map(text).collect::<Result<Vec<_>, _>>();
        let pair = |pair: &Pair| {
            let value = match (&pair.value, config.match_type) {
                (None, _) => Wanted::Any,
                (Some(serde_json::Value::String(pattern)), MatchType::Regexp) => Wanted::Text(text(pattern)?),
                (Some(value), _) => Wanted::Equal(any_value(value)),
            };
            Ok(Expected { key: pair.key.clone(), value })
        };
        let pairs = |list: &[Pair]| list.iter().map(pair).collect::<Result<Vec<_>, regex::Error>>();
        let libraries = config.libraries.iter().map(|library| {
            let version = library.version.as_ref().map(text).transpose()?;
            Ok((text(&library.name)?, version))
        });
        Ok(Matcher {
            services: texts(&config.services)?,
            resources: pairs(&config.resources)?,
            libraries: libraries.collect::<Result<_, regex::Error>>()?,
            attributes: pairs(&config.attributes)?,
            span_names: texts(&config.span_names)?,
            span_kinds: texts(&config.span_kinds)?,
            log_bodies: texts(&config.log_bodies)?,
            log_severity_texts: texts(&config.log_severity_texts)?,
            log_severity_number: config.log_severity_number,
            metric_names: texts(&config.metric_names)?,
        })
    }

    pub(super) fn resource(&self, resource: &ResourceHeader<'_>) -> bool {
        let service = || match resource.attributes().get("service.name") {
            Ok(Some(name)) => name.to_text().is_ok_and(|name| one_of(&self.services, &name)),
            _ => false,
        };
        (self.services.is_empty() || service()) && all_in(&self.resources, resource.attributes())
    }

    pub(super) fn scope(&self, scope: &ScopeHeader<'_>) -> bool {
        let matches = |(name, version): &(Text, Option<Text>)| {
            name.matches(scope.name) && version.as_ref().is_none_or(|version| version.matches(scope.version))
        };
        self.libraries.is_empty() || self.libraries.iter().any(matches)
    }

    pub(super) fn metric(&self, metric: &MetricView<'_>) -> bool {
        any_or(&self.metric_names, metric.name)
    }

    /// Whether a record matches, given what it is under.
    pub(super) fn record(&self, seen: Seen, record: &Record<'_>) -> bool {
        let about_spans = !self.span_names.is_empty() || !self.span_kinds.is_empty();
        let about_logs = !self.log_bodies.is_empty()
            || !self.log_severity_texts.is_empty()
            || self.log_severity_number.is_some();
        seen.resource
            && seen.scope
            && (seen.metric || self.metric_names.is_empty())
            && all_in(&self.attributes, record.attributes())
            && (!about_spans || self.span(record))
            && (!about_logs || self.log(record))
    }

    fn span(&self, record: &Record<'_>) -> bool {
        let Ok(Some(span)) = record.span() else { return false };
        let kind = usize::try_from(span.kind).ok().and_then(|kind| SPAN_KINDS.get(kind)).unwrap_or(&"");
        any_or(&self.span_names, span.name) && any_or(&self.span_kinds, kind)
    }

    fn log(&self, record: &Record<'_>) -> bool {
        let Ok(Some(log)) = record.log_record() else { return false };
        let body = || matches!(log.body, Value::Str(body) if one_of(&self.log_bodies, body));
        let severity = |bound: SeverityNumber| match log.severity_number {
            0 => bound.match_undefined,
            number => number >= bound.min,
        };
        (self.log_bodies.is_empty() || body())
            && any_or(&self.log_severity_texts, log.severity_text)
            && self.log_severity_number.is_none_or(severity)
    }
}

fn one_of(texts: &[Text], text: &str) -> bool {
    texts.iter().any(|own| own.matches(text))
}

fn any_or(texts: &[Text], text: &str) -> bool {
    texts.is_empty() || one_of(texts, text)
}

fn all_in(expected: &[Expected], attributes: Attributes<'_>) -> bool {
    expected.iter().all(|expected| {
        let Ok(Some(value)) = attributes.get(&expected.key) else { return false };
        match &expected.value {
            Wanted::Any => true,
            Wanted::Equal(wanted) => value.to_any().is_ok_and(|value| value == *wanted),
            Wanted::Text(text) => scalar(value).is_some_and(|value| text.matches(&value)),
        }
    })
}

/// A string, truth value or number as text; a pattern matches nothing else.
fn scalar(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Str(_) | Value::Bool(_) | Value::Int(_) | Value::Double(_) => value.to_text().ok(),
        _ => None,
    }
}
