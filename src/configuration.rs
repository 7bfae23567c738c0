//! From the command line's sources to a plan, with everything that is wrong shown at once.

use std::io::{IsTerminal as _, Write as _};

use streamgauge_config::{Config, Diagnostics, Loaded, Loader, Node, Section, Style, render};
use streamgauge_engine::Plan;
use streamgauge_telemetry::TelemetryConfig;

use crate::cli::{ConfigArgs, Failure, exit};
use crate::distribution::DISTRIBUTION;
use crate::{durability, without_effect};

/// A configuration that was read without an error.
pub(crate) struct Configuration {
    pub(crate) config: Config,
    pub(crate) tree: Node,
    pub(crate) plan: Plan,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) warnings: Diagnostics,
}

/// Loads, checks and reads every section. `built_in` stands in when no `--config` is given.
pub(crate) fn load(args: &ConfigArgs, built_in: Option<&str>) -> Result<Configuration, Diagnostics> {
    let loaded = retrieve(args, built_in);
    let mut found = loaded.diagnostics;
    found.extend(loaded.config.iter().flat_map(durability::warnings));
    found.extend(loaded.config.iter().flat_map(without_effect::warnings));
    let plan = loaded.config.as_ref().map(|config| Plan::read(config, &DISTRIBUTION));
    let plan = match plan {
        Some(Ok(plan)) => Some(plan),
        Some(Err(errors)) => {
            found.extend(errors);
            None
        }
        None => None,
    };
    let telemetry = loaded.config.as_ref().map(|config| telemetry(&config.service.telemetry));
    let telemetry = match telemetry {
        Some(Ok(telemetry)) => Some(telemetry),
        Some(Err(errors)) => {
            found.extend(errors);
            None
        }
        None => None,
    };
    match (loaded.config, loaded.tree, plan, telemetry) {
        (Some(config), Some(tree), Some(plan), Some(telemetry)) if !found.has_errors() => {
            Ok(Configuration { config, tree, plan, telemetry, warnings: found })
        }
        _ => Err(found),
    }
}

/// Reads and checks `service.telemetry`.
fn telemetry(section: &Section) -> Result<TelemetryConfig, Diagnostics> {
    let telemetry: TelemetryConfig = section.read()?;
    let found: Diagnostics = telemetry
        .problems()
        .into_iter()
        .map(|(path, message)| {
            let path: Vec<&str> = path.split("::").filter(|key| !key.is_empty()).collect();
            section.invalid_at(&path, message)
        })
        .collect();
    if found.is_empty() { Ok(telemetry) } else { Err(found) }
}

/// Loads and checks, but reads no section. `built_in` stands in when no `--config` is given.
pub(crate) fn retrieve(args: &ConfigArgs, built_in: Option<&str>) -> Loaded {
    let mut loader = Loader::new();
    for location in &args.config {
        loader = loader.source(location);
    }
    if args.config.is_empty()
        && let Some(text) = built_in
    {
        loader = loader.source(format!("yaml:{text}"));
    }
    for setting in &args.set {
        loader = loader.set(setting);
    }
    loader.load(&DISTRIBUTION.known())
}

/// A failure that shows diagnostics with their lines and carets.
pub(crate) fn failure(diagnostics: &Diagnostics) -> Failure {
    Failure { code: exit::CONFIGURATION, text: render(diagnostics, style()) }
}

/// Shows warnings; nothing when there are none.
pub(crate) fn warn(diagnostics: &Diagnostics) {
    if !diagnostics.is_empty() {
        let _ = writeln!(std::io::stderr(), "{}", render(diagnostics, style()).trim_end());
    }
}

fn style() -> Style {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if colour { Style::Colour } else { Style::Plain }
}
