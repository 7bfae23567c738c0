//! Warnings about settings that are taken because files of the Collector have them, and do nothing here.

use streamgauge_config::{Config, Diagnostics, Kind, without_effect};

use crate::catalogue::find;

/// One for each such setting that is written.
pub(crate) fn warnings(config: &Config) -> Diagnostics {
    let kinds = Kind::ALL.into_iter().flat_map(|kind| config.of(kind).iter().map(move |c| (kind, c)));
    let written = kinds.filter(|(_, c)| c.section.node().as_map().is_some_and(|map| !map.entries.is_empty()));
    let found = written.filter_map(|(kind, component)| {
        let schema = (find(kind, &component.type_name)?.config.schema)();
        Some(without_effect(&schema, &component.section))
    });
    found.flatten().collect()
}
