//! Queues that name a storage: it must be there.

use streamgauge_config::{Config, Diagnostics};

/// Where the setting may stand in an exporter's section.
const QUEUES: [&str; 2] = ["sending_queue", "remote_write_queue"];
const STORAGE: &str = "storage";

/// Every storage that a queue names must be configured and in service.
pub(crate) fn check(config: &Config, errors: &mut Diagnostics) {
    for (exporter, key) in config.exporters.iter().flat_map(|exporter| QUEUES.map(|key| (exporter, key))) {
        let queue = exporter.section.node().as_map().and_then(|section| section.get(key));
        let Some(queue) = queue.and_then(|queue| queue.as_map()) else { continue };
        let enabled = queue.get("enabled").and_then(|enabled| enabled.as_scalar());
        let off = enabled.is_some_and(|enabled| enabled.text.eq_ignore_ascii_case("false"));
        let Some(id) = queue.get(STORAGE).and_then(|id| id.as_text()).filter(|id| !off && !id.is_empty())
        else {
            continue;
        };
        let problem = if !config.extensions.iter().any(|extension| extension.id.to_string() == id) {
            "which is not configured"
        } else if !config.service.extensions.iter().any(|extension| extension.to_string() == id) {
            "which is not in service::extensions"
        } else {
            continue;
        };
        errors.push(
            exporter.section.invalid_at(&[key, STORAGE], format!("references extension {id:?} {problem}")),
        );
    }
}
