//! Instances of receivers, exporters and extensions: the running one where nothing changed, else a fresh one.

use std::sync::Arc;

use streamgauge_component::{
    AnyConfig, Create, DeliverySettings, Exporter, ExporterFactory, Extension, ExtensionFactory, Host, Kind,
    Outlet, Outlets, Receiver, ReceiverFactory, Signal, edge_name,
};
use streamgauge_delivery::{DeadLetter, DeadLetterEdge, DeadLetterFile, Delivery, Elsewhere};

use crate::dead_letters::{Aside, NotYet};
use crate::keeper::{Fresh, Keeper, Recipe, not_made};
use crate::origin::{Generation, Origin};
use crate::plan::Planned;
use crate::supervisor::Supervisor;
use streamgauge_component::ComponentError;

/// What instances are made with.
#[derive(Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) host: &'a Host,
    pub(crate) supervisor: &'a Arc<Supervisor>,
    pub(crate) extensions: &'a [Generation],
}

/// The keeper of one id, and the instance that is to run when it is not the one that runs already.
pub(crate) struct Kept<T: ?Sized + Send + Sync + 'static> {
    pub(crate) keeper: Arc<Keeper<T>>,
    pub(crate) origin: Origin,
    pub(crate) fresh: Option<Fresh<T>>,
}

impl<T: ?Sized + Send + Sync + 'static> Kept<T> {
    pub(crate) fn id(&self) -> &Arc<str> {
        self.keeper.host().id()
    }

    /// The same, with nothing to be started.
    fn again(&self) -> Self {
        Kept { keeper: self.keeper.clone(), origin: self.origin.clone(), fresh: None }
    }

    /// A fresh instance behind the keeper of this id, if it has one.
    fn with(fresh: Fresh<T>, origin: Origin, host: Host, maker: Maker<'_>, old: Option<&Kept<T>>) -> Self {
        let keeper = match old {
            Some(old) => old.keeper.clone(),
            None => Keeper::new(fresh.recipe.clone(), host, maker.supervisor.clone()),
        };
        Kept { keeper, origin, fresh: Some(fresh) }
    }
}

pub(crate) fn find<'a, T: ?Sized + Send + Sync>(all: &'a [Kept<T>], id: &str) -> Option<&'a Kept<T>> {
    all.iter().find(|kept| **kept.id() == *id)
}

/// An extension. `build` numbers the graph that a fresh one belongs to.
pub(crate) fn extension(
    planned: &Planned<ExtensionFactory>,
    maker: Maker<'_>,
    old: Option<&Kept<dyn Extension>>,
) -> Result<Kept<dyn Extension>, ComponentError> {
    let origin = Origin::new(&planned.section, &[], maker.extensions);
    if let Some(old) = old.filter(|old| old.origin == origin) {
        return Ok(old.again());
    }
    let host = maker.host.for_component(Kind::Extension, &planned.id);
    let (create, config) = (planned.factory.create, planned.config.clone());
    let (for_make, for_start) = (host.clone(), host.clone());
    let recipe: Recipe<dyn Extension> = Recipe {
        make: Box::new(move || create(parameters(&for_make, &config, &[]))),
        start: Box::new(move |extension| {
            let host = for_start.clone();
            Box::pin(async move {
                extension.start(host.clone()).await?;
                host.offer(&extension);
                Ok(())
            })
        }),
        stop: |extension| Box::pin(async move { extension.shutdown().await }),
    };
    Ok(Kept::with(Fresh::make(recipe, &host)?, origin, host, maker, old))
}

/// A receiver with the outlets that its running or fresh instance sends by.
pub(crate) struct KeptReceiver {
    pub(crate) kept: Kept<dyn Receiver>,
    pub(crate) outlets: Outlets,
    /// Where the outlets are to lead, when the instance stays.
    pub(crate) turn: Option<Outlets>,
}

