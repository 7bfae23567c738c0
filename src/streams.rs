//! `streamgauge streams`: the streams of a Redis, as its own commands show them, and what people do to them.
//!
//! - [`ls`], [`inspect`], [`tail`], [`find`], [`pending`]: look; names and numbers are those of XINFO and XPENDING.
//! - [`publish`], [`claim`]: add an entry; take over entries that somebody left.
//! - [`trim`], [`reset`]: with a preview of what is lost, replayed or skipped, and only once the name was said again.
//!
//! [`place`] says which Redis is meant, [`server`] is the way to its nodes, [`entry`] how an entry is shown; `streamgauge dlq` uses both.

mod audit;
mod claim;
pub(crate) mod entry;
mod find;
mod inspect;
mod ls;
mod pending;
mod place;
mod publish;
mod reset;
pub(crate) mod server;
mod tail;
mod trim;
pub(crate) mod when;

use clap::{Args, Subcommand};

use crate::cli::Failure;
use server::{Server, ServerArgs};

#[derive(Debug, Clone, Args)]
pub(crate) struct StreamsArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// List streams: how long they are, and how far their groups are behind.
    Ls(ls::LsArgs),
    /// Show all that the server says of a stream, its groups and their consumers.
    Inspect(inspect::InspectArgs),
    /// Show the last entries, and those that come.
    Tail(tail::TailArgs),
    /// Find the entries that have a value, such as a correlation id, in all streams.
    Find(find::FindArgs),
    /// Show the entries that a group has not acknowledged.
    Pending(pending::PendingArgs),
    /// Give entries that a consumer left to another one.
    Claim(claim::ClaimArgs),
    /// Remove the oldest entries.
    Trim(trim::TrimArgs),
    /// Add an entry, and say its id.
    Publish(publish::PublishArgs),
    /// Let a group read again, or skip, from a place on.
    Reset(reset::ResetArgs),
}

/// Runs one of the commands.
pub(crate) fn streams(args: &StreamsArgs) -> Result<(), Failure> {
    let json = args.server.json;
    server::run(&args.server, async |server: &mut Server| match &args.command {
        Command::Ls(args) => ls::ls(server, args, json).await,
        Command::Inspect(args) => inspect::inspect(server, args, json).await,
        Command::Tail(args) => tail::tail(server, args, json).await,
        Command::Find(args) => find::find(server, args, json).await,
        Command::Pending(args) => pending::pending(server, args, json).await,
        Command::Claim(args) => claim::claim(server, args, json).await,
        Command::Trim(args) => trim::trim(server, args, json).await,
        Command::Publish(args) => publish::publish(server, args, json).await,
        Command::Reset(args) => reset::reset(server, args, json).await,
    })
}
