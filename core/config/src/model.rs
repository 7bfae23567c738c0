//! The whole configuration: components by kind and id, and the service that uses them.

use crate::similar::did_you_mean;
use crate::{
    ComponentId, Diagnostic, Diagnostics, Kind, Known, Map, Node, Place, Section, Service, codes, service,
};

pub(crate) const UNMARSHAL: &str =
    "failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s)";
pub(crate) const INVALID: &str = "invalid configuration";
pub(crate) const BUILD: &str = "failed to build pipelines";

/// One configured component.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// What kind it is.
    pub kind: Kind,
    /// Its id as written.
    pub id: ComponentId,
    /// Its type's present name: `otlp_grpc` for an exporter written `otlp`.
    pub type_name: String,
    /// Its settings.
    pub section: Section,
}

impl Component {
    /// Where its key stands.
    pub fn place(&self) -> &Place {
        self.section.place()
    }
}

/// The components of one kind, in the order written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Components {
    list: Vec<Component>,
    /// Ids that were written but of an unknown type: told once, not again wherever they are used.
    refused: Vec<ComponentId>,
}

impl Components {
    /// The component with this id.
    pub fn get(&self, id: &ComponentId) -> Option<&Component> {
        self.list.iter().find(|c| c.id == *id)
    }

    /// Each of them, in the order written.
    pub fn iter(&self) -> std::slice::Iter<'_, Component> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether this id was written, however wrong its type is.
    pub(crate) fn mentions(&self, id: &ComponentId) -> bool {
        self.get(id).is_some() || self.refused.contains(id)
    }

    fn ids(&self) -> Vec<String> {
        self.list.iter().map(|c| c.id.to_string()).collect()
    }

    /// The id most like this one, for "did you mean".
    pub(crate) fn similar(&self, id: &ComponentId) -> Option<String> {
        let ids = self.ids();
        did_you_mean(&id.to_string(), ids.iter().map(String::as_str))
    }
}

impl<'a> IntoIterator for &'a Components {
    type Item = &'a Component;
    type IntoIter = std::slice::Iter<'a, Component>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

/// The whole configuration, checked as far as that needs no running component.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The section `receivers`.
    pub receivers: Components,
    /// The section `processors`.
    pub processors: Components,
    /// The section `exporters`.
    pub exporters: Components,
    /// The section `connectors`.
    pub connectors: Components,
    /// The section `extensions`.
    pub extensions: Components,
    /// The section `service`.
    pub service: Service,
}

impl Config {
    /// Reads a merged and expanded tree. The configuration is whole only when no error was found.
    pub(crate) fn from_tree(tree: &Node, known: &Known, found: &mut Diagnostics) -> Option<Self> {
        let Some(map) = tree.as_map().filter(|m| !m.entries.is_empty()) else {
            let message = "empty configuration file";
            found.push(Diagnostic::error(codes::EMPTY, message).at(&tree.place).help(
                "a configuration has `receivers`, `exporters` and `service` with a pipeline that joins them",
            ));
            return None;
        };
        let mut keys: Vec<&str> = Kind::ALL.iter().map(|k| k.section()).collect();
        keys.push("service");
        unknown_keys(map, &keys, "", found);
        let [receivers, processors, exporters, connectors, extensions] =
            Kind::ALL.map(|kind| components(map, kind, known, found));
        let mut config = Self {
            receivers,
            processors,
            exporters,
            connectors,
            extensions,
            service: service::read(map.entry("service"), &tree.place, found),
        };
        config.check_kinds(tree, found);
        service::check(&mut config, known, found);
        Some(config)
    }

    /// The components of a kind.
    pub fn of(&self, kind: Kind) -> &Components {
        match kind {
            Kind::Receiver => &self.receivers,
            Kind::Processor => &self.processors,
            Kind::Exporter => &self.exporters,
            Kind::Connector => &self.connectors,
            Kind::Extension => &self.extensions,
        }
    }

    /// All components, kind by kind.
    pub fn components(&self) -> impl Iterator<Item = &Component> {
        Kind::ALL.into_iter().flat_map(|kind| self.of(kind))
    }

    fn check_kinds(&self, tree: &Node, found: &mut Diagnostics) {
        for kind in [Kind::Receiver, Kind::Exporter] {
            // A section whose every entry is wrong is not an empty one.
            let written =
                tree.get(kind.section()).and_then(Node::as_map).is_some_and(|m| !m.entries.is_empty());
            if !written {
                let place =
                    tree.as_map().and_then(|m| m.entry(kind.section())).map_or(&tree.place, |e| &e.place);
                let message = format!("no {kind} configuration specified in config");
                found.push(Diagnostic::error(codes::NO_COMPONENT, message).at(place).within(INVALID));
            }
        }
    }
}