pub(crate) fn receiver(
    planned: &Planned<ReceiverFactory>,
    outlets: Outlets,
    maker: Maker<'_>,
    old: Option<&KeptReceiver>,
) -> Result<KeptReceiver, ComponentError> {
    let signals: Vec<Signal> = outlets.signals().collect();
    let origin = Origin::new(&planned.section, &signals, maker.extensions);
    if let Some(old) = old.filter(|old| old.kept.origin == origin) {
        let (kept, present) = (old.kept.again(), old.outlets.clone());
        return Ok(KeptReceiver { kept, outlets: present, turn: Some(outlets) });
    }
    let host = maker.host.for_component(Kind::Receiver, &planned.id);
    for signal in &signals {
        host.node(*signal); // its line of the ledger stands from the start
    }
    let (create, config) = (planned.factory.create, planned.config.clone());
    let (for_make, for_start, to) = (host.clone(), host.clone(), outlets.clone());
    let recipe: Recipe<dyn Receiver> = Recipe {
        make: Box::new(move || create(parameters(&for_make, &config, &signals))),
        start: Box::new(move |receiver| {
            let (host, outlets) = (for_start.clone(), to.clone());
            Box::pin(async move { receiver.start(host, outlets).await })
        }),
        stop: |receiver| {
            Box::pin(async move {
                receiver.stop_intake().await;
                receiver.shutdown().await;
            })
        },
    };
    let fresh = Fresh::make(recipe, &host)?;
    let kept = Kept::with(fresh, origin, host, maker, old.map(|old| &old.kept));
    Ok(KeptReceiver { kept, outlets, turn: None })
}

/// An exporter with its queues.
pub(crate) struct KeptExporter {
    pub(crate) kept: Kept<dyn Exporter>,
    settings: DeliverySettings,
    pub(crate) queues: Vec<(Signal, Arc<Delivery>)>,
    pub(crate) asides: Asides,
}

/// The edges to exporters that take what this one does not deliver.
pub(crate) struct Asides {
    edges: [(Aside, Outlets); 2],
    /// Where they are to lead from the step on, when they are in use before it.
    turns: Vec<(Aside, Outlets)>,
    in_use: bool,
}

/// The queues stay with the exporter's id: as they are while their own settings stay the same.
pub(crate) fn exporter(
    planned: &Planned<ExporterFactory>,
    signals: Vec<Signal>,
    maker: Maker<'_>,
    old: Option<&KeptExporter>,
) -> Result<KeptExporter, ComponentError> {
    let origin = Origin::new(&planned.section, &signals, maker.extensions);
    if let Some(old) = old.filter(|old| old.kept.origin == origin) {
        let (settings, queues) = (old.settings.clone(), old.queues.clone());
        let asides = Asides { edges: old.asides.edges.clone(), turns: Vec::new(), in_use: true };
        return Ok(KeptExporter { kept: old.kept.again(), settings, queues, asides });
    }
    let host = maker.host.for_component(Kind::Exporter, &planned.id);
    let (create, config) = (planned.factory.create, planned.config.clone());
    let parts = create(parameters(&host, &config, &signals)).map_err(|error| not_made(&host, &error))?;
    let (for_make, for_start, for_create) = (host.clone(), host.clone(), signals.clone());
    let recipe: Recipe<dyn Exporter> = Recipe {
        make: Box::new(move || {
            create(parameters(&for_make, &config, &for_create)).map(|parts| parts.exporter)
        }),
        start: Box::new(move |exporter| {
            let host = for_start.clone();
            Box::pin(async move { exporter.start(host).await })
        }),
        stop: |exporter| Box::pin(async move { exporter.shutdown().await }),
    };
    let fresh = Fresh { recipe: Arc::new(recipe), instance: parts.exporter };
    let settings = parts.delivery;
    let same_queue = old.filter(|old| {
        let stored = settings.queue.storage.is_some();
        old.settings == settings && (!stored || old.kept.origin.same_extensions(&origin))
    });
    let kept = Kept::with(fresh, origin, host.clone(), maker, old.map(|old| &old.kept));
    let edges = Aside::ALL.map(|aside| {
        let to = match aside {
            Aside::DeadLetter => settings.dead_letter.as_ref().and_then(|d| d.exporter.as_deref()),
            Aside::Fallback => settings.fallback.as_ref().map(|fallback| &*fallback.settings.exporter),
        };
        let edge = |signal: Signal| {
            let of_before = same_queue.and_then(|old| old.asides.get(aside, signal));
            let to = to?;
            Some((signal, of_before.cloned().unwrap_or_else(|| aside_edge(signal, &host, to))))
        };
        (aside, Outlets::new(signals.iter().filter_map(|signal| edge(*signal)).collect()))
    });
    let asides = Asides { edges, turns: Vec::new(), in_use: same_queue.is_some() };
    let queue = |signal: Signal| {
        let of_before = same_queue.and_then(|old| old.queue(signal));
        (signal, of_before.unwrap_or_else(|| delivery(signal, &settings, &kept.keeper, &host, &asides)))
    };
    let queues = signals.iter().copied().map(queue).collect();
    Ok(KeptExporter { kept, settings, queues, asides })
}

