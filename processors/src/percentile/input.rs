//! The rules, and the spans and log records that feed them. Metrics are in [`super::metrics`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge_component::{Host, Instrument, InstrumentKind, Now, Out, Part, Signal};
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::{Attributes, LogsView, SpanView, TracesView, Value};
use streamgauge_series::{Identity, Selector, Unreadable, find, relative_error};

use super::config::{PercentileConfig, PercentileRule};
use super::group::{Added, Groups};
use super::metrics::Sources;
use super::source::Values;

pub(super) struct Percentiles {
    pub rules: Vec<Rule>,
    /// The rules of a metric.
    pub by_metric: HashMap<String, Vec<usize>>,
    /// At the resource of what is read.
    pub identity: Identity,
    pub sources: Sources,
    pub overflowed: Arc<Instrument>,
    coarse: Arc<Instrument>,
    said_coarse: bool,
    said_unreadable: bool,
    pub id: Arc<str>,
}

/// A rule with its groups.
pub(super) struct Rule {
    of: Of,
    pub selector: Selector,
    pub groups: Groups,
    /// Whether the unit is the metric's.
    pub unit_of_metric: bool,
    interval: Duration,
    due: Option<Instant>,
    changed: bool,
    coarse: u64,
}

enum Of {
    Metric,
    SpanDuration,
    Attribute(String),
}

impl Rule {
    fn new(rule: &PercentileRule, limit: usize) -> Self {
        let (of, unit) = match (&rule.span, &rule.attribute) {
            (Some(_), _) => (Of::SpanDuration, "s"),
            (None, Some(name)) => (Of::Attribute(name.clone()), ""),
            (None, None) => (Of::Metric, ""),
        };
        let unit = rule.unit.clone().unwrap_or_else(|| unit.to_owned());
        let window = u64::try_from(rule.window.as_nanos()).unwrap_or(u64::MAX);
        Rule {
            of,
            selector: rule.matches.clone(),
            groups: Groups::new(rule.output_name(), unit, rule.by.clone(), &rule.quantiles, window, limit),
            unit_of_metric: rule.metric.is_some() && rule.unit.is_none(),
            interval: rule.interval,
            due: None,
            changed: false,
            coarse: 0,
        }
    }

    /// Something was added: the quantiles are due an interval after the first value.
    pub fn took(&mut self, added: Added, now: Now, overflowed: &Instrument) {
        if added == Added::Nothing {
            return;
        }
        overflowed.value.add(u64::from(added == Added::ToOverflow));
        self.changed = true;
        self.due.get_or_insert(now.instant + self.interval);
    }
}

