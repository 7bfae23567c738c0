//! The rules over the metrics that come by.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge_alerts::{Active, Alerts, Labels, Series, Snapshot, Transition};
use streamgauge_component::{Host, Instrument, InstrumentKind, Now, Out};
use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Attributes, Data, MetricView, MetricsView, ResourceView};
use streamgauge_series::{Identity, Resource, Selector, Unreadable, visit_metrics};

use super::config::AlertingConfig;

/// However many alerts wait for a moment of their own, all are looked at so often at most.
const WAKE_APART: Duration = Duration::from_millis(50);

pub(super) struct Watch {
    alerts: Alerts,
    selectors: Vec<Selector>,
    /// The rules of a metric.
    by_metric: HashMap<String, Vec<usize>>,
    identity: Identity,
    interval: Duration,
    repeat_at: Option<Instant>,
    woke: Option<Instant>,
    now: u64,
    overflowed: Arc<Instrument>,
    said_overflow: bool,
    said_unreadable: bool,
    id: Arc<str>,
}

impl Watch {
    pub fn new(config: &AlertingConfig, host: &Host) -> Self {
        let mut by_metric: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, rule) in config.rules.iter().enumerate() {
            by_metric.entry(rule.metric.clone()).or_default().push(number);
        }
        let rules = config.rules.iter().map(|rule| rule.rule()).collect();
        Watch {
            alerts: Alerts::new(rules, config.max_series),
            selectors: config.rules.iter().map(|rule| rule.matches.clone()).collect(),
            by_metric,
            identity: Identity::new(),
            interval: config.interval,
            repeat_at: None,
            woke: None,
            now: 0,
            overflowed: host.instrument(
                InstrumentKind::Counter,
                "streamgauge.series.overflowed",
                "{point}",
                "Points of series beyond the configured maximum, which were left out.",
                Vec::new(),
            ),
            said_overflow: false,
            said_unreadable: false,
            id: host.id().clone(),
        }
    }

    /// What is to outlive the process.
    pub fn snapshot(&self) -> Snapshot {
        self.alerts.snapshot()
    }

    /// Takes over what an earlier instance knew.
    pub fn restore(&mut self, snapshot: Snapshot, now: u64) {
        self.now = now;
        self.alerts.restore(snapshot, now);
    }

    /// The wall clock at the last call.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The alerts that are pending or firing.
    pub fn active(&self) -> impl Iterator<Item = Active<'_>> {
        self.alerts.active()
    }

    /// Takes the points of a request.
    pub fn take(&mut self, request: &[u8], now: u64, transitions: &mut Vec<Transition>) {
        self.now = now;
        let mut unreadable = Unreadable::default();
        for resource in MetricsView::new(request).resources() {
            let Some(resource) = unreadable.ok(resource) else { continue };
            self.resource(&resource, &mut unreadable, transitions);
        }
        if let Some(error) = unreadable.first()
            && !std::mem::replace(&mut self.said_unreadable, true)
        {
            tracing::warn!(id = %self.id, %error, "points that cannot be read are not alerted on");
        }
        let overflowed = self.alerts.overflowed();
        self.overflowed.value.set(overflowed);
        if overflowed > 0 && !std::mem::replace(&mut self.said_overflow, true) {
            tracing::warn!(id = %self.id, "more series than max_series: those beyond do not alert");
        }
    }

    fn resource(
        &mut self,
        resource: &ResourceView<'_, MetricView<'_>>,
        unreadable: &mut Unreadable,
        transitions: &mut Vec<Transition>,
    ) {
        let Watch { alerts, selectors, by_metric, identity, now, .. } = self;
        let wanted = |name: &str| by_metric.get(name);
        visit_metrics(resource, identity, unreadable, wanted, |identity, unreadable, metric, rules| {
            let (Data::Gauge(points) | Data::Sum { points, .. }) = metric.data else { return };
            for point in points {
                let Some(point) = unreadable.ok(point) else { continue };
                let Some(key) = unreadable.ok(identity.point(point.attributes())) else { continue };
                let lists = [point.attributes(), resource.attributes()];
                for rule in rules {
                    if unreadable.ok(selectors[*rule].matches(&lists)) != Some(true) {
                        continue;
                    }
                    if point.no_recorded_value() {
                        alerts.end(*rule, key, *now, transitions);
                    } else if let Some(value) = point.value {
                        alerts.observe(*rule, key, value.as_f64(), *now, || describe(lists), transitions);
                    }
                }
            }
        });
    }

    /// Lets time pass. Whether the active alerts are to be repeated now.
    pub fn wake(&mut self, now: Now, transitions: &mut Vec<Transition>) -> bool {
        (self.now, self.woke) = (now.unix_nanos, Some(now.instant));
        self.alerts.tick(now.unix_nanos, transitions);
        let due = self.repeat_at.is_some_and(|at| at <= now.instant);
        if due {
            self.repeat_at = None;
        }
        due
    }

    /// Asks to be woken when time alone changes something, or active alerts are to be repeated.
    pub fn schedule(&mut self, out: &mut Out) {
        let now = out.now();
        if self.alerts.active().next().is_none() {
            self.repeat_at = None;
        } else {
            out.wake_at(*self.repeat_at.get_or_insert(now.instant + self.interval));
        }
        if let Some(deadline) = self.alerts.next_deadline() {
            let at = now.instant + Duration::from_nanos(deadline.saturating_sub(now.unix_nanos));
            out.wake_at(self.woke.map_or(at, |woke| at.max(woke + WAKE_APART)));
        }
    }
}

/// A series' labels: the attributes of its point, before those of its resource. One that cannot be read is left out.
fn describe([point, resource]: [Attributes<'_>; 2]) -> Series {
    let text = |pair: Result<_, Malformed>| {
        let (name, value): (&str, streamgauge_pdata::view::Value<'_>) = pair.ok()?;
        Some((name, value.to_text().ok()?.into_owned()))
    };
    let labels: Labels = resource.filter_map(text).chain(point.filter_map(text)).collect();
    Series { labels, origin: Arc::clone(Resource::of(resource).bytes()) }
}
