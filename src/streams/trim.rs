//! `streamgauge streams trim`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use streamgauge_redis::StreamId;

use super::server::{Server, cell, confirm, object, show};
use super::when::{Place, duration, place};
use crate::cli::Failure;

#[derive(Debug, Clone, Args)]
pub(super) struct TrimArgs {
    /// The stream's key.
    stream: String,
    #[command(flatten)]
    bound: Bound,
    /// To the entry, not to whole nodes of about 100.
    #[arg(long)]
    exact: bool,
    /// Also entries that a group has not acknowledged.
    #[arg(long)]
    force: bool,
    /// Show what would go.
    #[arg(long)]
    dry_run: bool,
    /// The stream's name again, instead of typing it when asked.
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

/// What is kept: one of them.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
struct Bound {
    /// Keep so many entries.
    #[arg(long, value_name = "N")]
    max_len: Option<u64>,
    /// Keep entries from this id or time on.
    #[arg(long, value_name = "PLACE", value_parser = place)]
    min_id: Option<Place>,
    /// Keep entries that are not older.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_age: Option<Duration>,
}

/// Removes the oldest entries; not those that a group still wants, unless that is said.
pub(super) async fn trim(server: &mut Server, args: &TrimArgs, json: bool) -> Result<(), Failure> {
    let key = args.stream.as_bytes();
    let length = server.one(key, &[b"XLEN", key]).await?.as_u64().unwrap_or(0);
    let first_kept = first_kept(server, args, length).await?;
    let wanted = wanted(server, key).await?;
    // Somebody wants an entry before the first that is kept.
    let losing: Vec<&Wanted> = wanted.iter().filter(|group| group.from < first_kept).collect();
    let bound =
        if args.force { first_kept } else { losing.iter().map(|g| g.from).fold(first_kept, StreamId::min) };
    let goes = match args.bound.max_len {
        Some(most) if bound == first_kept => length.saturating_sub(most),
        _ => count_before(server, key, bound, length).await?,
    };
    let told: Vec<Value> = losing
        .iter()
        .map(|group| json!({"group": group.name, "wants_from": group.from.to_string()}))
        .collect();
    let preview = || {
        let about = if args.exact || goes == 0 { "" } else { "About " };
        let mut text =
            format!("{about}{goes} of {length} entries of {} go: all before {bound}.", args.stream);
        for group in &losing {
            let what = match args.force {
                true => "loses what it has not acknowledged from",
                false => "holds entries from",
            };
            text.push_str(&format!(
                "\nGroup {} {what} {} on{}.",
                group.name,
                group.from,
                if args.force { "" } else { " (--force removes them)" }
            ));
        }
        text
    };
    let mut removed = None;
    if !args.dry_run {
        confirm(&args.stream, args.yes.as_deref(), &preview())?;
        let about =
            json!({"stream": args.stream, "length": length, "before": bound.to_string(), "goes": goes});
        server.audit.write("streams trim", &about)?;
        let sign: &[u8] = if args.exact { b"=" } else { b"~" };
        let words: [&[u8]; 5] = [b"XTRIM", key, b"MINID", sign, &bound.to_string().into_bytes()];
        removed = server.one(key, &words).await?.as_u64();
    }
    let all = json!({"stream": args.stream, "length": length, "goes": goes, "before": bound.to_string(),
        "groups": told, "removed": removed, "dry_run": args.dry_run});
    show(json, &all, || match removed {
        None => preview(),
        Some(removed) => format!("removed {removed} entries of {}", args.stream),
    })
}

/// The first entry that the bound keeps.
async fn first_kept(server: &mut Server, args: &TrimArgs, length: u64) -> Result<StreamId, Failure> {
    let key = args.stream.as_bytes();
    if let Some(most) = args.bound.max_len {
        if most >= length {
            return Ok(StreamId::ZERO);
        }
        if most == 0 {
            return Ok(StreamId { ms: u64::MAX, seq: u64::MAX });
        }
        return nth_last(server, key, most, length).await;
    }
    let from = match (args.bound.min_id, args.bound.max_age) {
        (Some(from), _) => from,
        (None, Some(age)) => place(&format!("{}ms", age.as_millis())).map_err(Failure::runtime)?,
        (None, None) => Place::Start,
    };
    Ok(match from {
        Place::Start => StreamId::ZERO,
        Place::End => StreamId { ms: u64::MAX, seq: u64::MAX },
        Place::At(id) => id,
    })
}

/// The id of the oldest of the so many youngest entries, found page by page from the end that is nearer.
async fn nth_last(server: &mut Server, key: &[u8], many: u64, length: u64) -> Result<StreamId, Failure> {
    const PAGE: u64 = 1000;
    let from_start = length - many + 1;
    let (command, mut left): (&[u8], u64) =
        if from_start < many { (b"XRANGE", from_start) } else { (b"XREVRANGE", many) };
    let is_forward = command == b"XRANGE";
    let mut from = if is_forward { "-" } else { "+" }.to_owned();
    let to: &[u8] = if is_forward { b"+" } else { b"-" };
    loop {
        let count = left.min(PAGE).to_string();
        let page = server.one(key, &[command, key, from.as_bytes(), to, b"COUNT", count.as_bytes()]).await?;
        let page = page.as_array().map(Vec::as_slice).unwrap_or_default();
        let last = page.last().and_then(|entry| StreamId::parse(entry[0].as_str()?.as_bytes()));
        let Some(last) = last else { return Ok(StreamId::ZERO) };
        left = left.saturating_sub(page.len() as u64);
        if left == 0 {
            return Ok(last);
        }
        from = format!("({last}");
    }
}

/// How many entries stand before an id.
async fn count_before(server: &mut Server, key: &[u8], id: StreamId, length: u64) -> Result<u64, Failure> {
    const PAGE: usize = 1000;
    let mut from = "-".to_owned();
    let mut count = 0;
    let end = format!("({id}");
    while count < length && id != StreamId::ZERO {
        let page =
            server.one(key, &[b"XRANGE", key, from.as_bytes(), end.as_bytes(), b"COUNT", b"1000"]).await?;
        let page = page.as_array().map(Vec::as_slice).unwrap_or_default();
        count += page.len() as u64;
        match page.last().and_then(|entry| entry[0].as_str()) {
            Some(last) if page.len() == PAGE => from = format!("({last}"),
            _ => break,
        }
    }
    Ok(count)
}

/// A group, and the first entry that it has not acknowledged.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) from: StreamId,
}

/// Of every group.
pub(super) async fn wanted(server: &mut Server, key: &[u8]) -> Result<Vec<Wanted>, Failure> {
    let groups = server.one(key, &[b"XINFO", b"GROUPS", key]).await?;
    let id = |value: &Value| value.as_str().and_then(|text| StreamId::parse(text.as_bytes()));
    let mut all = Vec::new();
    for group in groups.as_array().into_iter().flatten().map(object) {
        let name = cell(&group["name"]);
        let delivered = id(&group["last-delivered-id"]).unwrap_or(StreamId::ZERO);
        // The one behind the last that was delivered.
        let mut from = StreamId { ms: delivered.ms, seq: delivered.seq.saturating_add(1) };
        if group["pending"].as_u64().is_some_and(|pending| pending > 0) {
            let pending = server.one(key, &[b"XPENDING", key, name.as_bytes()]).await?;
            from = from.min(id(&pending[1]).unwrap_or(from));
        }
        all.push(Wanted { name, from });
    }
    Ok(all)
}
