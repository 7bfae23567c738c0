//! `streamgauge dlq show`.

use clap::Args;
use serde_json::Value;

use super::letter::{self, Filter};
use crate::cli::Failure;
use crate::streams::server::{self, Server};

#[derive(Debug, Clone, Args)]
pub(super) struct ShowArgs {
    /// The dead letter stream.
    stream: String,
    #[command(flatten)]
    filter: Filter,
}

/// Letters that are shown when nobody says how many.
const FEW: u64 = 10;

/// Letters with all their fields, the oldest first.
pub(super) async fn show(server: &mut Server, args: &ShowArgs, json: bool) -> Result<(), Failure> {
    let most = args.filter.limited(FEW);
    let letters = args.filter.collect(server, args.stream.as_bytes(), Some(most)).await?;
    let all: Value = letters.iter().map(letter::json).collect();
    server::show(json, &all, || match letters.is_empty() {
        true => "No letters.".to_owned(),
        false => letters.iter().map(|letter| letter.text()).collect::<Vec<_>>().join("\n\n"),
    })
}
