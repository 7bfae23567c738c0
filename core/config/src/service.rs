//! The section `service`: which components run and how they are joined.

mod check;
mod graph;

use crate::model::{UNMARSHAL, expected_map, unknown_keys};
use crate::similar::did_you_mean;
use crate::{
    ComponentId, Diagnostic, Diagnostics, Entry, Kind, Map, Node, PipelineId, Place, ScalarKind, Section,
    Signal, Value, codes,
};

pub(crate) use check::check;

/// Extensions, pipelines and the collector's own telemetry.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The extensions that run, in order, without repetitions.
    pub extensions: Vec<ComponentId>,
    /// The pipelines, in the order written.
    pub pipelines: Vec<Pipeline>,
    /// `service.telemetry`; null when nothing is written.
    pub telemetry: Section,
    /// The settings of `service` itself, such as `shutdown_timeout`.
    pub settings: Section,
    /// Where things stand, in the order of `extensions`.
    places: Places,
}

/// One pipeline: what comes in, what is done with it, where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// Receivers and connectors it takes from, without repetitions.
    pub receivers: Vec<ComponentId>,
    /// Its processors, in the order in which data meets them.
    pub processors: Vec<ComponentId>,
    /// Exporters and connectors it gives to, without repetitions.
    pub exporters: Vec<ComponentId>,
    places: Places,
}

impl Pipeline {
    /// Where its key stands.
    pub fn place(&self) -> &Place {
        &self.places.0[0]
    }

    fn references(&self, kind: Kind) -> impl Iterator<Item = (&ComponentId, &Place)> {
        let before = match kind {
            Kind::Processor => self.receivers.len(),
            Kind::Exporter => self.receivers.len() + self.processors.len(),
            _ => 0,
        };
        self.ids(kind).iter().zip(&self.places.0[1 + before..])
    }

    fn ids(&self, kind: Kind) -> &[ComponentId] {
        match kind {
            Kind::Receiver => &self.receivers,
            Kind::Processor => &self.processors,
            Kind::Exporter => &self.exporters,
            _ => &[],
        }
    }
}

/// Places beside ids: the key's first, then one for each id. They say nothing about what is meant, so all are equal.
#[derive(Debug, Clone)]
struct Places(Vec<Place>);

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

const PARTS: [&str; 3] = ["extensions", "pipelines", "telemetry"];
/// Read by whoever runs the configuration.
const SETTINGS: [&str; 3] = ["shutdown_timeout", "fail_fast", "reload"];

/// Reads the section; what is wrong in its form is told here, what is wrong in its meaning by [`check`].
pub(crate) fn read(entry: Option<&Entry>, root: &Place, found: &mut Diagnostics) -> Service {
    let empty = Map::default();
    let (place, map) = match entry {
        None => (root, &empty),
        Some(entry) => match entry.value.as_map() {
            Some(map) => (&entry.place, map),
            None => {
                if !entry.value.is_null() {
                    found.push(expected_map("service", &entry.value));
                }
                (&entry.place, &empty)
            }
        },
    };
    unknown_keys(map, &[&PARTS[..], &SETTINGS].concat(), "service", found);
    let settings = map.entries.iter().filter(|entry| SETTINGS.contains(&entry.key.as_str()));
    let settings = Node::new(Value::Map(Map { entries: settings.cloned().collect() }), place.clone());
    let null = Node::null(place.clone());
    let mut service = Service {
        extensions: Vec::new(),
        pipelines: Vec::new(),
        telemetry: match map.entry("telemetry") {
            Some(entry) => Section::at_path(&["service", "telemetry"], &entry.place, &entry.value),
            None => Section::at_path(&["service", "telemetry"], place, &null),
        },
        settings: Section::at_path(&["service"], place, &settings),
        places: Places(vec![map.entry("pipelines").map_or(place, |e| &e.place).clone()]),
    };
    for (id, place) in ids(map.get("extensions"), "service.extensions", found) {
        if !service.extensions.contains(&id) {
            service.extensions.push(id);
            service.places.0.push(place);
        }
    }
    match map.entry("pipelines").filter(|e| !e.value.is_null()) {
        None => {}
        Some(Entry { value: Node { value: Value::Map(map), .. }, .. }) => {
            service.pipelines = pipelines(map, found);
        }
        Some(entry) => found.push(expected_map("service.pipelines", &entry.value)),
    }
    service
}

