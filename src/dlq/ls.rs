//! `streamgauge dlq ls`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::letter::Filter;
use crate::cli::Failure;
use crate::human;
use crate::streams::server::{Server, cell, show};
use crate::streams::when;

#[derive(Debug, Clone, Args)]
pub(super) struct LsArgs {
    /// Globs that the names match.
    #[arg(default_values = ["*:dlq", "*:dead_letter:*"])]
    globs: Vec<String>,
    #[command(flatten)]
    filter: Filter,
}

/// Letters that are looked at for their reasons.
const LOOKED_AT: u64 = 10_000;
const HEADS: [&str; 5] = ["STREAM", "LETTERS", "OLDEST", "NEWEST", "REASONS"];

/// One line a stream.
pub(super) async fn ls(server: &mut Server, args: &LsArgs, json: bool) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for glob in &args.globs {
        keys.extend(server.streams(glob).await?);
    }
    keys.sort();
    keys.dedup();
    let mut all = Vec::new();
    for key in keys {
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        let (mut oldest, mut newest) = (None, None);
        let looked = args.filter.walk(server, &key, Some(LOOKED_AT), async |_, letter| {
            let reason = letter.field("dlq.error.type").unwrap_or_else(|| "unknown".to_owned());
            *reasons.entry(reason).or_default() += 1;
            oldest.get_or_insert_with(|| letter.id.clone());
            newest = Some(letter.id);
            Ok(())
        });
        let looked = looked.await?;
        let length = server.one(&key, &[b"XLEN", &key]).await?;
        all.push(json!({"stream": String::from_utf8_lossy(&key), "letters": length, "looked_at": looked,
            "oldest": oldest, "newest": newest, "reasons": reasons}));
    }
    show(json, &Value::Array(all.clone()), || match all.is_empty() {
        true => format!("No dead letter stream matches {}.", args.globs.join(" or ")),
        false => table(&all),
    })
}

fn table(all: &[Value]) -> String {
    let age = |id: &Value| id.as_str().and_then(when::age).map_or("-".to_owned(), human::age);
    let line = |row: &Value| {
        let mut reasons: Vec<(&String, u64)> = row["reasons"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(reason, count)| (reason, count.as_u64().unwrap_or(0)))
            .collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let reasons: Vec<String> =
            reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let reasons = if reasons.is_empty() { "-".to_owned() } else { reasons.join(", ") };
        vec![cell(&row["stream"]), cell(&row["letters"]), age(&row["oldest"]), age(&row["newest"]), reasons]
    };
    let heads = HEADS.map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(all.iter().map(line)).collect();
    human::table(&rows, &[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_reason_stands_first() {
        let rows = [
            json!({"stream": "a:dlq", "letters": 12, "oldest": "1-1", "newest": "2-1", "reasons": {"body": 2, "max_deliveries": 10}}),
            json!({"stream": "empty:dlq", "letters": 0, "oldest": null, "newest": null, "reasons": {}}),
        ];
        insta::assert_snapshot!(table(&rows), @"
        STREAM     LETTERS  OLDEST  NEWEST  REASONS
        a:dlq           12  -       -       max_deliveries 10, body 2
        empty:dlq        0  -       -       -
        ");
    }
}
