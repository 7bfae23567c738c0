//! From the command line's sources to a plan, with everything that is wrong shown at once.

use std::io::{IsTerminal as _, Write as _};

use streamgauge_config::{Config, Diagnostics, Loader, Node, Style, render};
use streamgauge_engine::Plan;

use crate::cli::{ConfigArgs, Failure, exit};
use crate::distribution::DISTRIBUTION;

/// A configuration that was read without an error.
pub(crate) struct Configuration {
    pub(crate) config: Config,
    pub(crate) tree: Node,
    pub(crate) plan: Plan,
    pub(crate) warnings: Diagnostics,
}

/// Loads, checks and reads every section. `built_in` stands in when no `--config` is given.
pub(crate) fn load(args: &ConfigArgs, built_in: Option<&str>) -> Result<Configuration, Diagnostics> {
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
    let loaded = loader.load(&DISTRIBUTION.known());
    let mut found = loaded.diagnostics;
    let plan = loaded.config.as_ref().map(|config| Plan::read(config, &DISTRIBUTION));
    let plan = match plan {
        Some(Ok(plan)) => Some(plan),
        Some(Err(errors)) => {
            found.extend(errors);
            None
        }
        None => None,
    };
    match (loaded.config, loaded.tree, plan) {
        (Some(config), Some(tree), Some(plan)) if !found.has_errors() => {
            Ok(Configuration { config, tree, plan, warnings: found })
        }
        _ => Err(found),
    }
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
