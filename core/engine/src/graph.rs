//! Builds the nodes and the outlets between them, against the flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge_component::{
    ComponentError, Consumer, Create, Exporter, ExporterFactory, Extension, ExtensionFactory, Host, Kind,
    Outlet, Outlets, Receiver, ReceiverFactory, Signal, edge_name,
};
use streamgauge_delivery::Delivery;

use crate::fanout::FanOut;
use crate::keeper::{Keeper, Recipe};
use crate::plan::{Pipeline, Plan, Planned};
use crate::processor_node::{Make, ProcessorNode};

/// Everything made, nothing started but the nodes' own tasks.
pub(crate) struct Graph {
    pub(crate) extensions: Vec<Kept<dyn Extension>>,
    pub(crate) exporters: Vec<Kept<dyn Exporter>>,
    pub(crate) deliveries: Vec<Arc<Delivery>>,
    /// Processors and connectors, in the order of the flow.
    pub(crate) nodes: Vec<Arc<ProcessorNode>>,
    pub(crate) receivers: Vec<Kept<dyn Receiver>>,
}

/// A keeper with the instance that it starts first.
pub(crate) struct Kept<T: ?Sized + Send + Sync + 'static> {
    pub(crate) keeper: Arc<Keeper<T>>,
    pub(crate) first: Arc<T>,
}

/// Where an edge may lead: the name of the far end, and the far end.
#[derive(Clone)]
struct Target {
    name: String,
    consumer: Arc<dyn Consumer>,
}

const FANOUT: &str = "fanout";

struct Builder<'a> {
    plan: &'a Plan,
    host: &'a Host,
    exporters: BTreeMap<(Arc<str>, Signal), Target>,
    heads: BTreeMap<Arc<str>, Target>,
    connectors: BTreeMap<Arc<str>, Arc<ProcessorNode>>,
    /// Against the flow.
    nodes: Vec<Arc<ProcessorNode>>,
}

impl Graph {
    /// Makes everything that the plan names. Fails when a component cannot be made of its configuration.
    pub(crate) fn build(plan: &Plan, host: &Host) -> Result<Graph, ComponentError> {
        let extensions = plan.extensions.iter().map(|p| extension(p, host)).collect::<Result<_, _>>()?;
        let mut exporters = Vec::new();
        let mut deliveries = Vec::new();
        let mut targets = BTreeMap::new();
        for planned in &plan.exporters {
            let (kept, queues) = exporter(planned, plan, host)?;
            for (signal, delivery) in queues {
                let name = edge_name(Kind::Exporter, &planned.id);
                targets.insert((planned.id.clone(), signal), Target { name, consumer: delivery.clone() });
                deliveries.push(delivery);
            }
            exporters.push(kept);
        }
        let mut builder = Builder {
            plan,
            host,
            exporters: targets,
            heads: BTreeMap::new(),
            connectors: BTreeMap::new(),
            nodes: Vec::new(),
        };
        for pipeline in &plan.pipelines {
            builder.head(pipeline)?;
        }
        let mut receivers = Vec::new();
        for planned in &plan.receivers {
            let outlets = builder.outlets(Kind::Receiver, &planned.id)?;
            receivers.push(receiver(planned, outlets, host)?);
        }
        let mut nodes = builder.nodes;
        nodes.reverse();
        Ok(Graph { extensions, exporters, deliveries, nodes, receivers })
    }
}

