//! Builds the nodes and the outlets between them, against the flow; of a running graph it keeps every instance that it can.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use streamgauge_component::{
    ComponentError, Consumer, Create, Extension, Host, Kind, Node, Outlet, Outlets, Processor, Signal,
    edge_name,
};
use streamgauge_delivery::Delivery;

use crate::dead_letters::Aside;
use crate::fanout::FanOut;
use crate::instances::{self, Kept, KeptExporter, KeptReceiver, Maker};
use crate::origin::{Generation, Origin, mentions};
use crate::plan::{Pipeline, Plan, Planned};
use crate::processor_node::{Make, ProcessorNode};
use crate::supervisor::Supervisor;

/// Everything made, nothing started but the nodes' own tasks.
#[derive(Default)]
pub(crate) struct Graph {
    /// How many graphs were built before this one.
    build: u64,
    pub(crate) pipelines: Vec<Arc<str>>,
    pub(crate) extensions: Vec<Kept<dyn Extension>>,
    generations: Vec<Generation>,
    pub(crate) exporters: Vec<KeptExporter>,
    /// Processors and connectors, in the order of the flow.
    pub(crate) nodes: Vec<KeptNode>,
    pub(crate) receivers: Vec<KeptReceiver>,
}

/// A processor of a pipeline, or a connector.
pub(crate) struct KeptNode {
    /// Empty for a connector.
    pub(crate) pipeline: Arc<str>,
    pub(crate) node: Arc<ProcessorNode>,
    origin: Origin,
    /// Where its outlets are to lead, when the instance stays.
    pub(crate) turn: Option<Outlets>,
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
    maker: Maker<'a>,
    old: &'a Graph,
    exporters: BTreeMap<(Arc<str>, Signal), Target>,
    heads: BTreeMap<Arc<str>, Target>,
    connectors: BTreeMap<Arc<str>, Arc<ProcessorNode>>,
    /// Against the flow.
    nodes: &'a mut Vec<KeptNode>,
}

impl Graph {
    /// Makes everything that the plan names and that does not run in `old` just so. Fails when a component cannot be made
    /// of its configuration; nothing is left of it then.
    pub(crate) fn build(
        plan: &Plan,
        host: &Host,
        supervisor: &Arc<Supervisor>,
        old: &Graph,
    ) -> Result<Graph, ComponentError> {
        let mut graph = Graph { build: old.build + 1, ..Graph::default() };
        match graph.fill(plan, host, supervisor, old) {
            Ok(()) => Ok(graph),
            Err(error) => {
                graph.nodes_beside(old).iter().for_each(|node| node.stop());
                graph.queues_beside(old).iter().for_each(|queue| queue.close());
                Err(error)
            }
        }
    }

    fn fill(
        &mut self,
        plan: &Plan,
        host: &Host,
        supervisor: &Arc<Supervisor>,
        old: &Graph,
    ) -> Result<(), ComponentError> {
        self.pipelines = plan.pipelines.iter().map(|p| p.id.clone()).collect();
        self.generations = generations(plan, old, self.build);
        let maker = Maker { host, supervisor, extensions: &self.generations };
        for planned in &plan.extensions {
            let before = instances::find(&old.extensions, &planned.id);
            self.extensions.push(instances::extension(planned, maker, before)?);
        }
        let mut targets = BTreeMap::new();
        for planned in &plan.exporters {
            let signals = plan.dead_letters.signals(plan, &planned.id);
            let before = old.exporters.iter().find(|e| *e.kept.id() == planned.id);
            let exporter = instances::exporter(planned, signals, maker, before)?;
            for (signal, queue) in &exporter.queues {
                let name = edge_name(Kind::Exporter, &planned.id);
                targets.insert((planned.id.clone(), *signal), Target { name, consumer: queue.clone() });
            }
            self.exporters.push(exporter);
        }
        for exporter in &mut self.exporters {
            for aside in Aside::ALL {
                let Some(to) = plan.dead_letters.of(exporter.kept.id(), aside) else { continue };
                let from = edge_name(Kind::Exporter, exporter.kept.id());
                let lead = |signal: Signal| {
                    let target: &Target = targets.get(&(to.clone(), signal))?;
                    let edge = host.registry().edge("", &from, &target.name, signal);
                    Some((signal, Outlet::new(edge, target.consumer.clone())))
                };
                let leads = exporter.queues.iter().filter_map(|(signal, _)| lead(*signal)).collect();
                exporter.asides.lead(aside, Outlets::new(leads));
            }
        }
        let mut builder = Builder {
            plan,
            maker,
            old,
            exporters: targets,
            heads: BTreeMap::new(),
            connectors: BTreeMap::new(),
            nodes: &mut self.nodes,
        };
        for pipeline in &plan.pipelines {
            builder.head(pipeline)?;
        }
        for planned in &plan.receivers {
            let outlets = Outlets::new(builder.outlets(Kind::Receiver, &planned.id, |_| true)?);
            let before = old.receivers.iter().find(|r| *r.kept.id() == planned.id);
            self.receivers.push(instances::receiver(planned, outlets, maker, before)?);
        }
        self.nodes.reverse();
        Ok(())
    }

