//! `streamgauge components`: what this binary has.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use streamgauge_config::Kind;

use crate::catalogue::{Entry, entries};
use crate::cli::{Failure, print};

#[derive(Debug, Clone, Args)]
pub(crate) struct ComponentsArgs {
    /// How to print them; `yaml` has the layout of the Collector's command of this name.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Yaml,
    Json,
}

/// Prints the list.
pub(crate) fn components(args: &ComponentsArgs) -> Result<(), Failure> {
    let entries = entries();
    let text = match if args.json { Format::Json } else { args.format } {
        Format::Table => table(&entries),
        Format::Json => format!("{:#}", entries.iter().map(machine).collect::<Value>()),
        Format::Yaml => serde_yaml::to_string(&as_collector(&entries)).map_err(Failure::runtime)?,
    };
    print(&text)
}

fn table(entries: &[Entry]) -> String {
    let heads = ["KIND", "TYPE", "SIGNALS", "STABILITY", "WHAT IT DOES"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(heads)
        .chain(entries.iter().map(|e| {
            let about = e.about;
            [
                e.kind.name().to_owned(),
                about.name.to_owned(),
                e.signals.join(", "),
                about.stability.as_str().to_lowercase(),
                about.summary.to_owned(),
            ]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &w)| format!("{cell:w$}")).collect();
        format!("{}  {}", cells.join("  "), row[4]).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn machine(entry: &Entry) -> Value {
    json!({
        "kind": entry.kind.name(),
        "type": entry.about.name,
        "aliases": entry.about.aliases,
        "signals": entry.signals,
        "stability": entry.about.stability.as_str(),
        "summary": entry.about.summary,
    })
}

/// The Collector's layout: a list a kind, stability by signal.
fn as_collector(entries: &[Entry]) -> Value {
    let mut root = Map::new();
    let command = json!({
        "command": env!("CARGO_PKG_NAME"), "description": env!("CARGO_PKG_DESCRIPTION"), "version": env!("CARGO_PKG_VERSION"),
    });
    root.insert("buildinfo".into(), command);
    for kind in Kind::ALL {
        let list = entries.iter().filter(|e| e.kind == kind).map(|e| {
            let level = Value::from(e.about.stability.as_str());
            let stability: Map<String, Value> = match kind {
                Kind::Extension => Map::from_iter([("extension".to_owned(), level)]),
                _ => e.signals.iter().map(|s| (s.replace(' ', "-"), level.clone())).collect(),
            };
            json!({"name": e.about.name, "stability": stability})
        });
        root.insert(kind.section().to_owned(), list.collect());
    }
    let providers = ["env", "file", "yaml"].map(|scheme| json!({"scheme": scheme}));
    root.insert("providers".into(), providers.as_slice().into());
    Value::Object(root)
}