impl Builder<'_> {
    /// The first node of a pipeline; builds the pipeline and what it leads into when it is new.
    fn head(&mut self, pipeline: &Pipeline) -> Result<Target, ComponentError> {
        if let Some(head) = self.heads.get(&pipeline.id) {
            return Ok(head.clone());
        }
        let mut targets = Vec::new();
        for id in &pipeline.exporters {
            match self.exporters.get(&(id.clone(), pipeline.signal)) {
                Some(target) => targets.push(target.clone()),
                None => targets
                    .push(Target { name: edge_name(Kind::Connector, id), consumer: self.connector(id)? }),
            }
        }
        for id in pipeline.processors.iter().rev() {
            let from = edge_name(Kind::Processor, id);
            let outlets = Outlets::new(vec![(pipeline.signal, self.outlet(pipeline, &from, targets))]);
            let planned = find(&self.plan.processors, id)?;
            let host = self.host.for_component(Kind::Processor, id);
            let node = host.registry().node(&pipeline.id, id, Kind::Processor, pipeline.signal);
            let make = make(planned.factory.create, planned, host.clone(), vec![pipeline.signal]);
            let node = ProcessorNode::start(make, outlets, host, vec![node]).map_err(|error| {
                ComponentError(format!(
                    "failed to create {:?} processor, in pipeline {:?}: {error}",
                    &**id, &*pipeline.id
                ))
            })?;
            self.nodes.push(node.clone());
            targets = vec![Target { name: from, consumer: node }];
        }
        let head = match targets.len() {
            1 => targets.remove(0),
            _ => self.fan_out(&pipeline.id, pipeline.signal, targets),
        };
        self.heads.insert(pipeline.id.clone(), head.clone());
        Ok(head)
    }

    fn connector(&mut self, id: &Arc<str>) -> Result<Arc<dyn Consumer>, ComponentError> {
        if let Some(made) = self.connectors.get(id) {
            return Ok(made.clone());
        }
        let outlets = self.outlets(Kind::Connector, id)?;
        let planned = find(&self.plan.connectors, id)?;
        let host = self.host.for_component(Kind::Connector, id);
        // The ledgers of what comes in stand first.
        let feeds = |signal: &Signal| {
            self.plan.pipelines.iter().any(|p| p.signal == *signal && p.exporters.contains(id))
        };
        let mut signals: Vec<Signal> = Signal::ALL.into_iter().filter(feeds).collect();
        signals.extend(outlets.signals().filter(|s| !feeds(s)));
        let nodes = signals.iter().map(|s| host.node(*s)).collect();
        let make = make(planned.factory.create, planned, host.clone(), outlets.signals().collect());
        let node = ProcessorNode::start(make, outlets, host, nodes)
            .map_err(|error| ComponentError(format!("failed to create {:?} connector: {error}", &**id)))?;
        self.nodes.push(node.clone());
        self.connectors.insert(id.clone(), node.clone());
        Ok(node)
    }

    /// The outlets of a receiver or connector: one a signal, into every pipeline that takes from it.
    fn outlets(&mut self, kind: Kind, id: &Arc<str>) -> Result<Outlets, ComponentError> {
        let plan = self.plan;
        let from = edge_name(kind, id);
        let mut outlets = Vec::new();
        for signal in Signal::ALL {
            let takers: Vec<&Pipeline> =
                plan.pipelines.iter().filter(|p| p.signal == signal && p.receivers.contains(id)).collect();
            let outlet = match takers.as_slice() {
                [] => continue,
                [only] => {
                    let head = self.head(only)?;
                    self.edge(&only.id, &from, signal, head)
                }
                several => {
                    let mut branches = Vec::new();
                    for pipeline in several {
                        let head = self.head(pipeline)?;
                        branches.push(self.edge(&pipeline.id, FANOUT, signal, head));
                    }
                    let fan = Target { name: FANOUT.to_owned(), consumer: Arc::new(FanOut(branches)) };
                    self.edge("", &from, signal, fan)
                }
            };
            outlets.push((signal, outlet));
        }
        Ok(Outlets::new(outlets))
    }

    fn outlet(&self, pipeline: &Pipeline, from: &str, mut targets: Vec<Target>) -> Outlet {
        let target = match targets.len() {
            1 => targets.remove(0),
            _ => self.fan_out(&pipeline.id, pipeline.signal, targets),
        };
        self.edge(&pipeline.id, from, pipeline.signal, target)
    }

    fn fan_out(&self, pipeline: &str, signal: Signal, targets: Vec<Target>) -> Target {
        let branches = targets.into_iter().map(|t| self.edge(pipeline, FANOUT, signal, t)).collect();
        Target { name: FANOUT.to_owned(), consumer: Arc::new(FanOut(branches)) }
    }

    fn edge(&self, pipeline: &str, from: &str, signal: Signal, target: Target) -> Outlet {
        Outlet::new(self.host.registry().edge(pipeline, from, &target.name, signal), target.consumer)
    }
}

fn find<'a, F>(planned: &'a [Planned<F>], id: &str) -> Result<&'a Planned<F>, ComponentError> {
    let found = planned.iter().find(|p| *p.id == *id);
    found.ok_or_else(|| ComponentError(format!("{id:?} is not configured")))
}