impl Percentiles {
    pub fn new(config: &PercentileConfig, host: &Host) -> Self {
        let mut by_metric: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, rule) in config.rules.iter().enumerate() {
            if let Some(metric) = &rule.metric {
                by_metric.entry(metric.clone()).or_default().push(number);
            }
        }
        Percentiles {
            rules: config.rules.iter().map(|rule| Rule::new(rule, config.max_series)).collect(),
            by_metric,
            identity: Identity::new(),
            sources: Sources::new(config),
            overflowed: host.instrument(
                InstrumentKind::Counter,
                "streamgauge.series.overflowed",
                "{point}",
                "Points of series beyond the configured maximum, which were left out.",
                Vec::new(),
            ),
            coarse: host.instrument(
                InstrumentKind::Gauge,
                "streamgauge.percentile.coarse",
                "{group}",
                "Groups whose quantiles may be off by more than 1.1 %.",
                Vec::new(),
            ),
            said_coarse: false,
            said_unreadable: false,
            id: host.id().clone(),
        }
    }

    /// Takes a request.
    pub fn take(&mut self, signal: Signal, request: &[u8], now: Now) {
        let mut unreadable = Unreadable::default();
        match signal {
            Signal::Metrics => self.metrics(request, now, &mut unreadable),
            Signal::Traces => self.spans(request, now, &mut unreadable),
            Signal::Logs => self.records(request, now, &mut unreadable),
        }
        if let Some(error) = unreadable.first()
            && !std::mem::replace(&mut self.said_unreadable, true)
        {
            tracing::warn!(id = %self.id, %error, "what cannot be read is left out");
        }
    }

    fn spans(&mut self, request: &[u8], now: Now, unreadable: &mut Unreadable) {
        for resource in TracesView::new(request).resources() {
            let Some(resource) = unreadable.ok(resource) else { continue };
            let Some(()) = unreadable.ok(self.identity.resource(resource.attributes())) else { continue };
            for scope in resource.scopes() {
                let Some(scope) = unreadable.ok(scope) else { continue };
                for span in scope.records() {
                    let Some(span) = unreadable.ok(span) else { continue };
                    let lists = [span.attributes(), resource.attributes()];
                    let value = |of: &Of| match of {
                        Of::Metric => None,
                        Of::SpanDuration => duration(&span),
                        Of::Attribute(name) => span.attributes().get(name).ok().flatten().and_then(number),
                    };
                    let known = |name: &str| of_span(&span, name);
                    self.record(lists, value, known, now, unreadable);
                }
            }
        }
    }

    fn records(&mut self, request: &[u8], now: Now, unreadable: &mut Unreadable) {
        for resource in LogsView::new(request).resources() {
            let Some(resource) = unreadable.ok(resource) else { continue };
            let Some(()) = unreadable.ok(self.identity.resource(resource.attributes())) else { continue };
            for scope in resource.scopes() {
                let Some(scope) = unreadable.ok(scope) else { continue };
                for record in scope.records() {
                    let Some(record) = unreadable.ok(record) else { continue };
                    let lists = [record.attributes(), resource.attributes()];
                    let value = |of: &Of| match of {
                        Of::Attribute(name) => record.attributes().get(name).ok().flatten().and_then(number),
                        Of::Metric | Of::SpanDuration => None,
                    };
                    self.record(lists, value, |_| None, now, unreadable);
                }
            }
        }
    }

    /// Records what every rule finds in one span or log record.
    fn record<'a>(
        &mut self,
        lists: [Attributes<'a>; 2],
        value: impl Fn(&Of) -> Option<f64>,
        known: impl Fn(&str) -> Option<Value<'a>>,
        now: Now,
        unreadable: &mut Unreadable,
    ) {
        for rule in &mut self.rules {
            let Some(value) = value(&rule.of) else { continue };
            if unreadable.ok(rule.selector.matches(&lists)) != Some(true) {
                continue;
            }
            let find = |name: &str| find(&lists, name).ok().flatten().or_else(|| known(name));
            let values = Values::One(value);
            let added = rule.groups.add(&mut self.identity, lists[1], find, now.unix_nanos, &values);
            rule.took(added, now, &self.overflowed);
        }
    }

    /// Asks to be woken when quantiles are due.
    pub fn schedule(&self, out: &mut Out) {
        if let Some(at) = self.rules.iter().filter_map(|rule| rule.due).min() {
            out.wake_at(at);
        }
    }

    /// The quantiles that are due.
    pub fn emit_due(&mut self, now: Now) -> Option<Part> {
        let due = |rule: &Rule| rule.due.is_some_and(|due| due <= now.instant);
        let emitted = self.emit(now, due);
        for rule in self.rules.iter_mut().filter(|rule| due(rule)) {
            rule.due = (!rule.groups.is_empty()).then(|| now.instant + rule.interval);
        }
        emitted
    }

    /// The quantiles that have changed since they were given out.
    pub fn emit_changed(&mut self, now: Now) -> Option<Part> {
        self.emit(now, |rule| rule.changed)
    }

    fn emit(&mut self, now: Now, which: impl Fn(&Rule) -> bool) -> Option<Part> {
        let mut built = MetricsBuilder::new();
        for rule in self.rules.iter_mut().filter(|rule| which(rule)) {
            let emitted = rule.groups.emit(&mut built, now.unix_nanos);
            rule.changed = false;
            rule.coarse = emitted.coarse as u64;
            if let Some(scale) = emitted.coarsest
                && !std::mem::replace(&mut self.said_coarse, true)
            {
                let percent = relative_error(scale) * 100.0;
                tracing::warn!(
                    id = %self.id,
                    scale,
                    "values are too far apart, or came in a coarse histogram: quantiles are off by up to {percent:.1} %"
                );
            }
        }
        self.coarse.value.set(self.rules.iter().map(|rule| rule.coarse).sum());
        let items = built.items();
        (items > 0).then(|| Part::created(built.finish(), items))
    }
}

/// The duration of a span in seconds, if it has one.
fn duration(span: &SpanView<'_>) -> Option<f64> {
    let nanos = span.end_time.checked_sub(span.start_time)?;
    (span.start_time > 0).then_some(nanos as f64 / 1e9)
}

/// What is known of a span beside its attributes.
fn of_span<'a>(span: &SpanView<'a>, name: &str) -> Option<Value<'a>> {
    Some(Value::Str(match name {
        "span.name" => span.name,
        "span.kind" => match span.kind {
            1 => "internal",
            2 => "server",
            3 => "client",
            4 => "producer",
            5 => "consumer",
            _ => "unspecified",
        },
        "status.code" => match span.status_code {
            1 => "ok",
            2 => "error",
            _ => "unset",
        },
        _ => return None,
    }))
}

fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(number as f64),
        Value::Double(number) => Some(number),
        Value::Str(text) => text.trim().parse().ok(),
        _ => None,
    }
}
