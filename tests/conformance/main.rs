//! What every registered component owes the others: a README that names each setting, acks that are settled whatever
//! happens, an end within its deadline. A new component is held to it by being registered.
//!
//! What it owes its users (unknown keys, defaults, examples that load) is in `tests/registry.rs`.

#![allow(clippy::unwrap_used)]

mod ends;
mod exporters;
mod input;
mod processors;
mod readme;
mod receivers;

use std::time::Duration;

use serde_json::Value;
use streamgauge::catalogue::Entry;
use streamgauge_component::AnyConfig;
use streamgauge_config::Section;

/// How long any component may take to start or to end.
const DEADLINE: Duration = Duration::from_secs(10);

/// A section of a component, read.
fn read(entry: &Entry, yaml: &str) -> AnyConfig {
    let section = Section::from_yaml("section", yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
    (entry.config.read)(&section).unwrap_or_else(|e| panic!("{}: {e}\n{yaml}", entry.about.name))
}

/// The sections for this component in its README's examples: as written, so that a test can look into them, and read.
fn examples(entry: &Entry) -> Vec<(Value, AnyConfig)> {
    let blocks = entry.about.readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = Vec::new();
    for text in blocks {
        let root =
            Section::from_yaml("example", text).unwrap_or_else(|e| panic!("{e}\n{text}")).node().to_json();
        let own = |id: &str| {
            let name = id.split('/').next().unwrap_or_default();
            name == entry.about.name || entry.about.aliases.contains(&name)
        };
        // A configuration, components by id, or the section itself.
        let by_id = root.get(entry.kind.section()).unwrap_or(&root).as_object().cloned().unwrap_or_default();
        let sections: Vec<Value> = by_id.iter().filter(|(id, _)| own(id)).map(|(_, s)| s.clone()).collect();
        let is_section = sections.is_empty() && root.get("receivers").is_none();
        for section in if is_section { vec![root] } else { sections } {
            let config = read(entry, &section.to_string());
            found.push((section, config));
        }
    }
    found
}
