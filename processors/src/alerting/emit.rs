//! What is made of transitions: `ALERTS` series and log records.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge_alerts::{Active, Labels, Severity, State, Transition};
use streamgauge_component::Part;
use streamgauge_pdata::build::{AnyValue, LogsBuilder, MetricsBuilder};
use streamgauge_series::Resource;

/// Name of the scope under which series and records stand.
const SCOPE: &str = "streamgauge/alerting";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One series of `ALERTS`: an alert in a state.
type Key<'a> = (&'a Labels, State);

/// The `ALERTS` points: a state that was left ends, one that was entered, or is repeated, is 1.
pub(super) fn series<'a>(
    transitions: &'a [Transition],
    repeat: Option<impl Iterator<Item = Active<'a>>>,
    now: u64,
) -> Option<Part> {
    // By resource. A series that changed twice in one call has one point: a second at the same time would be refused.
    let mut resources: BTreeMap<Resource, BTreeMap<Key<'_>, bool>> = BTreeMap::new();
    let resource = |origin: &Arc<[u8]>| Resource::from_bytes(Arc::clone(origin));
    for active in repeat.into_iter().flatten() {
        resources.entry(resource(active.origin)).or_default().insert((active.labels, active.state), true);
    }
    for transition in transitions {
        let series = resources.entry(resource(&transition.origin)).or_default();
        for (state, on) in [(transition.previous, false), (transition.state, true)] {
            if state.is_active() {
                series.insert((&transition.labels, state), on);
            }
        }
    }
    let mut built = MetricsBuilder::new();
    for (resource, series) in resources {
        let resource = resource.attributes();
        let mut to = built.resource(resource);
        let mut scope = to.scope(SCOPE, VERSION);
        let mut alerts = scope.gauge("ALERTS", "", "Alerts that are pending or firing.");
        for ((labels, state), on) in series {
            let mut point = alerts.point(now);
            for (name, value) in labels.iter() {
                // What the resource says already is not said twice.
                let known = resource.get(name).ok().flatten().and_then(|known| known.to_text().ok());
                if known.as_deref() != Some(value) {
                    point.attribute(name, value);
                }
            }
            point.attribute("alertstate", state.as_str());
            if on {
                point.int(1)
            } else {
                point.no_recorded_value()
            };
        }
    }
    let items = built.items();
    (items > 0).then(|| Part::created(built.finish(), items))
}

/// One log record a transition.
pub(super) fn events(transitions: &[Transition], now: u64) -> Option<Part> {
    let mut built = LogsBuilder::new();
    for transition in transitions {
        let resource = Resource::from_bytes(Arc::clone(&transition.origin));
        let mut to = built.resource(resource.attributes());
        let mut scope = to.scope(SCOPE, VERSION);
        let mut record = scope.record(now);
        let name = transition.labels.get("alertname").unwrap_or_default();
        let (number, severity) = match (transition.state, transition.severity) {
            (State::Firing, Severity::Critical) => (17, "ERROR"),
            (State::Firing, Severity::Warning) => (13, "WARN"),
            _ => (9, "INFO"),
        };
        let annotations = &transition.annotations;
        let body = match annotations.get("summary").or(annotations.get("description")) {
            Some(text) => format!("{name} {}: {text}", transition.state),
            None => format!("{name} {}", transition.state),
        };
        record
            .time(transition.at)
            .event_name("alert.transition")
            .severity(number, severity)
            .body(body)
            .attribute("alert.name", name)
            .attribute("alert.severity", transition.severity.as_str())
            .attribute("alert.state", transition.state.as_str())
            .attribute("alert.previous_state", transition.previous.as_str())
            .attribute("alert.cause", transition.cause.as_str())
            .attribute("alert.value", transition.value)
            .attribute("alert.fingerprint", format!("{:016x}", transition.fingerprint))
            .attribute("alert.labels", map(&transition.labels))
            .attribute("alert.annotations", map(annotations));
    }
    let items = built.items();
    (items > 0).then(|| Part::created(built.finish(), items))
}

fn map(labels: &Labels) -> AnyValue {
    AnyValue::KvList(
        labels.iter().map(|(name, value)| (name.to_owned(), AnyValue::Str(value.to_owned()))).collect(),
    )
}
