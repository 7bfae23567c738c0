//! `streamgauge streams pending`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::server::{Server, cell, show};
use super::when::duration;
use crate::cli::Failure;
use crate::human;

#[derive(Debug, Clone, Args)]
pub(super) struct PendingArgs {
    /// The stream's key.
    stream: String,
    /// The consumer group.
    group: String,
    /// Only what this consumer has.
    #[arg(short, long, value_name = "NAME")]
    consumer: Option<String>,
    /// Only what nobody has touched for so long.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    min_idle: Option<Duration>,
    /// How many entries to show, the oldest first.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    entries: u64,
}

const HEADS: [&str; 4] = ["ID", "CONSUMER", "IDLE-MS", "DELIVERIES"];

/// The summary and the first entries, as XPENDING has them.
pub(super) async fn pending(server: &mut Server, args: &PendingArgs, json: bool) -> Result<(), Failure> {
    let (key, group) = (args.stream.as_bytes(), args.group.as_bytes());
    let summary = server.one(key, &[b"XPENDING", key, group]).await?;
    let idle = args.min_idle.map(|idle| idle.as_millis().to_string());
    let count = args.entries.to_string();
    let mut words: Vec<&[u8]> = vec![b"XPENDING", key, group];
    if let Some(idle) = &idle {
        words.extend([b"IDLE", idle.as_bytes()]);
    }
    words.extend([&b"-"[..], b"+", count.as_bytes()]);
    words.extend(args.consumer.as_ref().map(|consumer| consumer.as_bytes()));
    let entries = server.one(key, &words).await?;
    let rows: Vec<&Value> = entries.as_array().into_iter().flatten().collect();
    let entry =
        |row: &&Value| json!({"id": row[0], "consumer": row[1], "idle_ms": row[2], "deliveries": row[3]});
    let consumers = summary[3].as_array().into_iter().flatten();
    let all = json!({
        "stream": args.stream,
        "group": args.group,
        "total": summary[0],
        "lowest": summary[1],
        "highest": summary[2],
        "consumers": consumers.map(|c| json!({"name": c[0], "pending": number(&c[1])})).collect::<Vec<_>>(),
        "pending": rows.iter().map(entry).collect::<Vec<_>>(),
    });
    show(json, &all, || {
        let mut text = format!("{} pending", cell(&summary[0]));
        if !rows.is_empty() {
            let heads = HEADS.map(str::to_owned).to_vec();
            let line = |row: &&Value| (0..4).map(|at| cell(&row[at])).collect();
            let table: Vec<Vec<String>> = std::iter::once(heads).chain(rows.iter().map(line)).collect();
            text.push_str(&format!(", {} to {}\n\n", cell(&summary[1]), cell(&summary[2])));
            text.push_str(&human::table(&table, &[2, 3]));
        }
        text
    })
}

/// XPENDING says the number of a consumer's entries as a text.
fn number(value: &Value) -> Value {
    value.as_str().and_then(|text| text.parse::<u64>().ok()).map_or(value.clone(), Value::from)
}
