//! Every component of this binary, whatever its kind, in one form.

use streamgauge_component::{ConfigType, Description};
use streamgauge_config::Kind;

use crate::distribution::DISTRIBUTION;

/// One component.
pub struct Entry {
    /// What kind it is.
    pub kind: Kind,
    /// What it is.
    pub about: &'static Description,
    /// Its section's type.
    pub config: &'static ConfigType,
    /// What it handles: `metrics`, or `logs to metrics` for a connector; empty for an extension.
    pub signals: Vec<String>,
}

/// All components, kind by kind, by name within a kind.
pub fn entries() -> Vec<Entry> {
    let plain = |kind, about: &'static Description, config| {
        let signals = about.signals.iter().map(|s| s.to_string()).collect();
        Entry { kind, about, config, signals }
    };
    let d = &DISTRIBUTION;
    let mut all: Vec<Entry> = Vec::new();
    all.extend(d.receivers.iter().map(|f| plain(Kind::Receiver, &f.description, &f.config)));
    all.extend(d.processors.iter().map(|f| plain(Kind::Processor, &f.description, &f.config)));
    all.extend(d.exporters.iter().map(|f| plain(Kind::Exporter, &f.description, &f.config)));
    all.extend(d.connectors.iter().map(|f| Entry {
        kind: Kind::Connector,
        about: &f.description,
        config: &f.config,
        signals: f.signals.iter().map(|(from, to)| format!("{from} to {to}")).collect(),
    }));
    all.extend(d.extensions.iter().map(|f| plain(Kind::Extension, &f.description, &f.config)));
    all.sort_by_key(|e| (e.kind, e.about.name));
    all
}

/// The component of a kind with this name or old name.
pub fn find(kind: Kind, name: &str) -> Option<Entry> {
    entries()
        .into_iter()
        .find(|e| e.kind == kind && (e.about.name == name || e.about.aliases.contains(&name)))
}