/// A closure that makes instances, again and again, of one configuration.
fn make<F>(
    create: fn(Create) -> Result<Arc<dyn streamgauge_component::Processor>, ComponentError>,
    planned: &Planned<F>,
    host: Host,
    signals: Vec<Signal>,
) -> Make {
    let config = planned.config.clone();
    Box::new(move || create(Create { host: host.clone(), config: config.clone(), signals: signals.clone() }))
}

fn receiver(
    planned: &Planned<ReceiverFactory>,
    outlets: Outlets,
    host: &Host,
) -> Result<Kept<dyn Receiver>, ComponentError> {
    let host = host.for_component(Kind::Receiver, &planned.id);
    let (create, config) = (planned.factory.create, planned.config.clone());
    let signals: Vec<Signal> = outlets.signals().collect();
    let for_make = host.clone();
    let for_start = host.clone();
    for signal in &signals {
        host.node(*signal); // its line of the ledger stands from the start
    }
    let recipe: Recipe<dyn Receiver> = Recipe {
        make: Box::new(move || {
            create(Create { host: for_make.clone(), config: config.clone(), signals: signals.clone() })
        }),
        start: Box::new(move |receiver| {
            let (host, outlets) = (for_start.clone(), outlets.clone());
            Box::pin(async move { receiver.start(host, outlets).await })
        }),
    };
    kept(recipe, host)
}

fn extension(
    planned: &Planned<ExtensionFactory>,
    host: &Host,
) -> Result<Kept<dyn Extension>, ComponentError> {
    let host = host.for_component(Kind::Extension, &planned.id);
    let (create, config) = (planned.factory.create, planned.config.clone());
    let for_make = host.clone();
    let for_start = host.clone();
    let recipe: Recipe<dyn Extension> = Recipe {
        make: Box::new(move || {
            create(Create { host: for_make.clone(), config: config.clone(), signals: Vec::new() })
        }),
        start: Box::new(move |extension| {
            let host = for_start.clone();
            Box::pin(async move {
                extension.start(host.clone()).await?;
                host.offer(&extension);
                Ok(())
            })
        }),
    };
    kept(recipe, host)
}

type Queues = Vec<(Signal, Arc<Delivery>)>;

fn exporter(
    planned: &Planned<ExporterFactory>,
    plan: &Plan,
    host: &Host,
) -> Result<(Kept<dyn Exporter>, Queues), ComponentError> {
    let host = host.for_component(Kind::Exporter, &planned.id);
    let used = |signal: &Signal| {
        plan.pipelines.iter().any(|p| p.signal == *signal && p.exporters.contains(&planned.id))
    };
    let signals: Vec<Signal> = Signal::ALL.into_iter().filter(used).collect();
    let (create, config) = (planned.factory.create, planned.config.clone());
    let parts = create(Create { host: host.clone(), config: config.clone(), signals: signals.clone() })
        .map_err(|error| failed(&host, &error))?;
    let (for_make, for_start, for_create) = (host.clone(), host.clone(), signals.clone());
    let recipe: Recipe<dyn Exporter> = Recipe {
        make: Box::new(move || {
            let again =
                Create { host: for_make.clone(), config: config.clone(), signals: for_create.clone() };
            create(again).map(|parts| parts.exporter)
        }),
        start: Box::new(move |exporter| {
            let host = for_start.clone();
            Box::pin(async move { exporter.start(host).await })
        }),
    };
    let keeper = Keeper::new(recipe, host.clone());
    let queues = signals.into_iter().map(|signal| {
        let fallen = keeper.clone();
        let on_panic = Arc::new(move |message: &str| fallen.panicked(message));
        let node = host.node(signal);
        let delivery =
            Delivery::start(signal, parts.delivery.clone(), keeper.watch(), on_panic, host.clone(), node);
        (signal, delivery)
    });
    let queues = queues.collect();
    Ok((Kept { keeper, first: parts.exporter }, queues))
}

fn kept<T: ?Sized + Send + Sync + 'static>(recipe: Recipe<T>, host: Host) -> Result<Kept<T>, ComponentError> {
    let first = (recipe.make)().map_err(|error| failed(&host, &error))?;
    Ok(Kept { keeper: Keeper::new(recipe, host), first })
}

fn failed(host: &Host, error: &ComponentError) -> ComponentError {
    ComponentError(format!("failed to create {:?} {}: {error}", &**host.id(), host.kind().as_str()))
}