fn components(map: &Map, kind: Kind, known: &Known, found: &mut Diagnostics) -> Components {
    let (mut list, mut refused): (Vec<Component>, Vec<ComponentId>) = Default::default();
    let Some(entry) = map.entry(kind.section()).filter(|e| !e.value.is_null()) else {
        return Components::default();
    };
    let Some(section) = entry.value.as_map() else {
        found.push(expected_map(kind.section(), &entry.value));
        return Components::default();
    };
    for entry in &section.entries {
        let id: ComponentId = match entry.key.parse() {
            Ok(id) => id,
            Err(message) => {
                found.push(
                    Diagnostic::error(codes::BAD_ID, format!("'{}' {message}", kind.section()))
                        .at(&entry.place)
                        .within(UNMARSHAL)
                        .help(format!("a {kind} is written `type` or `type/name`")),
                );
                continue;
            }
        };
        if let Some(first) = list.iter().find(|c| c.id == id) {
            let message = format!("duplicate name {:?} after unmarshaling {:?}", id.to_string(), entry.key);
            let note = format!("it is already defined at {}", first.place());
            found.push(
                Diagnostic::error(codes::DUPLICATE_ID, message).at(&entry.place).within(UNMARSHAL).note(note),
            );
            continue;
        }
        let Some(kind_of) = known.find(kind, id.type_name()) else {
            found.push(unknown_type(kind, &id, known).at(&entry.place).within(UNMARSHAL));
            refused.push(id);
            continue;
        };
        if kind_of.name != id.type_name() {
            let message = format!("{:?} alias is deprecated; use {:?} instead", id.type_name(), kind_of.name);
            found.push(Diagnostic::warning(codes::OLD_NAME, message).at(&entry.place));
        }
        let section = Section::of_component(kind, &id, &entry.place, &entry.value);
        list.push(Component { kind, id, type_name: kind_of.name.clone(), section });
    }
    Components { list, refused }
}

fn unknown_type(kind: Kind, id: &ComponentId, known: &Known) -> Diagnostic {
    if kind == Kind::Exporter && id.type_name() == "logging" {
        let message = "the logging exporter has been deprecated, use the debug exporter instead";
        return Diagnostic::error(codes::UNKNOWN_TYPE, message)
            .help("write `debug` for `logging` and `verbosity` for `loglevel`");
    }
    let names = known.names(kind);
    let message = format!(
        "unknown type: {:?} for id: {:?} (valid values: [{}])",
        id.type_name(),
        id.to_string(),
        names.join(" ")
    );
    let diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, message);
    let elsewhere = Kind::ALL.into_iter().find(|k| known.find(*k, id.type_name()).is_some());
    match (did_you_mean(id.type_name(), names), elsewhere) {
        (Some(help), _) => diagnostic.help(help),
        (None, Some(other)) => diagnostic.help(format!("this type exists under `{}`", other.section())),
        (None, None) => diagnostic.help("`streamgauge components` lists what this binary has"),
    }
}

/// All keys of a map that are none of `keys`, in one diagnostic, as the Collector tells them.
pub(crate) fn unknown_keys(map: &Map, keys: &[&str], path: &str, found: &mut Diagnostics) {
    let unknown: Vec<_> = map.entries.iter().filter(|e| !keys.contains(&e.key.as_str())).collect();
    let Some(first) = unknown.first() else { return };
    let mut names: Vec<&str> = unknown.iter().map(|e| e.key.as_str()).collect();
    names.sort_unstable();
    let message = format!("'{path}' has invalid keys: {}", names.join(", "));
    let mut diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, message).at(&first.place).within(UNMARSHAL);
    for entry in unknown.iter().skip(1) {
        diagnostic = diagnostic.note(format!("`{}` is on line {}", entry.key, entry.place.line));
    }
    diagnostic.help = unknown
        .iter()
        .find_map(|e| did_you_mean(&e.key, keys.iter().copied()))
        .or_else(|| Some(format!("the keys here are {}", keys.join(", "))));
    found.push(diagnostic);
}

pub(crate) fn expected_map(path: &str, node: &Node) -> Diagnostic {
    let message = format!("'{path}' expected a map or struct, got {:?}", node.kind_name());
    Diagnostic::error(codes::WRONG_TYPE, message).at(&node.place).within(UNMARSHAL)
}
