//! How many of what are in a request.

use std::fmt;

use streamgauge_component::{Request, Signal};
use streamgauge_pdata::view::{LogsView, MetricsView, TracesView};

pub(super) struct Counts {
    signal: Signal,
    pub resources: usize,
    /// Only of the metrics signal.
    pub metrics: usize,
    items: usize,
}

impl Counts {
    pub fn of(request: &Request) -> Self {
        let mut counts = Self { signal: request.signal, resources: 0, metrics: 0, items: request.items };
        for part in &request.parts {
            match request.signal {
                Signal::Traces => counts.resources += TracesView::new(part).resources().count(),
                Signal::Logs => counts.resources += LogsView::new(part).resources().count(),
                Signal::Metrics => {
                    for resource in MetricsView::new(part).resources() {
                        counts.resources += 1;
                        let scopes = resource.into_iter().flat_map(|r| r.scopes()).flatten();
                        counts.metrics += scopes.map(|scope| scope.records().count()).sum::<usize>();
                    }
                }
            }
        }
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resources, metrics, items, .. } = self;
        match self.signal {
            Signal::Traces => write!(f, "Traces: {resources} resources, {items} spans"),
            Signal::Logs => write!(f, "Logs: {resources} resources, {items} log records"),
            Signal::Metrics => {
                write!(f, "Metrics: {resources} resources, {metrics} metrics, {items} data points")
            }
        }
    }
}
