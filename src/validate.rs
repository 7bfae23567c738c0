//! `streamgauge validate`: is this configuration right?

use clap::Args;

use crate::cli::{ConfigArgs, Failure, exit, print};
use crate::configuration;

#[derive(Debug, Clone, Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Print what was found as JSON on standard output: an array, empty when all is well.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Says what is wrong, or nothing.
pub(crate) fn validate(args: &ValidateArgs) -> Result<(), Failure> {
    let loaded = configuration::load(&args.config, None);
    if args.json {
        let found = match &loaded {
            Ok(configuration) => &configuration.warnings,
            Err(found) => found,
        };
        print(&format!("{:#}", found.to_json()))?;
        return loaded.map(|_| ()).map_err(|_| Failure { code: exit::CONFIGURATION, text: String::new() });
    }
    let configuration = loaded.map_err(|found| configuration::failure(&found))?;
    configuration::warn(&configuration.warnings);
    Ok(())
}