fn pipelines(map: &Map, found: &mut Diagnostics) -> Vec<Pipeline> {
    let mut pipelines: Vec<Pipeline> = Vec::new();
    for entry in &map.entries {
        let path = format!("service.pipelines[{}]", entry.key);
        let id: PipelineId = match entry.key.parse() {
            Ok(id) => id,
            Err(message) => {
                found.push(bad_pipeline(&entry.key, &message).at(&entry.place));
                continue;
            }
        };
        if let Some(first) = pipelines.iter().find(|p| p.id == id) {
            let message = format!("duplicate name {:?} after unmarshaling {:?}", id.to_string(), entry.key);
            let note = format!("it is already defined at {}", first.place());
            found.push(
                Diagnostic::error(codes::DUPLICATE_ID, message).at(&entry.place).within(UNMARSHAL).note(note),
            );
            continue;
        }
        let empty = Map::default();
        let body = match &entry.value.value {
            Value::Map(map) => map,
            _ if entry.value.is_null() => &empty,
            _ => {
                found.push(expected_map(&path, &entry.value));
                continue;
            }
        };
        unknown_keys(body, &["receivers", "processors", "exporters"], &path, found);
        let mut places = vec![entry.place.clone()];
        let mut list = |key: &str, unique: bool| {
            let mut list: Vec<ComponentId> = Vec::new();
            for (id, place) in ids(body.get(key), &format!("{path}.{key}"), found) {
                // The Collector takes a receiver or exporter named twice as named once.
                if !unique || !list.contains(&id) {
                    list.push(id);
                    places.push(place);
                }
            }
            list
        };
        let (receivers, processors, exporters) =
            (list("receivers", true), list("processors", false), list("exporters", true));
        pipelines.push(Pipeline { id, receivers, processors, exporters, places: Places(places) });
    }
    pipelines
}

fn bad_pipeline(key: &str, message: &str) -> Diagnostic {
    let signal = key.split('/').next().unwrap_or_default().trim();
    if signal == "profiles" {
        let message = format!(
            "service::pipelines::{key}: profiling signal support is at alpha, gated under the \"service.profilesSupport\" feature gate"
        );
        return Diagnostic::error(codes::UNKNOWN_SIGNAL, message)
            .within(crate::model::INVALID)
            .help("this binary carries traces, metrics and logs; the gate does not change that");
    }
    let code =
        if message.starts_with("unknown pipeline signal") { codes::UNKNOWN_SIGNAL } else { codes::BAD_ID };
    let diagnostic = Diagnostic::error(code, format!("'service.pipelines' {message}")).within(UNMARSHAL);
    match did_you_mean(signal, Signal::ALL.map(Signal::name)) {
        Some(help) if code == codes::UNKNOWN_SIGNAL => diagnostic.help(help),
        _ => diagnostic.help("a pipeline is written `traces`, `metrics` or `logs`, with or without `/name`"),
    }
}

/// A list of ids; a string is split at commas, as everywhere.
fn ids(node: Option<&Node>, path: &str, found: &mut Diagnostics) -> Vec<(ComponentId, Place)> {
    let Some(node) = node.filter(|n| !n.is_null()) else { return Vec::new() };
    let parts: Vec<(String, &Place)> = match &node.value {
        Value::List(list) => {
            let mut parts = Vec::new();
            for (i, item) in list.iter().enumerate() {
                match item.as_scalar().filter(|s| s.kind != ScalarKind::Null) {
                    Some(scalar) => parts.push((scalar.text.clone(), &item.place)),
                    None => {
                        let message = format!(
                            "'{path}[{i}]' expected type 'string', got unconvertible type '{}'",
                            item.kind_name()
                        );
                        found.push(
                            Diagnostic::error(codes::WRONG_TYPE, message).at(&item.place).within(UNMARSHAL),
                        );
                    }
                }
            }
            parts
        }
        Value::Scalar(s) if s.kind == ScalarKind::Str => {
            s.text.split(',').map(|t| (t.to_owned(), &node.place)).collect()
        }
        _ => {
            let message =
                format!("'{path}': source data must be an array or slice, got {}", node.kind_name());
            found.push(
                Diagnostic::error(codes::WRONG_TYPE, message)
                    .at(&node.place)
                    .within(UNMARSHAL)
                    .help("write a list: `[first, second]`"),
            );
            Vec::new()
        }
    };
    let mut ids = Vec::new();
    for (text, place) in parts {
        match text.parse() {
            Ok(id) => ids.push((id, place.clone())),
            Err(message) => {
                found.push(
                    Diagnostic::error(codes::BAD_ID, format!("'{path}' {message}"))
                        .at(place)
                        .within(UNMARSHAL),
                );
            }
        }
    }
    ids
}
