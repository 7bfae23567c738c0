//! A checked configuration with every section read: what the graph is built from.

use std::collections::BTreeSet;
use std::sync::Arc;

use streamgauge_component::{
    AnyConfig, ConfigType, ConnectorFactory, ExporterFactory, ExtensionFactory, ProcessorFactory,
    ReceiverFactory, Signal,
};
use streamgauge_config::{ComponentId, Components, Config, Diagnostics, Section};

use crate::dead_letters::DeadLetters;
use crate::distribution::Distribution;
use crate::routes;
use crate::settings::ServiceSettings;
use crate::storages;

/// Every component that a pipeline or `service.extensions` names, with its configuration.
pub struct Plan {
    pub(crate) extensions: Vec<Planned<ExtensionFactory>>,
    pub(crate) receivers: Vec<Planned<ReceiverFactory>>,
    pub(crate) processors: Vec<Planned<ProcessorFactory>>,
    pub(crate) connectors: Vec<Planned<ConnectorFactory>>,
    pub(crate) exporters: Vec<Planned<ExporterFactory>>,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) pipelines: Vec<Pipeline>,
    settings: ServiceSettings,
}

/// A component to be made.
pub(crate) struct Planned<F: 'static> {
    pub(crate) id: Arc<str>,
    pub(crate) factory: &'static F,
    pub(crate) config: AnyConfig,
    pub(crate) section: Section,
}

/// A pipeline's members, by id.
pub(crate) struct Pipeline {
    pub(crate) id: Arc<str>,
    pub(crate) signal: Signal,
    pub(crate) receivers: Vec<Arc<str>>,
    pub(crate) processors: Vec<Arc<str>>,
    pub(crate) exporters: Vec<Arc<str>>,
}

impl Plan {
    /// Reads every section, also those of components that no pipeline uses, and keeps the used ones. All errors at once.
    pub fn read(config: &Config, distribution: &Distribution) -> Result<Plan, Diagnostics> {
        let pipelines: Vec<Pipeline> = config.service.pipelines.iter().map(pipeline).collect();
        let members = |pick: fn(&Pipeline) -> &Vec<Arc<str>>| -> BTreeSet<Arc<str>> {
            pipelines.iter().flat_map(pick).cloned().collect()
        };
        let (sources, inner, sinks) =
            (members(|p| &p.receivers), members(|p| &p.processors), members(|p| &p.exporters));
        let extensions: BTreeSet<Arc<str>> = ids(&config.service.extensions).into_iter().collect();

        let mut errors = Diagnostics::default();
        let settings = config.service.settings.read().unwrap_or_else(|found| {
            errors.extend(found);
            ServiceSettings::default()
        });
        let dead_letters = DeadLetters::read(config, &mut errors);
        let plan = Plan {
            extensions: used(
                &config.extensions,
                &extensions,
                |n| distribution.extension(n),
                |f| &f.config,
                &mut errors,
            ),
            receivers: used(
                &config.receivers,
                &sources,
                |n| distribution.receiver(n),
                |f| &f.config,
                &mut errors,
            ),
            processors: used(
                &config.processors,
                &inner,
                |n| distribution.processor(n),
                |f| &f.config,
                &mut errors,
            ),
            connectors: used(
                &config.connectors,
                &sinks,
                |n| distribution.connector(n),
                |f| &f.config,
                &mut errors,
            ),
            exporters: used(
                &config.exporters,
                &dead_letters.with_them(&sinks),
                |n| distribution.exporter(n),
                |f| &f.config,
                &mut errors,
            ),
            dead_letters,
            pipelines,
            settings,
        };
        plan.dead_letters.check(&plan, &mut errors);
        routes::check(&plan, &mut errors);
        storages::check(config, &mut errors);
        if errors.has_errors() { Err(errors) } else { Ok(plan) }
    }

    /// The settings of `service` about running.
    pub fn settings(&self) -> &ServiceSettings {
        &self.settings
    }
}

fn pipeline(pipeline: &streamgauge_config::Pipeline) -> Pipeline {
    Pipeline {
        id: pipeline.id.to_string().into(),
        signal: match pipeline.id.signal() {
            streamgauge_config::Signal::Traces => Signal::Traces,
            streamgauge_config::Signal::Metrics => Signal::Metrics,
            streamgauge_config::Signal::Logs => Signal::Logs,
        },
        receivers: ids(&pipeline.receivers),
        processors: ids(&pipeline.processors),
        exporters: ids(&pipeline.exporters),
    }
}

fn ids(ids: &[ComponentId]) -> Vec<Arc<str>> {
    let mut seen = BTreeSet::new();
    ids.iter().map(|id| Arc::from(id.to_string())).filter(|id: &Arc<str>| seen.insert(id.clone())).collect()
}

/// Reads the sections of one kind; keeps those that are in use. Types that the distribution lacks were reported before.
fn used<F>(
    configured: &Components,
    used: &BTreeSet<Arc<str>>,
    find: impl Fn(&str) -> Option<&'static F>,
    config: impl Fn(&'static F) -> &'static ConfigType,
    errors: &mut Diagnostics,
) -> Vec<Planned<F>> {
    let mut planned = Vec::new();
    for component in configured {
        let Some(factory) = find(&component.type_name) else { continue };
        match (config(factory).read)(&component.section) {
            Ok(read) => {
                let id: Arc<str> = component.id.to_string().into();
                if used.contains(&id) {
                    let section = component.section.clone();
                    planned.push(Planned { id, factory, config: read, section });
                }
            }
            Err(found) => errors.extend(found),
        }
    }
    planned
}