    /// The nodes that the other graph has not, in the order of the flow.
    pub(crate) fn nodes_beside(&self, other: &Graph) -> Vec<Arc<ProcessorNode>> {
        let shared = |node: &Arc<ProcessorNode>| other.nodes.iter().any(|o| Arc::ptr_eq(&o.node, node));
        self.nodes.iter().map(|n| n.node.clone()).filter(|node| !shared(node)).collect()
    }

    /// The queues that the other graph has not.
    pub(crate) fn queues_beside(&self, other: &Graph) -> Vec<Arc<Delivery>> {
        let all = |graph: &Graph| -> Vec<Arc<Delivery>> {
            graph.exporters.iter().flat_map(|e| e.queues.iter().map(|(_, queue)| queue.clone())).collect()
        };
        let others = all(other);
        all(self).into_iter().filter(|queue| !others.iter().any(|o| Arc::ptr_eq(o, queue))).collect()
    }

    /// The components in it.
    pub(crate) fn members(&self) -> BTreeSet<(Kind, Arc<str>)> {
        let hosts = self.extensions.iter().map(|e| e.keeper.host());
        let hosts = hosts.chain(self.exporters.iter().map(|e| e.kept.keeper.host()));
        let hosts = hosts.chain(self.receivers.iter().map(|r| r.kept.keeper.host()));
        let hosts = hosts.chain(self.nodes.iter().map(|n| n.node.host()));
        hosts.map(|host| (host.kind(), host.id().clone())).collect()
    }

    pub(crate) fn node(&self, pipeline: &str, kind: Kind, id: &str) -> Option<&KeptNode> {
        let this =
            |n: &&KeptNode| *n.pipeline == *pipeline && n.node.host().kind() == kind && **n.node.id() == *id;
        self.nodes.iter().find(this)
    }
}

