//! `streamgauge queue`: the sending queues on the disk, of a collector that runs or has stopped, and dead letter files.
//!
//! - [`find`]: which queues there are, and who has them in hand.
//! - [`ls`], [`show`], [`export`]: look, and change nothing; a running collector is not held up.
//! - [`purge`]: drops what waits; through the extension `api` when the collector runs.
//! - [`replay`]: sends again what waits in a queue, or lies in a dead letter file ([`letters`]), to a [`target`].

mod api;
mod export;
mod find;
mod letters;
mod look;
mod ls;
mod purge;
mod replay;
mod show;
mod target;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::{ConfigArgs, Failure};

#[derive(Debug, Clone, Args)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// List the queues: what waits in them, how much, and for how long.
    Ls(ls::LsArgs),
    /// Show one queue, and the first records in it.
    Show(show::ShowArgs),
    /// Write what waits in a queue as OTLP; the queue stays as it is.
    Export(export::ExportArgs),
    /// Send a dead letter file, or the queue of a stopped collector, and remove what was acknowledged.
    Replay(replay::ReplayArgs),
    /// Drop what waits in a queue, for good.
    Purge(purge::PurgeArgs),
}

/// Where the queues are.
#[derive(Debug, Clone, Args)]
struct PlaceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The directory of a `file_storage`, instead of those in a configuration.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    directory: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs one of the commands.
pub(crate) fn queue(args: &QueueArgs) -> Result<(), Failure> {
    match &args.command {
        Command::Ls(args) => ls::ls(args),
        Command::Show(args) => show::show(args),
        Command::Export(args) => export::export(args),
        Command::Replay(args) => replay::replay(args),
        Command::Purge(args) => purge::purge(args),
    }
}
