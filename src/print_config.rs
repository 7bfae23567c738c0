//! `streamgauge print-config`: the one configuration that all sources make.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use streamgauge_config::{Component, Kind, redact};

use crate::catalogue;
use crate::cli::{ConfigArgs, Failure, exit, print};
use crate::configuration::{self, Configuration};
use crate::run::built_in;

#[derive(Debug, Clone, Args)]
pub(crate) struct PrintConfigArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// `redacted` shows every setting with its default and no secret, `unredacted` what was written, secrets and all.
    #[arg(long, value_enum, default_value_t = Mode::Redacted)]
    pub(crate) mode: Mode,
    /// The language to print in.
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    pub(crate) format: Format,
    /// Whether a wrong configuration is refused. Without it, what was written is printed, wrong or not.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) validate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Redacted,
    Unredacted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Yaml,
    Json,
}

/// Prints the configuration.
pub(crate) fn print_config(args: &PrintConfigArgs) -> Result<(), Failure> {
    let mut value = if args.validate {
        let configuration =
            configuration::load(&args.config, Some(&built_in())).map_err(|d| configuration::failure(&d))?;
        match args.mode {
            Mode::Redacted => effective(&configuration),
            Mode::Unredacted => configuration.tree.to_json(),
        }
    } else {
        let loaded = configuration::retrieve(&args.config, Some(&built_in()));
        match loaded.tree {
            Some(tree) => tree.to_json(),
            None => return Err(configuration::failure(&loaded.diagnostics)),
        }
    };
    if args.mode == Mode::Redacted {
        redact_all(&mut value);
    }
    let text = match args.format {
        Format::Json => format!("{value:#}"),
        Format::Yaml => serde_yaml::to_string(&value)
            .map_err(|e| Failure { code: exit::RUNTIME, text: format!("Error: {e}") })?,
    };
    print(&text)
}

/// What was written, with every component's section as it was understood: all settings, their defaults filled in.
fn effective(configuration: &Configuration) -> Value {
    let mut tree = configuration.tree.to_json();
    for component in configuration.config.components() {
        if let Some(mut section) = effective_section(component) {
            drop_nulls(&mut section);
            let key = written_key(component, &tree);
            tree[component.kind.section()][key] = section;
        }
    }
    tree
}

/// An id may be written with spaces around its parts.
fn written_key(component: &Component, tree: &Value) -> String {
    let id = component.id.to_string();
    let keys = tree[component.kind.section()].as_object();
    let same =
        |key: &&String| key.parse::<streamgauge_config::ComponentId>().is_ok_and(|k| k == component.id);
    keys.and_then(|keys| keys.keys().find(same)).cloned().unwrap_or(id)
}

fn effective_section(component: &Component) -> Option<Value> {
    let entry = catalogue::find(component.kind, &component.type_name)?;
    let read = (entry.config.read)(&component.section).ok()?;
    (entry.config.effective)(&read)
}

/// A null in a typed section is a setting that is off.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn redact_all(tree: &mut Value) {
    let empty = Map::new();
    let names: Vec<(Kind, String)> = Kind::ALL
        .into_iter()
        .flat_map(|kind| {
            let section = tree.get(kind.section()).and_then(Value::as_object).unwrap_or(&empty);
            section.keys().map(|key| (kind, key.clone())).collect::<Vec<_>>()
        })
        .collect();
    for (kind, key) in names {
        let name = key.split('/').next().unwrap_or_default().trim();
        if let Some(entry) = catalogue::find(kind, name) {
            redact(&mut tree[kind.section()][&key], &(entry.config.schema)());
        }
    }
    redact(tree, &Value::Null);
}
