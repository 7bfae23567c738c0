//! Which component types exist: told from outside, so that this crate knows none.

use crate::{Kind, Signal};

/// One component type.
#[derive(Debug, Clone)]
pub struct KnownType {
    /// What kind it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Old names that still work, with a warning.
    pub aliases: Vec<String>,
    /// The signals it takes or gives; of no meaning for connectors and extensions.
    pub signals: Vec<Signal>,
    /// For a connector: from which signal to which it leads.
    pub pairs: Vec<(Signal, Signal)>,
}

impl KnownType {
    /// A receiver, processor or exporter for some signals, or an extension for none.
    pub fn new(kind: Kind, name: &str, signals: &[Signal]) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            aliases: Vec::new(),
            signals: signals.to_vec(),
            pairs: Vec::new(),
        }
    }

    /// A connector that leads from signals to signals.
    pub fn connector(name: &str, pairs: &[(Signal, Signal)]) -> Self {
        Self { pairs: pairs.to_vec(), ..Self::new(Kind::Connector, name, &[]) }
    }

    /// The same with old names.
    pub fn aliases(mut self, aliases: &[&str]) -> Self {
        self.aliases = aliases.iter().map(|&a| a.to_owned()).collect();
        self
    }
}

/// All component types of a distribution.
#[derive(Debug, Clone, Default)]
pub struct Known {
    types: Vec<KnownType>,
}

impl Known {
    /// A list of types.
    pub fn new(types: impl IntoIterator<Item = KnownType>) -> Self {
        Self { types: types.into_iter().collect() }
    }

    /// The type of a kind with this name or old name.
    pub fn find(&self, kind: Kind, name: &str) -> Option<&KnownType> {
        self.of(kind).find(|t| t.name == name || t.aliases.iter().any(|a| a == name))
    }

    /// The names of a kind's types, sorted.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        let mut names: Vec<&str> = self.of(kind).map(|t| t.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &KnownType> {
        self.types.iter().filter(move |t| t.kind == kind)
    }
}
