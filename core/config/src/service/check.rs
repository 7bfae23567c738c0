//! What must hold between pipelines and components.

use super::{Pipeline, graph};
use crate::model::{BUILD, INVALID};
use crate::{Component, ComponentId, Config, Diagnostic, Diagnostics, Kind, Known, codes};

const IN_PIPELINES: [Kind; 3] = [Kind::Receiver, Kind::Processor, Kind::Exporter];

/// All checks that need no running component.
pub(crate) fn check(config: &mut Config, known: &Known, found: &mut Diagnostics) {
    if config.service.pipelines.is_empty() && !found.has_errors() {
        let message = "service::pipelines: service must have at least one pipeline";
        found.push(
            Diagnostic::error(codes::EMPTY_PIPELINE, message)
                .at(&config.service.places.0[0])
                .within(INVALID)
                .help("`service: {pipelines: {metrics: {receivers: [...], exporters: [...]}}}`"),
        );
    }
    extensions(config, found);
    ambiguous(config, found);
    for pipeline in &config.service.pipelines {
        lists(pipeline, found);
        references(config, pipeline, found);
        signals(config, pipeline, known, found);
    }
    graph::connectors(config, known, found);
    graph::cycle(config, known, found);
    // With errors about, what is unused may only be misspelt.
    if !found.has_errors() {
        unused(config, found);
    }
}

fn extensions(config: &Config, found: &mut Diagnostics) {
    for (id, place) in config.service.extensions.iter().zip(&config.service.places.0[1..]) {
        if !config.extensions.mentions(id) {
            let message =
                format!("service::extensions: references extension \"{id}\" which is not configured");
            let mut d = Diagnostic::error(codes::MISSING_REFERENCE, message).at(place).within(INVALID);
            d.help = config.extensions.similar(id).or_else(|| Some("add it under `extensions`".to_owned()));
            found.push(d);
        }
    }
}

fn ambiguous(config: &Config, found: &mut Diagnostics) {
    for connector in &config.connectors {
        let id = &connector.id;
        for kind in [Kind::Exporter, Kind::Receiver] {
            if let Some(other) = config.of(kind).get(id) {
                let message = format!(
                    "connectors::{id}: ambiguous ID: Found both \"{id}\" {kind} and \"{id}\" connector. Change one of the components' IDs to \
                     eliminate ambiguity (e.g. rename \"{id}\" connector to \"{id}/connector\")"
                );
                let note = format!("the {kind} is at {}", other.place());
                found.push(
                    Diagnostic::error(codes::AMBIGUOUS_ID, message)
                        .at(connector.place())
                        .within(INVALID)
                        .note(note),
                );
            }
        }
    }
}

fn lists(pipeline: &Pipeline, found: &mut Diagnostics) {
    for kind in [Kind::Receiver, Kind::Exporter] {
        if pipeline.ids(kind).is_empty() {
            let message = format!("service::pipelines::{}: must have at least one {kind}", pipeline.id);
            found
                .push(Diagnostic::error(codes::EMPTY_PIPELINE, message).at(pipeline.place()).within(INVALID));
        }
    }
    let mut seen: Vec<&ComponentId> = Vec::new();
    for (id, place) in pipeline.references(Kind::Processor) {
        if seen.contains(&id) {
            let message =
                format!("service::pipelines::{}: references processor \"{id}\" multiple times", pipeline.id);
            found.push(
                Diagnostic::error(codes::DUPLICATE_PROCESSOR, message)
                    .at(place)
                    .within(INVALID)
                    .help(format!("give the second a name of its own: `{}/2`", id.type_name())),
            );
        }
        seen.push(id);
    }
}

fn references(config: &Config, pipeline: &Pipeline, found: &mut Diagnostics) {
    for kind in IN_PIPELINES {
        for (id, place) in pipeline.references(kind) {
            let connector = kind != Kind::Processor && config.connectors.mentions(id);
            if config.of(kind).mentions(id) || connector {
                continue;
            }
            let message = format!(
                "service::pipelines::{}: references {kind} \"{id}\" which is not configured",
                pipeline.id
            );
            let mut d = Diagnostic::error(codes::MISSING_REFERENCE, message).at(place).within(INVALID);
            let elsewhere = Kind::ALL.into_iter().find(|k| config.of(*k).get(id).is_some());
            d.help = config.of(kind).similar(id).or_else(|| match elsewhere {
                Some(other) => Some(format!("\"{id}\" is configured under `{}`", other.section())),
                None => Some(format!("add it under `{}`", kind.section())),
            });
            found.push(d);
        }
    }
}

fn signals(config: &Config, pipeline: &Pipeline, known: &Known, found: &mut Diagnostics) {
    let signal = pipeline.id.signal();
    for kind in IN_PIPELINES {
        for (id, place) in pipeline.references(kind) {
            let Some(component) = config.of(kind).get(id) else { continue };
            let Some(of) = known.find(kind, &component.type_name) else { continue };
            if of.signals.contains(&signal) {
                continue;
            }
            let message = match kind {
                Kind::Processor => {
                    format!(
                        "failed to create \"{id}\" processor, in pipeline \"{}\": telemetry type is not supported",
                        pipeline.id
                    )
                }
                _ => format!(
                    "failed to create \"{id}\" {kind} for data type \"{signal}\": telemetry type is not supported"
                ),
            };
            let names: Vec<_> = of.signals.iter().map(|s| s.name()).collect();
            found.push(
                Diagnostic::error(codes::UNSUPPORTED_SIGNAL, message).at(place).within(BUILD).help(format!(
                    "the {kind} `{}` is for {}",
                    of.name,
                    names.join(", ")
                )),
            );
        }
    }
}

/// Whether another exporter gives this one what it does not deliver.
fn stands_behind(config: &Config, id: &ComponentId) -> bool {
    let id = id.to_string();
    let names = |component: &Component, key: &str| {
        let section = component.section.node().as_map().and_then(|section| section.get(key));
        let other = section.and_then(|section| section.as_map()?.get("exporter")?.as_text());
        other.is_some_and(|other| other.trim() == id)
    };
    config.exporters.iter().any(|c| ["dead_letter", "fallback"].into_iter().any(|key| names(c, key)))
}

/// Ours: the Collector is silent about these.
fn unused(config: &Config, found: &mut Diagnostics) {
    for component in config.components() {
        let id = &component.id;
        let in_pipelines = |kind: Kind| config.service.pipelines.iter().any(|p| p.ids(kind).contains(id));
        let (used, by) = match component.kind {
            Kind::Extension => {
                (config.service.extensions.contains(id), "`service.extensions` does not name it")
            }
            Kind::Connector => {
                (in_pipelines(Kind::Receiver) || in_pipelines(Kind::Exporter), "no pipeline uses it")
            }
            Kind::Exporter => {
                (in_pipelines(component.kind) || stands_behind(config, id), "no pipeline uses it")
            }
            kind => (in_pipelines(kind), "no pipeline uses it"),
        };
        if !used {
            let message = format!("the {} \"{id}\" is configured but {by}", component.kind);
            found.push(Diagnostic::warning(codes::UNUSED, message).at(component.place()));
        }
    }
}
