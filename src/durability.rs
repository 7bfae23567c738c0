//! Warnings about configurations that look safer than they are.

use streamgauge_config::{Component, Config, Diagnostic, Diagnostics, Node, Pipeline, codes};

/// What a kill or a power cut may take although queues are on the disk.
pub(crate) fn warnings(config: &Config) -> Diagnostics {
    let mut found = Diagnostics::new();
    let storages = config.extensions.iter().filter(|e| e.type_name == "file_storage");
    for storage in storages.filter(|storage| config.service.extensions.contains(&storage.id)) {
        if is_off(storage, &["fsync"]) {
            let message = format!(
                "{}::fsync: false: a power cut may lose data that was acknowledged (a kill of the process does not)",
                storage.section.path()
            );
            let help = "leave `fsync` out: writes that come together are synced together";
            found.push(warning(message, storage, "fsync").help(help));
        }
    }
    for pipeline in &config.service.pipelines {
        found.extend(gathered(config, pipeline));
    }
    found
}

/// A `batch` processor before a queue on the disk, with a door that answers before the data is on it.
fn gathered(config: &Config, pipeline: &Pipeline) -> Option<Diagnostic> {
    let stores = |id| config.exporters.get(id).is_some_and(is_stored);
    if !pipeline.exporters.iter().any(stores) {
        return None;
    }
    let batch = pipeline.processors.iter().filter_map(|id| config.processors.get(id));
    let batch = batch.into_iter().find(|processor| processor.type_name == "batch")?;
    let early = pipeline.receivers.iter().filter_map(|id| config.receivers.get(id)).find(|receiver| {
        receiver.type_name == "otlp" && text(receiver, &["wait_for"]) != Some("delivered")
    })?;
    let (pipeline, receiver) = (&pipeline.id, &early.id);
    let message = format!(
        "service::pipelines::{pipeline}: {} gathers data for which {receiver} has answered already: a kill loses it \
         although the queue behind is on the disk",
        batch.section.path()
    );
    let help = format!(
        "batch behind the queue with `sending_queue::batch`, or set `wait_for: delivered` on {receiver}"
    );
    Some(Diagnostic::warning(codes::NOT_DURABLE, message).at(batch.section.place()).help(help))
}

fn is_stored(exporter: &Component) -> bool {
    ["sending_queue", "remote_write_queue"].iter().any(|queue| {
        text(exporter, &[queue, "storage"]).is_some_and(|id| !id.is_empty())
            && !is_off(exporter, &[queue, "enabled"])
    })
}

fn warning(message: String, component: &Component, key: &str) -> Diagnostic {
    let at = component.section.invalid_at(&[key], "").place;
    let warning = Diagnostic::warning(codes::NOT_DURABLE, message);
    at.iter().fold(warning, |warning, place| warning.at(place))
}

/// A setting's text, where it is written.
pub(crate) fn text<'a>(component: &'a Component, keys: &[&str]) -> Option<&'a str> {
    find(component, keys)?.as_text()
}

fn is_off(component: &Component, keys: &[&str]) -> bool {
    let value = find(component, keys).and_then(Node::as_scalar);
    value.is_some_and(|scalar| scalar.text.eq_ignore_ascii_case("false"))
}

fn find<'a>(component: &'a Component, keys: &[&str]) -> Option<&'a Node> {
    keys.iter().try_fold(component.section.node(), |node, key| node.as_map()?.get(key))
}

#[cfg(test)]
mod tests {
    use streamgauge_config::{Loader, Style, render};

    use crate::distribution::DISTRIBUTION;

    fn warned(yaml: &str) -> String {
        let loaded = Loader::new().source(format!("yaml:{yaml}")).load(&DISTRIBUTION.known());
        render(&super::warnings(loaded.config.as_ref().unwrap()), Style::Plain)
    }

    const BATCHED: &str = "{receivers: {otlp: {protocols: {http: }}}, processors: {batch: },
        exporters: {otlp_http: {endpoint: 'http://a:1', sending_queue: {storage: file_storage}}},
        extensions: {file_storage: {fsync: false}}, service: {extensions: [file_storage],
        pipelines: {logs: {receivers: [otlp], processors: [batch], exporters: [otlp_http]}}}}";

    #[test]
    fn a_queue_on_disk_behind_a_batch_and_a_storage_without_sync_are_warned_about() {
        let warned = warned(BATCHED);
        assert!(warned.contains("fsync: false: a power cut may lose data"), "{warned}");
        assert!(warned.contains("gathers data for which otlp has answered already"), "{warned}");
    }

    #[test]
    fn nothing_is_warned_about_where_the_sender_waits_or_nothing_is_gathered() {
        let quiet = BATCHED.replace("fsync: false", "");
        let waits = quiet.replace("{otlp: {", "{otlp: {wait_for: delivered, ");
        assert_eq!(warned(&waits), "");
        assert_eq!(warned(&quiet.replace("processors: [batch], ", "")), "");
        assert_eq!(warned(&quiet.replace("storage: file_storage", "")), "");
    }
}
