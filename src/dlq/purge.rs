//! `streamgauge dlq purge`.

use clap::Args;
use serde_json::json;

use super::letter::Filter;
use crate::cli::Failure;
use crate::human;
use crate::streams::server::{Server, confirm, show};

#[derive(Debug, Clone, Args)]
pub(super) struct PurgeArgs {
    /// The dead letter stream.
    stream: String,
    #[command(flatten)]
    filter: Filter,
    /// Say how many letters would go.
    #[arg(long)]
    dry_run: bool,
    /// The dead letter stream's name again, instead of typing it when asked.
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

/// Letters that are removed by one command.
const CHUNK: usize = 500;

/// Removes the letters that are there now and match; the stream itself, with its groups, stays.
pub(super) async fn purge(server: &mut Server, args: &PurgeArgs, json: bool) -> Result<(), Failure> {
    let key = args.stream.as_bytes();
    let mut ids = Vec::new();
    let walked = args.filter.walk(server, key, None, async |_, letter| {
        ids.push(letter.id);
        Ok(())
    });
    walked.await?;
    let what = format!("{} of {}", human::count(ids.len() as u64, "letter"), args.stream);
    let mut purged = 0;
    if !args.dry_run && !ids.is_empty() {
        let asked = format!("This removes {what} for good; `streamgauge dlq export` keeps a copy.");
        confirm(&args.stream, args.yes.as_deref(), &asked)?;
        let about =
            json!({"stream": args.stream, "letters": ids.len(), "first": ids.first(), "last": ids.last()});
        server.audit.write("dlq purge", &about)?;
        for chunk in ids.chunks(CHUNK) {
            let mut words: Vec<&[u8]> = vec![b"XDEL", key];
            words.extend(chunk.iter().map(String::as_bytes));
            purged += server.one(key, &words).await?.as_u64().unwrap_or(0);
        }
    }
    let all =
        json!({"stream": args.stream, "matching": ids.len(), "purged": purged, "dry_run": args.dry_run});
    show(json, &all, || match args.dry_run {
        true => format!("{what} would go"),
        false => format!("purged {purged} of {}", args.stream),
    })
}
