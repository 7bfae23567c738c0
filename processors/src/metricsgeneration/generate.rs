//! The rules, and what they make of a request.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use streamgauge_component::{ComponentError, Host, Instrument, InstrumentKind, Part};
use streamgauge_pdata::build::MetricsBuilder;
use streamgauge_pdata::view::{Data, MetricView, MetricsView, NumberPoint, ResourceView, ScopeView};
use streamgauge_series::{Identity, Unreadable};

use super::config::{GenerationRule, MetricsGenerationConfig, Operand, Operation};
use super::partners::Partners;

pub(super) struct Generator {
    rules: Vec<Rule>,
    /// Names of the metrics that rules use.
    used: HashSet<String>,
    skipped: [Arc<Instrument>; 5],
    said_unreadable: AtomicBool,
    said_kind: AtomicBool,
    id: Arc<str>,
}

struct Rule {
    name: String,
    unit: String,
    /// The formula, for people.
    about: String,
    metric1: String,
    operation: Operation,
    operand: Operand,
}

/// Why a point of the first metric gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// No point of the second metric belongs to it.
    NoPartner,
    /// Several do, all as near.
    Ambiguous,
    /// It or its partner has no value.
    NoValue,
    DivisionByZero,
    /// The result is infinite or no number.
    NotFinite,
}

/// A point that rules can use.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    /// Number of its scope in the resource.
    pub scope: usize,
    pub point: NumberPoint<'a>,
    /// `None` when the series has ended, or the point lacks a value.
    value: Option<f64>,
}

/// The points of each metric that rules use.
type Samples<'a> = HashMap<&'a str, Vec<Sample<'a>>>;
type Scope<'a> = ScopeView<'a, MetricView<'a>>;

impl Generator {
    pub fn new(config: &MetricsGenerationConfig, host: &Host) -> Result<Self, ComponentError> {
        let rules: Vec<Rule> = config.rules.iter().map(Rule::new).collect::<Result<_, _>>()?;
        let mut used = HashSet::new();
        for rule in &rules {
            used.insert(rule.metric1.clone());
            if let Operand::Metric(metric2) = &rule.operand {
                used.insert(metric2.clone());
            }
        }
        // In the order of `Skipped`.
        let reasons = ["no_partner", "ambiguous", "no_value", "division_by_zero", "not_finite"];
        let skipped = reasons.map(|reason| {
            host.instrument(
                InstrumentKind::Counter,
                "streamgauge.metricsgeneration.skipped",
                "{point}",
                "Points of a rule's first metric that gave no generated point, by reason.",
                vec![("reason", reason.to_owned())],
            )
        });
        Ok(Generator {
            rules,
            used,
            skipped,
            said_unreadable: AtomicBool::new(false),
            said_kind: AtomicBool::new(false),
            id: host.id().clone(),
        })
    }

    /// The gauges that come of a request.
    pub fn take(&self, request: &[u8]) -> Option<Part> {
        let mut unreadable = Unreadable::default();
        let mut identity = Identity::new();
        let mut built = MetricsBuilder::new();
        for resource in MetricsView::new(request).resources() {
            let Some(resource) = unreadable.ok(resource) else { continue };
            let Some((scopes, samples)) = self.read(&resource, &mut identity, &mut unreadable) else {
                continue;
            };
            let made = self.generate(samples, &mut identity);
            self.write(&mut built, &resource, &scopes, &made);
        }
        if let Some(error) = unreadable.first()
            && !self.said_unreadable.swap(true, Relaxed)
        {
            tracing::warn!(id = %self.id, %error, "nothing is calculated with points that cannot be read");
        }
        let items = built.items();
        (items > 0).then(|| Part::created(built.finish(), items))
    }

