//! `streamgauge import`: other programs' settings as a configuration.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use crate::cli::{Failure, print};

pub(crate) mod flags;
pub(crate) mod redis_exporter;

#[derive(Debug, Clone, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Clone, Subcommand)]
enum From {
    /// oliver006/redis_exporter: its environment variables (REDIS_ADDR, REDIS_EXPORTER_*) and flags.
    RedisExporter {
        /// Its flags, spelled as it takes them, such as `--redis.addr=host:6379 --check-streams='orders:*'`. The
        /// environment is read in any case (`--env`); a flag wins over its variable.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
}

/// Prints the configuration.
pub(crate) fn import(args: &ImportArgs) -> Result<(), Failure> {
    let From::RedisExporter { flags } = &args.from;
    let given = flags::read(flags, environment()).map_err(|text| Failure { code: 2, text })?;
    print(&redis_exporter::configuration(&given))
}

/// What stands in for a configuration that was not given: what redis_exporter's variables ask for, if there are any.
pub(crate) fn from_environment() -> Option<String> {
    let given = flags::read(&[], environment()).ok()?;
    given.is_for_exporter().then(|| redis_exporter::configuration(&given))
}

/// Variables that are text.
fn environment() -> impl Iterator<Item = (String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text)
}
