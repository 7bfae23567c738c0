//! What an instance was made of: as long as that is the same, a reload lets the instance stay.

use std::sync::Arc;

use streamgauge_component::Signal;
use streamgauge_config::{Node, Section, Value};

/// Everything that the making of an instance depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    section: Section,
    signals: Vec<Signal>,
    extensions: Vec<Generation>,
}

/// One instance of an extension: its id, and the number of the build that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) id: Arc<str>,
    pub(crate) build: u64,
}

impl Origin {
    /// Of a section, for these signals, beside these running extensions.
    pub(crate) fn new(section: &Section, signals: &[Signal], extensions: &[Generation]) -> Self {
        let named = extensions.iter().filter(|extension| mentions(section.node(), &extension.id));
        Origin { section: section.clone(), signals: signals.to_vec(), extensions: named.cloned().collect() }
    }

    /// Whether the section means the same.
    pub(crate) fn is_of(&self, section: &Section) -> bool {
        self.section == *section
    }

    /// Whether the extensions that the section names are the same instances.
    pub(crate) fn same_extensions(&self, other: &Origin) -> bool {
        self.extensions == other.extensions
    }
}

/// Whether some value in there is this id. A value that only looks like it costs no more than a new instance.
pub(crate) fn mentions(node: &Node, id: &str) -> bool {
    match &node.value {
        Value::Scalar(scalar) => scalar.text.trim() == id,
        Value::List(list) => list.iter().any(|item| mentions(item, id)),
        Value::Map(map) => map.entries.iter().any(|entry| mentions(&entry.value, id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(yaml: &str) -> Section {
        Section::from_yaml("exporters::x", yaml).unwrap()
    }

    #[test]
    fn only_what_is_meant_counts_and_the_extensions_that_are_named() {
        let generation = |build| vec![Generation { id: "auth/a".into(), build }];
        let origin = |yaml, build| Origin::new(&section(yaml), &[Signal::Logs], &generation(build));
        assert_eq!(origin("{a: 1, b: x}", 1), origin("a: 1 # said otherwise\nb: \"x\"", 2));
        assert_ne!(origin("{a: 1}", 1), origin("{a: 2}", 1));
        let uses = "auth: {authenticator: auth/a}";
        assert_eq!(origin(uses, 1), origin(uses, 1));
        assert_ne!(origin(uses, 1), origin(uses, 2));
        assert!(!origin(uses, 1).same_extensions(&origin(uses, 2)));
    }
}
