//! `streamgauge streams claim`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::server::{Server, show};
use super::when::duration;
use crate::cli::Failure;

#[derive(Debug, Clone, Args)]
pub(super) struct ClaimArgs {
    /// The stream's key.
    stream: String,
    /// The consumer group.
    group: String,
    /// Who gets the entries.
    #[arg(long, value_name = "CONSUMER")]
    to: String,
    /// Only entries that nobody has touched for so long.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    min_idle: Duration,
    /// How many entries at most, the oldest first.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    entries: u64,
    /// Only what this consumer has.
    #[arg(long, value_name = "CONSUMER")]
    from: Option<String>,
    /// Show what would be claimed.
    #[arg(long)]
    dry_run: bool,
}

/// Entries change hands without being read: their number of deliveries stays.
pub(super) async fn claim(server: &mut Server, args: &ClaimArgs, json: bool) -> Result<(), Failure> {
    let (key, group) = (args.stream.as_bytes(), args.group.as_bytes());
    let (idle, count) = (args.min_idle.as_millis().to_string(), args.entries.to_string());
    let mut words: Vec<&[u8]> =
        vec![b"XPENDING", key, group, b"IDLE", idle.as_bytes(), b"-", b"+", count.as_bytes()];
    words.extend(args.from.as_ref().map(|consumer| consumer.as_bytes()));
    let found = server.one(key, &words).await?;
    let ids: Vec<String> =
        found.as_array().into_iter().flatten().filter_map(|row| Some(row[0].as_str()?.to_owned())).collect();
    let mut claimed = Value::Array(ids.iter().map(|id| id.as_str().into()).collect());
    if !args.dry_run && !ids.is_empty() {
        let about = json!({"stream": args.stream, "group": args.group, "to": args.to, "entries": ids.len()});
        server.audit.write("streams claim", &about)?;
        let mut words: Vec<&[u8]> = vec![b"XCLAIM", key, group, args.to.as_bytes(), idle.as_bytes()];
        words.extend(ids.iter().map(String::as_bytes));
        words.push(b"JUSTID");
        claimed = server.one(key, &words).await?;
    }
    let many = claimed.as_array().map_or(0, Vec::len) as u64;
    let all = json!({"stream": args.stream, "group": args.group, "consumer": args.to, "claimed": claimed, "dry_run": args.dry_run});
    show(json, &all, || {
        let done = if args.dry_run { "would go" } else { "went" };
        let many = match many {
            0 => "nothing".to_owned(),
            1 => "1 entry".to_owned(),
            many => format!("{many} entries"),
        };
        format!("{many} {done} to {}", args.to)
    })
}
