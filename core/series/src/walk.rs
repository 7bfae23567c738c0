//! Walking a request to the metrics that matter.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{MetricView, ResourceView};

use crate::Identity;

/// What could not be read on a walk: it is left out, and the walk goes on behind it.
#[derive(Debug, Default)]
pub struct Unreadable {
    count: u64,
    first: Option<Malformed>,
}

impl Unreadable {
    /// The value, if it could be read.
    pub fn ok<T>(&mut self, read: Result<T, Malformed>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.count += 1;
                self.first.get_or_insert(error);
                None
            }
        }
    }

    /// How many records, points or attributes were left out.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What was wrong with the first.
    pub fn first(&self) -> Option<&Malformed> {
        self.first.as_ref()
    }
}

/// Visits the metrics of a resource for whose name `wanted` has something, with `identity` at each of them.
pub fn visit_metrics<'a, W>(
    resource: &ResourceView<'a, MetricView<'a>>,
    identity: &mut Identity,
    unreadable: &mut Unreadable,
    wanted: impl Fn(&str) -> Option<W>,
    mut visit: impl FnMut(&mut Identity, &mut Unreadable, MetricView<'a>, W),
) {
    let mut in_resource = false;
    for scope in resource.scopes() {
        let Some(scope) = unreadable.ok(scope) else { continue };
        let mut in_scope = false;
        for metric in scope.records() {
            let Some(metric) = unreadable.ok(metric) else { continue };
            let Some(found) = wanted(metric.name) else { continue };
            if !in_resource {
                if unreadable.ok(identity.resource(resource.attributes())).is_none() {
                    return;
                }
                in_resource = true;
            }
            if !in_scope {
                if unreadable.ok(identity.scope(scope.name, scope.version, scope.attributes())).is_none() {
                    break;
                }
                in_scope = true;
            }
            identity.metric(metric.name);
            visit(identity, unreadable, metric, found);
        }
    }
}
