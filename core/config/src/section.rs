//! The settings of one component, before its factory reads them.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{ComponentId, Diagnostic, Diagnostics, Kind, Node, Place, Source, codes, read};

/// A view on a node with its path: what a component's factory gets.
///
/// Two sections are equal when they mean the same, wherever they stand.
#[derive(Debug, Clone)]
pub struct Section {
    /// The path in the Collector's words, such as `exporters::otlp/2`.
    path: String,
    /// What messages about a key begin with: nothing in a component, `service.telemetry` in that section.
    prefix: String,
    /// What the Collector writes before an error in here.
    context: String,
    key: Place,
    node: Arc<Node>,
}

impl Section {
    /// The section of a component, whose id stands at `key`.
    pub(crate) fn of_component(kind: Kind, id: &ComponentId, key: &Place, node: &Node) -> Self {
        Self {
            path: format!("{}::{id}", kind.section()),
            prefix: String::new(),
            context: format!(
                "error reading configuration for \"{id}\": decoding failed due to the following error(s)"
            ),
            key: key.clone(),
            node: Arc::new(node.clone()),
        }
    }

    /// A section at a fixed path, such as `service::telemetry`.
    pub(crate) fn at_path(path: &[&str], key: &Place, node: &Node) -> Self {
        Self {
            path: path.join("::"),
            prefix: path.join("."),
            context: "failed to get config: cannot unmarshal the configuration: decoding failed due to the following error(s)".to_owned(),
            key: key.clone(),
            node: Arc::new(node.clone()),
        }
    }

    /// A section out of YAML text: for tests, examples and built-in settings.
    ///
    /// # Errors
    /// Text that is no YAML.
    pub fn from_yaml(path: &str, yaml: &str) -> Result<Self, Diagnostics> {
        let (mut node, _) = crate::parse(&Source::new(path, yaml))?;
        crate::merge::nest(&mut node);
        Ok(Self {
            path: path.to_owned(),
            prefix: String::new(),
            context: String::new(),
            key: node.place.clone(),
            node: Arc::new(node),
        })
    }

    /// The path in the Collector's words, such as `exporters::otlp/2`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tree.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where the section's key stands.
    pub fn place(&self) -> &Place {
        &self.key
    }

    /// Reads the section into a type. Nothing written, or null, gives the type's defaults.
    ///
    /// # Errors
    /// Every unknown key, wrong type and missing setting, each with its place.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Diagnostics> {
        read::read(&self.node, &self.prefix).map_err(|found: Diagnostics| {
            found.into_iter().map(|d| d.note(format!("in {}", self.path)).within(&self.context)).collect()
        })
    }

    /// A check of the component's own that failed, about the section as a whole.
    pub fn invalid(&self, message: impl AsRef<str>) -> Diagnostic {
        self.invalid_at(&[], message)
    }

    /// A check of the component's own that failed, about one setting: `&["tls", "ca_file"]`, `&["rules", "0"]`.
    pub fn invalid_at(&self, keys: &[&str], message: impl AsRef<str>) -> Diagnostic {
        let mut path = self.path.clone();
        let mut place = &self.key;
        let mut node = Some(&*self.node);
        for key in keys {
            path.push_str("::");
            path.push_str(key);
            if let Some(item) =
                node.and_then(Node::as_list).and_then(|list| list.get(key.parse::<usize>().ok()?))
            {
                (place, node) = (&item.place, Some(item));
                continue;
            }
            node = match node.and_then(Node::as_map).and_then(|m| m.entry(key)) {
                Some(entry) => {
                    // A value on the key's line is what to look at; a map below it is not.
                    let value = &entry.value;
                    place = if value.as_scalar().is_some() && !value.is_null() {
                        &value.place
                    } else {
                        &entry.place
                    };
                    Some(value)
                }
                None => None,
            };
        }
        let mut diagnostic =
            Diagnostic::error(codes::COMPONENT_CHECK, format!("{path}: {}", message.as_ref()))
                .at(place)
                .within("invalid configuration");
        diagnostic.notes.extend(self.gaps(keys, node));
        diagnostic
    }

    /// Why what a check looked at may be empty: of the value, and of the settings in it when the check is about a whole. A
    /// setting that is not there may stand at the section's top, where some of the Collector's have an older place.
    fn gaps(&self, keys: &[&str], node: Option<&Node>) -> Vec<String> {
        let older = || keys.last().and_then(|key| self.node.get(key));
        let Some(node) = node.or_else(older) else { return Vec::new() };
        let entries = node.as_map().map_or(&[][..], |map| &map.entries);
        let below = entries.iter().flat_map(|e| e.value.gaps.iter().map(|gap| format!("`{}`: {gap}", e.key)));
        node.gaps.iter().cloned().chain(below).collect()
    }
}

impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.node == other.node
    }
}
