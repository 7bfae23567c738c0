//! `streamgauge doctor`: what a configuration names, looked at where it is.
//!
//! - `servers`: which Redis servers are meant and what is needed of them; `redis` goes through one of them: `reach`,
//!   `rights`, `features`, `state`, `custom`, `streams`.
//! - `consumed`, `written`: the Redis servers whose streams are read for a group, and those that exporters write to.
//! - `peers`: whom the exporters send to.
//! - `disk`: the directories of queues and dead letters.
//! - `finding`: how it is told. `progress`: all at once, with a word about what takes long.
//!
//! It only reads, in the monitor's manners, and ends in time. The one thing it writes is an empty file in a directory
//! that the collector would write to, removed at once.

mod consumed;
mod custom;
mod disk;
mod features;
mod finding;
mod peers;
mod progress;
mod reach;
mod redis;
mod rights;
mod servers;
mod state;
mod streams;
mod tls;
mod written;

use std::time::Duration;

use clap::Args;

use crate::cli::{ConfigArgs, Failure, exit, print};
use crate::configuration;

#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The longest that the examination of one target may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// A consumer that holds nothing and has done nothing for so long has leaked.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = humantime::parse_duration)]
    leaked_after: Duration,
    /// A pending entry that was neither acknowledged nor claimed for so long is forgotten.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    forgotten_after: Duration,
    /// Print the findings as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Bounds of an examination.
#[derive(Clone, Copy, Debug)]
struct Limits {
    timeout: Duration,
    leaked_after: Duration,
    forgotten_after: Duration,
}

/// Examines everything that the pipelines use. Exit code 5 when something does not work.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<(), Failure> {
    let configuration =
        configuration::load(&args.config, None).map_err(|found| configuration::failure(&found))?;
    configuration::warn(&configuration.warnings);
    let config = &configuration.config;
    let limits = Limits {
        timeout: args.timeout,
        leaked_after: args.leaked_after,
        forgotten_after: args.forgotten_after,
    };
    let read = |found| configuration::failure(&found);
    let mut all = servers::examinations(config, limits).map_err(read)?;
    all.extend(consumed::examinations(config, limits).map_err(read)?);
    all.extend(peers::examinations(config, limits).map_err(read)?);
    all.extend(written::examinations(config, limits).map_err(read)?);
    all.extend(disk::examinations(config, limits).map_err(read)?);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::runtime)?;
    let findings = runtime.block_on(progress::together(all));
    // A disk that does not answer must not hold the end.
    runtime.shutdown_background();
    print(&if args.json { format!("{:#}", finding::machine(&findings)) } else { finding::text(&findings) })?;
    if finding::failed(&findings) {
        return Err(Failure { code: exit::UNWELL, text: String::new() });
    }
    Ok(())
}
