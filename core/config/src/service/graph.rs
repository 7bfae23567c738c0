//! How connectors join pipelines.

use super::Pipeline;
use crate::model::BUILD;
use crate::{ComponentId, Config, Diagnostic, Diagnostics, Kind, Known, Signal, codes};

/// Each side of a connector needs a pipeline on the other side that it can serve.
pub(super) fn connectors(config: &Config, known: &Known, found: &mut Diagnostics) {
    for connector in &config.connectors {
        let Some(of) = known.find(Kind::Connector, &connector.type_name) else { continue };
        let using = |kind: Kind| -> Vec<&Pipeline> {
            config.service.pipelines.iter().filter(|p| p.ids(kind).contains(&connector.id)).collect()
        };
        let (from, to) = (using(Kind::Exporter), using(Kind::Receiver));
        for (kind, other, these, those) in
            [(Kind::Exporter, Kind::Receiver, &from, &to), (Kind::Receiver, Kind::Exporter, &to, &from)]
        {
            for signal in Signal::ALL {
                let served = those.iter().map(|p| p.id.signal()).any(|s| {
                    of.pairs.contains(&if kind == Kind::Exporter { (signal, s) } else { (s, signal) })
                });
                let alone: Vec<&&Pipeline> = these.iter().filter(|p| p.id.signal() == signal).collect();
                let Some(first) = alone.first().filter(|_| !served) else { continue };
                let names: Vec<String> = alone.iter().map(|p| p.id.to_string()).collect();
                let id = &connector.id;
                let message = format!(
                    "connector \"{id}\" used as {kind} in [{}] pipeline but not used in any supported {other} pipeline",
                    names.join(" ")
                );
                let leads: Vec<String> = of.pairs.iter().map(|(a, b)| format!("{a} to {b}")).collect();
                let place =
                    first.references(kind).find(|(i, _)| *i == id).map_or(first.place(), |(_, place)| place);
                found.push(Diagnostic::error(codes::HALF_CONNECTOR, message).at(place).within(BUILD).help(
                    format!(
                        "name it in the {} of a pipeline too; `{}` leads from {}",
                        other.section(),
                        of.name,
                        leads.join(", ")
                    ),
                ));
            }
        }
    }
}

/// A connector between two signals: what the graph's cycles are made of.
#[derive(Clone, Copy, PartialEq)]
struct Junction<'a> {
    id: &'a ComponentId,
    from: Signal,
    to: Signal,
}

/// Tells the first cycle, if there is one.
pub(super) fn cycle(config: &Config, known: &Known, found: &mut Diagnostics) {
    let mut junctions = Vec::new();
    for connector in &config.connectors {
        let Some(of) = known.find(Kind::Connector, &connector.type_name) else { continue };
        junctions.extend(of.pairs.iter().map(|&(from, to)| Junction { id: &connector.id, from, to }));
    }
    // Depth first: 0 is not seen, 1 is on the way, 2 is done.
    let mut state = vec![0u8; junctions.len()];
    for start in 0..junctions.len() {
        let mut way: Vec<(usize, Vec<(usize, &Pipeline)>)> = Vec::new();
        if state[start] != 0 || !is_fed(config, junctions[start]) {
            continue;
        }
        state[start] = 1;
        way.push((start, next(config, &junctions, junctions[start])));
        let mut through: Vec<&Pipeline> = Vec::new();
        while let Some((node, edges)) = way.last_mut() {
            match edges.pop() {
                None => {
                    state[*node] = 2;
                    way.pop();
                    through.pop();
                }
                Some((to, pipeline)) if state[to] == 1 => {
                    through.push(pipeline);
                    let first = way.iter().position(|(n, _)| *n == to).unwrap_or(0);
                    let ring: Vec<Junction<'_>> = way[first..].iter().map(|(n, _)| junctions[*n]).collect();
                    found.push(tell(&ring, &through[first..]));
                    return;
                }
                Some((to, pipeline)) if state[to] == 0 => {
                    state[to] = 1;
                    through.push(pipeline);
                    way.push((to, next(config, &junctions, junctions[to])));
                }
                Some(_) => {}
            }
        }
    }
}

fn is_fed(config: &Config, junction: Junction<'_>) -> bool {
    config
        .service
        .pipelines
        .iter()
        .any(|p| p.id.signal() == junction.from && p.exporters.contains(junction.id))
}

/// The junctions that a junction leads to, and the pipeline between.
fn next<'a>(
    config: &'a Config,
    junctions: &[Junction<'a>],
    from: Junction<'_>,
) -> Vec<(usize, &'a Pipeline)> {
    let pipelines =
        config.service.pipelines.iter().filter(|p| p.id.signal() == from.to && p.receivers.contains(from.id));
    let mut edges: Vec<_> = pipelines
        .flat_map(|p| {
            let reached = move |j: &Junction<'_>| {
                let used = config
                    .service
                    .pipelines
                    .iter()
                    .any(|q| q.id.signal() == j.to && q.receivers.contains(j.id));
                j.from == p.id.signal() && p.exporters.contains(j.id) && used
            };
            junctions.iter().enumerate().filter(move |(_, j)| reached(j)).map(move |(i, _)| (i, p))
        })
        .collect();
    edges.reverse();
    edges
}

fn tell(ring: &[Junction<'_>], through: &[&Pipeline]) -> Diagnostic {
    let name = |j: &Junction<'_>| format!("connector \"{}\" ({} to {})", j.id, j.from, j.to);
    let mut steps = Vec::new();
    for (junction, pipeline) in ring.iter().zip(through) {
        steps.push(name(junction));
        steps.extend(
            pipeline.processors.iter().map(|p| format!("processor \"{p}\" in pipeline \"{}\"", pipeline.id)),
        );
    }
    steps.extend(ring.first().map(name));
    let diagnostic =
        Diagnostic::error(codes::CYCLE, format!("cycle detected: {}", steps.join(" -> "))).within(BUILD);
    match through.last() {
        Some(pipeline) => diagnostic
            .at(pipeline.place())
            .help("data would go round for ever: take one connector out of this ring"),
        None => diagnostic,
    }
}
