//! Instances of receivers, exporters and extensions: the running one where nothing changed, else a fresh one.

use std::sync::Arc;

use streamgauge_component::{
    AnyConfig, Create, DeliverySettings, Exporter, ExporterFactory, Extension, ExtensionFactory, Host, Kind,
    Outlet, Outlets, Receiver, ReceiverFactory, Signal, edge_name,
};
use streamgauge_delivery::{DeadLetter, DeadLetterEdge, DeadLetterFile, Delivery};

use crate::dead_letters::NotYet;
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
    /// The edges to the exporter that is its dead letter.
    dead_letter: Outlets,
    /// Where they are to lead from the step on, when they are in use before it.
    dead_letter_turn: Option<Outlets>,
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
        let (kept, dead_letter) = (old.kept.again(), old.dead_letter.clone());
        return Ok(KeptExporter {
            kept,
            settings,
            queues,
            dead_letter,
            dead_letter_turn: None,
            in_use: true,
        });
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
    let edge = |signal: Signal| {
        let of_before = same_queue.and_then(|old| old.dead_letter.get(signal));
        let to = settings.dead_letter.as_ref()?.exporter.as_ref()?;
        Some((signal, of_before.cloned().unwrap_or_else(|| dead_letter_edge(signal, &host, to))))
    };
    let edges = signals.iter().filter_map(|signal| edge(*signal)).collect();
    let dead_letter = Outlets::new(edges);
    let queue = |signal: Signal| {
        let of_before = same_queue.and_then(|old| old.queue(signal));
        let edge = dead_letter.get(signal);
        (signal, of_before.unwrap_or_else(|| delivery(signal, &settings, &kept.keeper, &host, edge)))
    };
    let queues = signals.iter().copied().map(queue).collect();
    let in_use = same_queue.is_some();
    Ok(KeptExporter { kept, settings, queues, dead_letter, dead_letter_turn: None, in_use })
}

impl KeptExporter {
    pub(crate) fn queue(&self, signal: Signal) -> Option<Arc<Delivery>> {
        self.queues.iter().find(|(s, _)| *s == signal).map(|(_, queue)| queue.clone())
    }

    /// What is not delivered goes there: from the step on, where the edges are in use before it.
    pub(crate) fn lead_dead_letter(&mut self, outlets: Outlets) {
        if self.in_use {
            self.dead_letter_turn = Some(outlets);
        } else {
            self.dead_letter.turn(&outlets);
        }
    }

    /// The step.
    pub(crate) fn turn_dead_letter(&mut self) {
        if let Some(outlets) = self.dead_letter_turn.take() {
            self.dead_letter.turn(&outlets);
        }
    }
}

/// The edge to an exporter that may not be made yet: it is turned to it.
fn dead_letter_edge(signal: Signal, host: &Host, to: &str) -> Outlet {
    let (from, to) = (edge_name(Kind::Exporter, host.id()), edge_name(Kind::Exporter, to.trim()));
    Outlet::new(host.registry().edge("", &from, &to, signal), Arc::new(NotYet))
}

fn delivery(
    signal: Signal,
    settings: &DeliverySettings,
    keeper: &Arc<Keeper<dyn Exporter>>,
    host: &Host,
    edge: Option<&Outlet>,
) -> Arc<Delivery> {
    let fallen = keeper.clone();
    let on_panic = Arc::new(move |message: &str| fallen.panicked(message));
    let node = host.node(signal);
    let file = settings.dead_letter.as_ref().and_then(|d| Some((d.file.as_ref()?, d.max_bytes)));
    let dead_letter: Option<Arc<dyn DeadLetter>> = match (edge, file) {
        (Some(edge), _) => Some(Arc::new(DeadLetterEdge::new(edge.clone()))),
        (None, Some((path, max))) => Some(Arc::new(DeadLetterFile::new(path, max, signal, host))),
        (None, None) => None,
    };
    Delivery::start(signal, settings.clone(), keeper.watch(), on_panic, host.clone(), node, dead_letter)
}

fn parameters(host: &Host, config: &AnyConfig, signals: &[Signal]) -> Create {
    Create { host: host.clone(), config: config.clone(), signals: signals.to_vec() }
}