    /// The scopes of a resource, and the points in them that rules use: those that can be read to the end.
    fn read<'a>(
        &self,
        resource: &ResourceView<'a, MetricView<'a>>,
        identity: &mut Identity,
        unreadable: &mut Unreadable,
    ) -> Option<(Vec<Scope<'a>>, Samples<'a>)> {
        unreadable.ok(identity.resource(resource.attributes()))?;
        let (mut scopes, mut samples) = (Vec::new(), Samples::new());
        for scope in resource.scopes() {
            let Some(scope) = unreadable.ok(scope) else { continue };
            let path = identity.scope(scope.name, scope.version, scope.attributes());
            let Some(()) = unreadable.ok(path) else { continue };
            for metric in scope.records() {
                let Some(metric) = unreadable.ok(metric) else { continue };
                if !self.used.contains(metric.name) {
                    continue;
                }
                let (Data::Gauge(points) | Data::Sum { points, .. }) = metric.data else {
                    if !self.said_kind.swap(true, Relaxed) {
                        tracing::warn!(id = %self.id, metric = metric.name, "nothing is calculated: the metric is no gauge or sum");
                    }
                    continue;
                };
                let found = samples.entry(metric.name).or_default();
                for point in points {
                    let Some(point) = unreadable.ok(point) else { continue };
                    let Some(_) = unreadable.ok(identity.point(point.attributes())) else { continue };
                    let value = point.value.filter(|_| !point.no_recorded_value());
                    let value = value.map(|number| number.as_f64());
                    found.push(Sample { scope: scopes.len(), point, value });
                }
            }
            scopes.push(scope);
        }
        Some((scopes, samples))
    }

    /// What the rules make of the points of a resource: rule and point, those of one scope together.
    fn generate<'a>(
        &'a self,
        mut samples: Samples<'a>,
        identity: &mut Identity,
    ) -> Vec<(&'a Rule, Sample<'a>)> {
        let mut all = Vec::new();
        for rule in &self.rules {
            let of = |name: &str| samples.get(name).map(Vec::as_slice).unwrap_or_default();
            let mut made = Vec::new();
            let mut partners = Partners::new(match &rule.operand {
                Operand::Metric(metric2) => of(metric2),
                Operand::Number(_) => &[],
            });
            for first in of(&rule.metric1) {
                match rule.value(first, &mut partners, identity) {
                    Ok(value) => made.push(Sample { value, ..*first }),
                    Err(why) => self.skipped[why as usize].value.add(1),
                }
            }
            all.extend(made.iter().map(|sample| (rule, *sample)));
            samples.entry(&rule.name).or_default().extend(made);
        }
        all.sort_by_key(|(_, sample)| sample.scope);
        all
    }

    fn write(
        &self,
        built: &mut MetricsBuilder,
        resource: &ResourceView<'_, MetricView<'_>>,
        scopes: &[Scope<'_>],
        made: &[(&Rule, Sample<'_>)],
    ) {
        let mut to = built.resource(resource.attributes());
        for of_scope in made.chunk_by(|(_, a), (_, b)| a.scope == b.scope) {
            let scope = &scopes[of_scope[0].1.scope];
            let mut to = to.scope_with(scope.name, scope.version, scope.attributes());
            for of_rule in of_scope.chunk_by(|(a, _), (b, _)| std::ptr::eq(*a, *b)) {
                let rule = of_rule[0].0;
                let mut gauge = to.gauge(&rule.name, &rule.unit, &rule.about);
                for (_, Sample { point, value, .. }) in of_rule {
                    let mut to = gauge.point(point.time);
                    if point.start_time != 0 {
                        to.start(point.start_time);
                    }
                    to.attributes(point.attributes());
                    match value {
                        Some(value) => to.double(*value),
                        None => to.no_recorded_value(),
                    };
                }
            }
        }
    }
}

impl Rule {
    fn new(config: &GenerationRule) -> Result<Self, ComponentError> {
        let (operation, operand) =
            config.read().map_err(|(key, message)| ComponentError(format!("{key}: {message}")))?;
        let second = match &operand {
            Operand::Metric(name) => name.clone(),
            Operand::Number(number) => number.to_string(),
        };
        let (before, sign) = match operation {
            Operation::Add => ("", '+'),
            Operation::Subtract => ("", '-'),
            Operation::Multiply => ("", '*'),
            Operation::Divide => ("", '/'),
            Operation::Percent => ("100 * ", '/'),
        };
        Ok(Rule {
            name: config.name.clone(),
            unit: config.unit.clone(),
            about: format!("{before}{} {sign} {second}", config.metric1),
            metric1: config.metric1.clone(),
            operation,
            operand,
        })
    }

    /// What a point gives; `None` when it says that its series has ended.
    fn value<'a>(
        &self,
        first: &Sample<'a>,
        partners: &mut Partners<'_, 'a>,
        identity: &mut Identity,
    ) -> Result<Option<f64>, Skipped> {
        if first.point.no_recorded_value() {
            return Ok(None);
        }
        let a = first.value.ok_or(Skipped::NoValue)?;
        let b = match self.operand {
            Operand::Number(number) => number,
            Operand::Metric(_) => partners.find(first, identity)?.value.ok_or(Skipped::NoValue)?,
        };
        let value = match self.operation {
            Operation::Divide | Operation::Percent if b == 0.0 => return Err(Skipped::DivisionByZero),
            Operation::Add => a + b,
            Operation::Subtract => a - b,
            Operation::Multiply => a * b,
            Operation::Divide => a / b,
            // In this order whole percents are exact, as bounds are.
            Operation::Percent => a * 100.0 / b,
        };
        if value.is_finite() { Ok(Some(value)) } else { Err(Skipped::NotFinite) }
    }
}
