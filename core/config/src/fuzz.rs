//! Entry points for fuzzing: total for every input.

use std::ffi::OsString;

use crate::{Kind, Known, KnownType, Loader, Signal, Style, render};

/// Loads arbitrary text as a configuration, with the rest of the input as the environment, and renders what is wrong.
pub fn load(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (yaml, env) = text.split_once('\0').unwrap_or((&text, "value"));
    let known = Known::new([
        KnownType::new(Kind::Receiver, "a", &[Signal::Metrics]),
        KnownType::new(Kind::Processor, "a", &Signal::ALL),
        KnownType::new(Kind::Exporter, "a", &Signal::ALL),
        KnownType::connector("c", &[(Signal::Metrics, Signal::Metrics), (Signal::Logs, Signal::Metrics)]),
    ]);
    // A reference to a file would read what is on this machine.
    if yaml.contains("file") {
        return;
    }
    let loaded = Loader::new().source(format!("yaml:{yaml}")).env(|_| Some(OsString::from(env))).load(&known);
    let _ = render(&loaded.diagnostics, Style::Colour);
    if let Some(config) = loaded.config {
        for component in config.components() {
            let _ = component.section.read::<serde_json::Value>();
            let _ = component.section.read::<std::collections::BTreeMap<String, Vec<u16>>>();
        }
    }
}