/// Which instance of each extension will run: the present one, unless its section changed, or one that it names is another.
fn generations(plan: &Plan, old: &Graph, build: u64) -> Vec<Generation> {
    let present = |id: &str| old.generations.iter().find(|g| *g.id == *id);
    let mut all: Vec<Generation> = plan
        .extensions
        .iter()
        .map(|p| {
            let same =
                instances::find(&old.extensions, &p.id).is_some_and(|old| old.origin.is_of(&p.section));
            let build = present(&p.id).filter(|_| same).map_or(build, |g| g.build);
            Generation { id: p.id.clone(), build }
        })
        .collect();
    loop {
        let fresh: Vec<Arc<str>> = all.iter().filter(|g| g.build == build).map(|g| g.id.clone()).collect();
        let mut moved = false;
        for (planned, generation) in plan.extensions.iter().zip(&mut all) {
            if generation.build != build && fresh.iter().any(|id| mentions(planned.section.node(), id)) {
                generation.build = build;
                moved = true;
            }
        }
        if !moved {
            return all;
        }
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
            let signals = vec![pipeline.signal];
            let origin = Origin::new(&planned.section, &signals, self.maker.extensions);
            let host = self.maker.host.for_component(Kind::Processor, id);
            let line = host.registry().node(&pipeline.id, id, Kind::Processor, pipeline.signal);
            let make = make(planned.factory.create, planned, host.clone(), signals);
            let node = self.node(&pipeline.id, origin, outlets, host, make, vec![line]).map_err(|error| {
                ComponentError(format!(
                    "failed to create {:?} processor, in pipeline {:?}: {error}",
                    &**id, &*pipeline.id
                ))
            })?;
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
        let planned = find(&self.plan.connectors, id)?;
        let outlets = match &(planned.factory.config.routes)(&planned.config)[..] {
            [] => Outlets::new(self.outlets(Kind::Connector, id, |_| true)?),
            routes => {
                let mut outlets = Vec::new();
                for (number, route) in routes.iter().enumerate() {
                    let into = |pipeline: &Pipeline| route.leads_into(&pipeline.id);
                    let found = self.outlets(Kind::Connector, id, into)?;
                    outlets.extend(found.into_iter().map(|(signal, outlet)| (number, signal, outlet)));
                }
                Outlets::by_route(outlets)
            }
        };
        let host = self.maker.host.for_component(Kind::Connector, id);
        // The ledgers of what comes in stand first.
        let feeds = |signal: &Signal| {
            self.plan.pipelines.iter().any(|p| p.signal == *signal && p.exporters.contains(id))
        };
        let mut signals: Vec<Signal> = Signal::ALL.into_iter().filter(feeds).collect();
        signals.extend(outlets.signals().filter(|s| !feeds(s)));
        let lines = signals.iter().map(|s| host.node(*s)).collect();
        let leads: Vec<Signal> = outlets.signals().collect();
        let origin = Origin::new(&planned.section, &[&signals[..], &leads].concat(), self.maker.extensions);
        let make = make(planned.factory.create, planned, host.clone(), leads);
        let node = self
            .node("", origin, outlets, host, make, lines)
            .map_err(|error| ComponentError(format!("failed to create {:?} connector: {error}", &**id)))?;
        self.connectors.insert(id.clone(), node.clone());
        Ok(node)
    }

    /// The running node where it was made of the same, else a fresh one.
    fn node(
        &mut self,
        pipeline: &str,
        origin: Origin,
        outlets: Outlets,
        host: Host,
        make: Make,
        lines: Vec<Arc<Node>>,
    ) -> Result<Arc<ProcessorNode>, ComponentError> {
        let old = self.old.node(pipeline, host.kind(), host.id()).filter(|old| old.origin == origin);
        let (node, turn) = match old {
            Some(old) => (old.node.clone(), Some(outlets)),
            None => (ProcessorNode::start(make, outlets, host, lines, self.maker.supervisor.clone())?, None),
        };
        self.nodes.push(KeptNode { pipeline: pipeline.into(), node: node.clone(), origin, turn });
        Ok(node)
    }

    /// The outlets of a receiver, connector or route of one: one a signal, into every pipeline that takes from it.
    fn outlets(
        &mut self,
        kind: Kind,
        id: &Arc<str>,
        into: impl Fn(&Pipeline) -> bool,
    ) -> Result<Vec<(Signal, Outlet)>, ComponentError> {
        let plan = self.plan;
        let from = edge_name(kind, id);
        let mut outlets = Vec::new();
        for signal in Signal::ALL {
            let takes = |p: &&Pipeline| p.signal == signal && p.receivers.contains(id) && into(p);
            let takers: Vec<&Pipeline> = plan.pipelines.iter().filter(takes).collect();
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
        Ok(outlets)
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
        Outlet::new(self.maker.host.registry().edge(pipeline, from, &target.name, signal), target.consumer)
    }
}

fn find<'a, F>(planned: &'a [Planned<F>], id: &str) -> Result<&'a Planned<F>, ComponentError> {
    let found = planned.iter().find(|p| *p.id == *id);
    found.ok_or_else(|| ComponentError(format!("{id:?} is not configured")))
}

/// A closure that makes instances, again and again, of one configuration.
fn make<F>(
    create: fn(Create) -> Result<Arc<dyn Processor>, ComponentError>,
    planned: &Planned<F>,
    host: Host,
    signals: Vec<Signal>,
) -> Make {
    let config = planned.config.clone();
    Box::new(move || create(Create { host: host.clone(), config: config.clone(), signals: signals.clone() }))
}
