//! The own metrics as families: the counters' names, once, for the scrape and the push alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge_component::{
    InstrumentKind, Kind, Node, Reason, Registry, Signal, StatusBoard, abandoned_acks, edge_name,
};

use crate::config::MetricsLevel;
use crate::process::Process;

/// Attribute keys and values.
pub(crate) type Attributes = Vec<(&'static str, String)>;

/// A metric with all its points.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub unit: &'static str,
    pub help: &'static str,
    pub counter: bool,
    pub points: Vec<(Attributes, f64)>,
}

/// All metrics by name.
pub(crate) type Families = BTreeMap<String, Family>;

/// Where the numbers come from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    registry: Arc<Registry>,
    board: Arc<StatusBoard>,
    level: MetricsLevel,
}

impl Source {
    pub fn new(registry: Arc<Registry>, board: Arc<StatusBoard>, level: MetricsLevel) -> Self {
        Process::look(); // the first look starts the clock of the uptime
        Self { registry, board, level }
    }

    /// Reads every counter now.
    pub fn read(&self) -> Families {
        let mut out = Collect(Families::new());
        out.process();
        out.collectors_names(&self.registry);
        if self.level >= MetricsLevel::Normal {
            out.ledger(&self.registry);
            out.instruments(&self.registry);
            out.states(&self.board);
        }
        if self.level >= MetricsLevel::Detailed {
            out.edges(&self.registry);
        }
        out.0
    }
}

struct Collect(Families);

impl Collect {
    fn point(
        &mut self,
        (name, unit, help): (&str, &'static str, &'static str),
        counter: bool,
        attributes: Attributes,
        value: f64,
    ) {
        let make = || Family { unit, help, counter, points: Vec::new() };
        let family = match self.0.get_mut(name) {
            Some(family) => family,
            None => self.0.entry(name.to_owned()).or_insert_with(make),
        };
        family.points.push((attributes, value));
    }

    fn counter(&mut self, name: (&str, &'static str, &'static str), attributes: Attributes, value: u64) {
        self.point(name, true, attributes, value as f64);
    }

    fn gauge(&mut self, name: (&str, &'static str, &'static str), attributes: Attributes, value: u64) {
        self.point(name, false, attributes, value as f64);
    }

    fn process(&mut self) {
        let process = Process::look();
        let uptime = ("otelcol_process_uptime", "s", "Seconds since the collector started.");
        self.point(uptime, true, vec![], process.uptime_seconds);
        if let Some(seconds) = process.cpu_seconds {
            let cpu = ("otelcol_process_cpu_seconds", "s", "CPU seconds used, user and system.");
            self.point(cpu, true, vec![], seconds);
        }
        if let Some(bytes) = process.rss_bytes {
            let rss = ("otelcol_process_memory_rss", "By", "Resident memory.");
            self.gauge(rss, vec![], bytes);
        }
    }

