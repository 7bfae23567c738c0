//! Connectors that choose among their pipelines name them in their sections.

use streamgauge_component::Signal;
use streamgauge_config::Diagnostics;

use crate::plan::Plan;

/// Every pipeline of a route must take from the connector, and every route must have one for each signal that comes in.
pub(crate) fn check(plan: &Plan, errors: &mut Diagnostics) {
    for connector in &plan.connectors {
        let feeds = |signal: &Signal| {
            plan.pipelines.iter().any(|p| p.signal == *signal && p.exporters.contains(&connector.id))
        };
        let signals: Vec<Signal> = Signal::ALL.into_iter().filter(feeds).collect();
        for route in (connector.factory.config.routes)(&connector.config) {
            let path: Vec<&str> = route.path.split("::").collect();
            let wrong: Vec<String> =
                route.pipelines.iter().filter_map(|id| wrong(plan, &connector.id, id)).collect();
            let lacks = |signal: &&Signal| {
                !plan.pipelines.iter().any(|p| p.signal == **signal && route.leads_into(&p.id))
            };
            let lacking = signals.iter().filter(|_| wrong.is_empty()).filter(lacks);
            let lacking =
                lacking.map(|signal| format!("has no pipeline for the {} that come in", signal.name()));
            for text in wrong.iter().cloned().chain(lacking) {
                errors.push(connector.section.invalid_at(&path, text));
            }
        }
    }
}

/// What is wrong with a pipeline that a route of this connector names.
fn wrong(plan: &Plan, connector: &str, id: &str) -> Option<String> {
    match plan.pipelines.iter().find(|p| *p.id == *id.trim()) {
        None => Some(format!("references pipeline {id:?} which is not configured")),
        Some(p) if !p.receivers.iter().any(|r| **r == *connector) => Some(format!(
            "references pipeline {id:?} which does not take from this connector: name {connector:?} in its receivers"
        )),
        Some(_) => None,
    }
}
