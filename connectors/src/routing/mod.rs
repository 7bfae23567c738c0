//! Connector `routing`: each resource, or each request, to the pipelines that the table says.
//!
//! The routes of the table are asked in order. A request whose resources go different ways is divided between them; the
//! records stay as they came, in the bytes they came in, and a request that goes one way passes as it is.
//!
//! Data passes with its acks: the sender hears of a divided request when all its shares have come to something. What no
//! route takes and no default pipeline is dropped and counted.

mod condition;
mod config;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ComponentError, ConfigType, ConnectorFactory, Context, Create, Description, Out, Part, Processor,
    Reason, Signal, Stability,
};
use streamgauge_pdata::divide;
use streamgauge_pdata::edit::{ResourceHeader, Unread};

use condition::{Condition, Seen};
pub use config::{Action, ErrorMode, RouteConfig, RouteContext, RoutingConfig};

/// What the command line registers.
pub static FACTORY: ConnectorFactory = ConnectorFactory {
    description: Description {
        name: "routing",
        aliases: &[],
        summary: "Leads each resource or request into the pipelines that a table says.",
        signals: &Signal::ALL,
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    signals: &[
        (Signal::Traces, Signal::Traces),
        (Signal::Metrics, Signal::Metrics),
        (Signal::Logs, Signal::Logs),
    ],
    config: ConfigType::of::<RoutingConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<RoutingConfig>()?;
    let rule = |route: &RouteConfig| {
        let condition = route.read().map_err(|(_, text)| ComponentError(text))?;
        let by_request = route.context == RouteContext::Request;
        Ok(Rule { condition, by_request, copies: route.action == Action::Copy })
    };
    let rules = config.table.iter().map(rule).collect::<Result<Vec<_>, ComponentError>>()?;
    let id = create.host.id().clone();
    let has_default = !config.default_pipelines.is_empty();
    Ok(Arc::new(Routing { id, rules, has_default, error_mode: config.error_mode }))
}

struct Routing {
    id: Arc<str>,
    rules: Vec<Rule>,
    has_default: bool,
    error_mode: ErrorMode,
}

/// A row of the table.
struct Rule {
    condition: Condition,
    by_request: bool,
    copies: bool,
}

impl Processor for Routing {
    fn process(&self, mut batch: Batch, out: &mut Out) {
        let mut lanes: Vec<Vec<Part>> = (0..=self.unreadable()).map(|_| Vec::new()).collect();
        let sorter = Sorter::new(self, &batch.context);
        for part in std::mem::take(&mut batch.parts) {
            let shares = divide(batch.signal, &part.bytes, part.items, |resource, places| {
                sorter.sort(resource, places);
            });
            match shares {
                Ok(shares) if shares.is_empty() => out.drop_part(part, Reason::Filtered),
                Ok(shares) => {
                    let acks = part.ack.split(shares.len());
                    for (share, ack) in shares.into_iter().zip(acks) {
                        let part = Part { bytes: share.bytes, items: share.items, ack };
                        if let Some(lane) = lanes.get_mut(share.place) {
                            lane.push(part);
                        }
                    }
                }
                Err(error) => out.reject(part, Reason::Malformed, error.to_string()),
            }
        }
        for (place, parts) in lanes.into_iter().enumerate().filter(|(_, parts)| !parts.is_empty()) {
            if place == self.unreadable() {
                parts.into_iter().for_each(|part| out.reject(part, Reason::Malformed, UNREADABLE));
            } else if place == self.default() && !self.has_default {
                parts.into_iter().for_each(|part| out.drop_part(part, Reason::Filtered));
            } else {
                out.send_by(place, Batch { signal: batch.signal, context: batch.context.clone(), parts });
            }
        }
    }
}

const UNREADABLE: &str = "the attributes of a resource are malformed: it has no route";

impl Routing {
    /// The place of what no row of the table has taken; the rows are the places before it.
    fn default(&self) -> usize {
        self.rules.len()
    }

    /// The place of what is rejected.
    fn unreadable(&self) -> usize {
        self.rules.len() + 1
    }
}

/// The table at work on one request.
struct Sorter<'r> {
    routing: &'r Routing,
    context: &'r Context,
}

impl<'r> Sorter<'r> {
    fn new(routing: &'r Routing, context: &'r Context) -> Self {
        Sorter { routing, context }
    }

    /// Where a resource goes.
    fn sort(&self, resource: Unread<'_, ResourceHeader<'_>>, places: &mut Vec<usize>) {
        let resource = resource.read();
        for (number, rule) in self.routing.rules.iter().enumerate() {
            let seen = match (&resource, rule.by_request) {
                (_, true) => Ok(rule.condition.holds(&Seen::Request(self.context))),
                (Ok(resource), false) => Ok(rule.condition.holds(&Seen::Resource(resource.attributes()))),
                (Err(error), false) => Err(error.clone()),
            };
            match seen.and_then(|holds| holds) {
                Ok(false) => {}
                Ok(true) => {
                    places.push(number);
                    if !rule.copies {
                        return;
                    }
                }
                Err(error) => {
                    places.push(self.unread(&error.to_string()));
                    return;
                }
            }
        }
        places.push(self.routing.default());
    }

    fn unread(&self, why: &str) -> usize {
        let id = &*self.routing.id;
        match self.routing.error_mode {
            ErrorMode::Propagate => return self.routing.unreadable(),
            ErrorMode::Ignore => tracing::warn!(id, "a resource goes to the default pipelines: {why}"),
            ErrorMode::Silent => {}
        }
        self.routing.default()
    }
}