    /// What dashboards written for the Collector ask for.
    fn collectors_names(&mut self, registry: &Registry) {
        let mut passed: BTreeMap<(&'static str, String, Signal), u64> = BTreeMap::new();
        for edge in registry.edges() {
            *passed.entry(("from", edge.from.to_string(), edge.signal)).or_default() += edge.items.get();
            *passed.entry(("to", edge.to.to_string(), edge.signal)).or_default() += edge.items.get();
        }
        let mut processors: BTreeMap<(String, Signal), ()> = BTreeMap::new();
        for node in registry.nodes() {
            let (items, unit) = words(node.signal);
            let id = node.component.to_string();
            let amount = |end| passed.get(&(end, node.edge_name(), node.signal)).copied().unwrap_or(0);
            match node.kind {
                Kind::Receiver => {
                    let name = format!("otelcol_receiver_accepted_{items}");
                    let help = "Items taken in and passed into the pipelines.";
                    self.counter((&name, unit, help), vec![("receiver", id.clone())], amount("from"));
                    let name = format!("otelcol_receiver_refused_{items}");
                    let help = "Items that were refused at the door.";
                    self.counter((&name, unit, help), vec![("receiver", id)], node.refused.total());
                }
                Kind::Processor => {
                    // One for all pipelines that the processor stands in, as edges name it.
                    processors.insert((id, node.signal), ());
                }
                Kind::Exporter => {
                    let enqueue_failed = returned(&node, Reason::QueueFull);
                    for (what, help, value) in [
                        ("sent", "Items that the peer took.", node.delivered.get()),
                        ("send_failed", "Items that were dropped here.", node.dropped.total()),
                        ("enqueue_failed", "Items that the queue had no room for.", enqueue_failed),
                    ] {
                        let name = format!("otelcol_exporter_{what}_{items}");
                        self.counter((&name, unit, help), vec![("exporter", id.clone())], value);
                    }
                }
                Kind::Connector | Kind::Extension => {}
            }
        }
        for ((id, signal), ()) in processors {
            let name = edge_name(Kind::Processor, &id);
            for (metric, end, help) in [
                ("otelcol_processor_incoming_items", "to", "Items that came to the processor."),
                ("otelcol_processor_outgoing_items", "from", "Items that left it."),
            ] {
                let attributes = vec![("processor", id.clone()), ("otel.signal", signal.name().to_owned())];
                let value = passed.get(&(end, name.clone(), signal)).copied().unwrap_or(0);
                self.counter((metric, "{item}", help), attributes, value);
            }
        }
    }

    /// in + created = out + held + delivered + dropped + returned, for every component.
    fn ledger(&mut self, registry: &Registry) {
        const ITEM: &str = "{item}";
        for node in registry.nodes() {
            let plain = || node_attributes(&node);
            let created = ("streamgauge.items.created", ITEM, "Items that the component made itself.");
            self.counter(created, plain(), node.created.get());
            let delivered = ("streamgauge.items.delivered", ITEM, "Items that ended well in the component.");
            self.counter(delivered, plain(), node.delivered.get());
            let items = ("streamgauge.held.items", ITEM, "Items inside the component now.");
            self.gauge(items, plain(), node.held_items.get());
            let bytes = ("streamgauge.held.bytes", "By", "Their encoded bytes.");
            self.gauge(bytes, plain(), node.held_bytes.get());
            for (name, help, counts) in [
                ("streamgauge.items.dropped", "Items that ended in the component for good.", &node.dropped),
                ("streamgauge.items.returned", "Items given back to their source.", &node.returned),
                ("streamgauge.items.refused", "Items refused at the door: never inside.", &node.refused),
            ] {
                for (reason, count) in counts.counts() {
                    let mut attributes = plain();
                    attributes.push(("reason", reason.as_str().to_owned()));
                    self.counter((name, ITEM, help), attributes, count);
                }
            }
        }
        let help = "Parts that nobody settled. Should be 0.";
        self.counter(("streamgauge.acks.abandoned", "{part}", help), vec![], abandoned_acks());
    }

    fn instruments(&mut self, registry: &Registry) {
        for i in registry.instruments() {
            let counter = i.kind == InstrumentKind::Counter;
            self.point((i.name, i.unit, i.help), counter, i.attributes.clone(), i.value.get() as f64);
        }
    }

    fn states(&mut self, board: &StatusBoard) {
        for status in board.components() {
            let attributes = vec![
                ("kind", status.kind.as_str().to_owned()),
                ("component", status.id),
                ("state", status.state.as_str().to_owned()),
            ];
            let help = "1 for the state that the component is in.";
            self.gauge(("streamgauge.component.state", "", help), attributes, 1);
        }
    }

    fn edges(&mut self, registry: &Registry) {
        for edge in registry.edges() {
            let attributes = || {
                vec![
                    ("pipeline", edge.pipeline.to_string()),
                    ("from", edge.from.to_string()),
                    ("to", edge.to.to_string()),
                    ("signal", edge.signal.name().to_owned()),
                ]
            };
            let items = ("streamgauge.edge.items", "{item}", "Items that passed.");
            self.counter(items, attributes(), edge.items.get());
            let bytes = ("streamgauge.edge.bytes", "By", "Their encoded bytes.");
            self.counter(bytes, attributes(), edge.bytes.get());
        }
    }
}

fn node_attributes(node: &Node) -> Attributes {
    vec![
        ("pipeline", node.pipeline.to_string()),
        ("kind", node.kind.as_str().to_owned()),
        ("component", node.component.to_string()),
        ("signal", node.signal.name().to_owned()),
    ]
}

fn returned(node: &Node, reason: Reason) -> u64 {
    node.returned.counts().find(|(r, _)| *r == reason).map_or(0, |(_, n)| n)
}

/// The Collector's words for items, and their unit.
fn words(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Traces => ("spans", "{span}"),
        Signal::Metrics => ("metric_points", "{datapoint}"),
        Signal::Logs => ("log_records", "{record}"),
    }
}

#[cfg(test)]
mod tests;
