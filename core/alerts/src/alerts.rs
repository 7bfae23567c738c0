//! All alerts of a set of rules: takes values, hands out transitions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::rule::{Bound, NoDataState, Rule, Severity};
use crate::state::{State, Track, Waits, nanos};
use crate::{Labels, Template};

/// How many series are held when nothing else is said.
pub const DEFAULT_LIMIT: usize = 10_000;

/// What is known of a series besides its key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels: what templates see as `$labels`, and the base of the alert's own label set.
    pub labels: Labels,
    /// Whatever the caller wants back with each transition (where the series came from); opaque here.
    pub origin: Arc<[u8]>,
}

/// Why a transition happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The value and the time it has stood.
    Value,
    /// The series is silent for longer than the rule allows.
    NoData,
    /// The series said that it ended.
    Ended,
}

impl Cause {
    /// The cause in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Value => "value",
            Cause::NoData => "no_data",
            Cause::Ended => "ended",
        }
    }
}

/// An alert went from one state to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The rule, by its place in the set.
    pub rule: usize,
    /// Which bound's alert it is.
    pub severity: Severity,
    /// The state before.
    pub previous: State,
    /// The state now.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// The last value seen; when the cause is not the value, it is an old one.
    pub value: f64,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub at: u64,
    /// The alert's label set: the series' labels, the rule's, `alertname` and `severity`.
    pub labels: Arc<Labels>,
    /// The rule's annotations, rendered.
    pub annotations: Labels,
    /// The fingerprint of the labels: the same for all transitions of an alert.
    pub fingerprint: u64,
    /// What the caller attached to the series.
    pub origin: Arc<[u8]>,
}

/// An alert that is pending or firing.
#[derive(Clone, Copy, Debug)]
pub struct Active<'a> {
    /// The rule, by its place in the set.
    pub rule: usize,
    /// Which bound's alert it is.
    pub severity: Severity,
    /// Pending or firing.
    pub state: State,
    /// The last value seen.
    pub value: f64,
    /// The alert's label set.
    pub labels: &'a Labels,
    /// What the caller attached to the series.
    pub origin: &'a Arc<[u8]>,
}

/// One series under one rule.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub series: Series,
    pub value: f64,
    pub last_seen: u64,
    pub ended: bool,
    pub warning: Track,
    pub critical: Track,
}

/// The state of all alerts of a set of rules.
///
/// A series takes room only while it has something to remember: a condition that is met, an alert that is resolved
/// and not yet forgotten, or, where silence alerts, that it was seen at all.
#[derive(Debug)]
pub struct Alerts {
    pub(crate) rules: Vec<Rule>,
    pub(crate) instances: Vec<HashMap<Box<[u8]>, Instance>>,
    limit: usize,
    held: usize,
    overflowed: u64,
    swept: u64,
    next: Option<u64>,
}

impl Alerts {
    /// The alerts of `rules`, for at most `limit` series over all rules. At the limit resolved alerts are forgotten
    /// early; when that is not enough, further series are not alerted on and [counted](Self::overflowed), and those
    /// held stay as they are.
    pub fn new(rules: Vec<Rule>, limit: usize) -> Self {
        let instances = rules.iter().map(|_| HashMap::new()).collect();
        Self { rules, instances, limit, held: 0, overflowed: 0, swept: 0, next: None }
    }

    /// The rules, in the order in which they are named by number.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// How many series are held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// How many values could not be alerted on, because the limit was reached.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// A value of the series `key` under the rule with the number `rule`, seen at `now`. The series is described only
    /// when it is not known and matters.
    pub fn observe(
        &mut self,
        rule: usize,
        key: &[u8],
        value: f64,
        now: u64,
        describe: impl FnOnce() -> Series,
        out: &mut Vec<Transition>,
    ) {
        let (Some(definition), Some(instances)) = (self.rules.get(rule), self.instances.get_mut(rule)) else {
            return;
        };
        if let Some(instance) = instances.get_mut(key) {
            (instance.value, instance.last_seen, instance.ended) = (value, now, false);
            self.next = earliest(self.next, evaluate(rule, definition, instance, now, out));
            self.drop_if_idle(rule, key);
            return;
        }
        let met =
            |bound: &Option<Bound>| bound.is_some_and(|bound| definition.op.holds(value, bound.threshold));
        let silence_alerts = definition.no_data.state == NoDataState::Alerting;
        if !silence_alerts && !met(&definition.warning) && !met(&definition.critical) {
            return;
        }
        if !self.has_room(now) {
            self.overflowed += 1;
            return;
        }
        let mut instance = Instance {
            series: describe(),
            value,
            last_seen: now,
            ended: false,
            warning: Track::default(),
            critical: Track::default(),
        };
        self.next = earliest(self.next, evaluate(rule, &self.rules[rule], &mut instance, now, out));
        self.instances[rule].insert(key.into(), instance);
        self.held += 1;
    }

    /// The series `key` says that it ended: its pending alerts are off, its firing ones resolve (after
    /// `keep_firing_for`), whatever the rule says about silence.
    pub fn end(&mut self, rule: usize, key: &[u8], now: u64, out: &mut Vec<Transition>) {
        let Some(instance) = self.instances.get_mut(rule).and_then(|instances| instances.get_mut(key)) else {
            return;
        };
        instance.ended = true;
        self.next = earliest(self.next, evaluate(rule, &self.rules[rule], instance, now, out));
        self.drop_if_idle(rule, key);
    }

    /// Lets time pass: fires what has been pending for long enough, ends what was kept, looks for silence, forgets.
    pub fn tick(&mut self, now: u64, out: &mut Vec<Transition>) {
        let mut next = None;
        for (number, (rule, instances)) in self.rules.iter().zip(&mut self.instances).enumerate() {
            instances.retain(|_, instance| {
                next = earliest(next, evaluate(number, rule, instance, now, out));
                !instance.is_idle(rule)
            });
        }
        self.next = next;
        self.held = self.instances.iter().map(HashMap::len).sum();
    }