impl KeptExporter {
    pub(crate) fn queue(&self, signal: Signal) -> Option<Arc<Delivery>> {
        self.queues.iter().find(|(s, _)| *s == signal).map(|(_, queue)| queue.clone())
    }
}

impl Asides {
    fn of(&self, aside: Aside) -> Option<&Outlets> {
        self.edges.iter().find(|(found, _)| *found == aside).map(|(_, outlets)| outlets)
    }

    fn get(&self, aside: Aside, signal: Signal) -> Option<&Outlet> {
        self.of(aside)?.get(signal)
    }

    /// What is not delivered goes there: from the step on, where the edges are in use before it.
    pub(crate) fn lead(&mut self, aside: Aside, to: Outlets) {
        match self.of(aside) {
            Some(edges) if !self.in_use => edges.turn(&to),
            _ => self.turns.push((aside, to)),
        }
    }

    /// The step.
    pub(crate) fn turn(&mut self) {
        for (aside, to) in std::mem::take(&mut self.turns) {
            if let Some(edges) = self.of(aside) {
                edges.turn(&to);
            }
        }
    }
}

/// The edge to an exporter that may not be made yet: it is turned to it.
fn aside_edge(signal: Signal, host: &Host, to: &str) -> Outlet {
    let (from, to) = (edge_name(Kind::Exporter, host.id()), edge_name(Kind::Exporter, to.trim()));
    Outlet::new(host.registry().edge("", &from, &to, signal), Arc::new(NotYet))
}

fn delivery(
    signal: Signal,
    settings: &DeliverySettings,
    keeper: &Arc<Keeper<dyn Exporter>>,
    host: &Host,
    asides: &Asides,
) -> Arc<Delivery> {
    let fallen = keeper.clone();
    let on_panic = Arc::new(move |message: &str| fallen.panicked(message));
    let node = host.node(signal);
    let file = settings.dead_letter.as_ref().and_then(|d| Some((d.file.as_ref()?, d.max_bytes)));
    let dead_letter: Option<Arc<dyn DeadLetter>> = match (asides.get(Aside::DeadLetter, signal), file) {
        (Some(edge), _) => Some(Arc::new(DeadLetterEdge::new(edge.clone()))),
        (None, Some((path, max))) => Some(Arc::new(DeadLetterFile::new(path, max, signal, host))),
        (None, None) => None,
    };
    let elsewhere = Elsewhere { dead_letter, fallback: asides.get(Aside::Fallback, signal).cloned() };
    Delivery::start(signal, settings.clone(), keeper.watch(), on_panic, host.clone(), node, elsewhere)
}

fn parameters(host: &Host, config: &AnyConfig, signals: &[Signal]) -> Create {
    Create { host: host.clone(), config: config.clone(), signals: signals.to_vec() }
}
