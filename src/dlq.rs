//! `streamgauge dlq`: dead letter streams.
//!
//! - [`ls`], [`show`], [`export`]: look at letters and why they are there.
//! - [`requeue`]: back into the stream that they came from, or another one, as fast as is said.
//! - [`purge`]: gone for good, once the name was said again.
//!
//! [`letter`] is what a letter says about itself, and which letters are meant.

mod export;
mod letter;
mod ls;
mod purge;
mod requeue;
mod show;

use clap::{Args, Subcommand};

use crate::cli::Failure;
use crate::streams::server::{self, Server, ServerArgs};

#[derive(Debug, Clone, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// List dead letter streams, and why their letters are there.
    Ls(ls::LsArgs),
    /// Show letters.
    Show(show::ShowArgs),
    /// Put letters back into the stream that they came from, or another one.
    Requeue(requeue::RequeueArgs),
    /// Remove letters for good.
    Purge(purge::PurgeArgs),
    /// Write letters as a line of JSON each.
    Export(export::ExportArgs),
}

/// Runs one of the commands.
pub(crate) fn dlq(args: &DlqArgs) -> Result<(), Failure> {
    let json = args.server.json;
    server::run(&args.server, async |server: &mut Server| match &args.command {
        Command::Ls(args) => ls::ls(server, args, json).await,
        Command::Show(args) => show::show(server, args, json).await,
        Command::Requeue(args) => requeue::requeue(server, args, json).await,
        Command::Purge(args) => purge::purge(server, args, json).await,
        Command::Export(args) => export::export(server, args, json).await,
    })
}