    /// When [`tick`](Self::tick) has something to do, if no value comes before.
    pub fn next_deadline(&self) -> Option<u64> {
        self.next
    }

    /// All pending and firing alerts, in no order.
    pub fn active(&self) -> impl Iterator<Item = Active<'_>> {
        self.instances.iter().enumerate().flat_map(|(rule, instances)| {
            instances.values().flat_map(move |instance| {
                [(Severity::Warning, &instance.warning), (Severity::Critical, &instance.critical)]
                    .into_iter()
                    .filter(|(_, track)| track.state.is_active())
                    .filter_map(move |(severity, track)| {
                        Some(Active {
                            rule,
                            severity,
                            state: track.state,
                            value: instance.value,
                            labels: track.labels.as_deref()?,
                            origin: &instance.series.origin,
                        })
                    })
            })
        })
    }

    /// Puts back a series that a snapshot remembers.
    pub(crate) fn put(&mut self, rule: usize, key: Box<[u8]>, instance: Instance, now: u64) {
        if self.has_room(now) && self.instances[rule].insert(key, instance).is_none() {
            self.held += 1;
            self.next = Some(now);
        }
    }

    fn drop_if_idle(&mut self, rule: usize, key: &[u8]) {
        let instances = &mut self.instances[rule];
        if instances.get(key).is_some_and(|instance| instance.is_idle(&self.rules[rule])) {
            instances.remove(key);
            self.held -= 1;
        }
    }

    /// Whether one more series may be held; forgets resolved alerts for it, at most once a second.
    fn has_room(&mut self, now: u64) -> bool {
        if self.held < self.limit {
            return true;
        }
        if now.saturating_sub(self.swept) < 1_000_000_000 {
            return false;
        }
        self.swept = now;
        for instances in &mut self.instances {
            instances.retain(|_, instance| {
                ![&instance.warning, &instance.critical].into_iter().all(|track| {
                    matches!(track.state, State::Inactive | State::Resolved) && track.since.is_none()
                })
            });
        }
        self.held = self.instances.iter().map(HashMap::len).sum();
        self.held < self.limit
    }
}

impl Instance {
    /// Whether there is nothing to remember: no alert, and nobody who waits for the series to fall silent.
    fn is_idle(&self, rule: &Rule) -> bool {
        let watched = !self.ended && rule.no_data.state == NoDataState::Alerting;
        self.warning.is_idle() && self.critical.is_idle() && !watched
    }
}

/// Brings both bounds of a series up to `now`. Returns when time alone will change something.
fn evaluate(
    number: usize,
    rule: &Rule,
    instance: &mut Instance,
    now: u64,
    out: &mut Vec<Transition>,
) -> Option<u64> {
    let after = nanos(rule.no_data.after);
    let policy = rule.no_data.state;
    let silent = policy != NoDataState::Keep && now.saturating_sub(instance.last_seen) >= after;
    let cause = match (instance.ended, silent) {
        (true, _) => Cause::Ended,
        (_, true) => Cause::NoData,
        _ => Cause::Value,
    };
    let alerting = cause == Cause::NoData && policy == NoDataState::Alerting;
    let waits = Waits {
        hold: if alerting { 0 } else { nanos(rule.hold) },
        keep_firing_for: nanos(rule.keep_firing_for),
    };
    let watches_silence = policy != NoDataState::Keep && !silent && !instance.ended;
    let mut next = watches_silence.then(|| instance.last_seen.saturating_add(after));
    let mut held = false;
    // Critical first: what it does decides whether the warning may move.
    for severity in [Severity::Critical, Severity::Warning] {
        let Some(bound) = rule.bound(severity) else { continue };
        let track = match severity {
            Severity::Warning => &mut instance.warning,
            Severity::Critical => &mut instance.critical,
        };
        track.forget(now);
        let threshold = bound.clear.filter(|_| track.latched()).unwrap_or(bound.threshold);
        let met = match cause {
            Cause::Value => rule.op.holds(instance.value, threshold),
            Cause::NoData => alerting,
            Cause::Ended => false,
        };
        if let Some(previous) = track.step(met, waits, held, now) {
            if !previous.is_active() {
                track.labels =
                    Some(Arc::new(alert_labels(rule, severity, &instance.series.labels, instance.value)));
            }
            let labels = track.labels.clone().unwrap_or_default();
            out.push(Transition {
                rule: number,
                severity,
                previous,
                state: track.state,
                cause,
                value: instance.value,
                at: now,
                annotations: render(&rule.annotations, &instance.series.labels, instance.value).collect(),
                fingerprint: labels.fingerprint(),
                labels,
                origin: Arc::clone(&instance.series.origin),
            });
        }
        next = earliest(next, track.deadline(waits, held));
        held = severity == Severity::Critical && track.state == State::Firing;
    }
    next
}

/// The label set of an alert; the rule's labels win over the series', `alertname` and `severity` over both.
fn alert_labels(rule: &Rule, severity: Severity, series: &Labels, value: f64) -> Labels {
    let mut labels = series.clone();
    for (name, value) in render(&rule.labels, series, value) {
        labels.set(name, value);
    }
    labels.set("alertname", rule.name.as_str());
    labels.set("severity", severity.as_str());
    labels
}

fn render<'a>(
    templates: &'a [(String, Template)],
    labels: &'a Labels,
    value: f64,
) -> impl Iterator<Item = (&'a str, String)> {
    templates.iter().map(move |(name, template)| (name.as_str(), template.render(labels, value)))
}

fn earliest(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
