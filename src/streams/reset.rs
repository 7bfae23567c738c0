//! `streamgauge streams reset`.

use clap::Args;
use serde_json::{Value, json};
use streamgauge_redis::StreamId;

use super::server::{Server, cell, confirm, object, show};
use super::when::{Place, place};
use crate::cli::Failure;

#[derive(Debug, Clone, Args)]
pub(super) struct ResetArgs {
    /// The stream's key.
    stream: String,
    /// The consumer group.
    group: String,
    /// Where the group reads on: `0` is all again, `$` only what comes, an id, a time, or how long ago (`15m`).
    #[arg(long, value_name = "PLACE", value_parser = place)]
    to: Place,
    /// Show what would be read again or skipped.
    #[arg(long)]
    dry_run: bool,
    /// The group's name again, instead of typing it when asked.
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

/// Sets what the group was last given (XGROUP SETID). What its consumers hold stays theirs.
pub(super) async fn reset(server: &mut Server, args: &ResetArgs, json: bool) -> Result<(), Failure> {
    let (key, name) = (args.stream.as_bytes(), args.group.as_bytes());
    let groups = server.one(key, &[b"XINFO", b"GROUPS", key]).await?;
    let group =
        groups.as_array().into_iter().flatten().map(object).find(|group| group["name"] == *args.group);
    let group = group.ok_or_else(|| {
        Failure::runtime(format!("{} has no group {:?}: see `streams inspect`", args.stream, args.group))
    })?;
    let stream = object(&server.one(key, &[b"XINFO", b"STREAM", key]).await?);
    let id = |value: &Value| value.as_str().and_then(|text| StreamId::parse(text.as_bytes()));
    let now = id(&group["last-delivered-id"]).unwrap_or(StreamId::ZERO);
    let end = id(&stream["last-generated-id"]).unwrap_or(StreamId::ZERO);
    let (next, read) = match args.to {
        // The server cannot count what was read from anywhere else: until it reads on, the lag is not known.
        Place::Start => (StreamId::ZERO, Some(0)),
        Place::End => (end, stream["entries-added"].as_u64()),
        Place::At(id) => (before(id), None),
    };
    // Where the server knows the lag nothing need be counted; a lag beyond what is there counts what was trimmed.
    let length = stream["length"].as_u64().unwrap_or(0);
    let lag = group.get("lag").and_then(Value::as_u64).filter(|lag| *lag <= length);
    let (again, skipped) = match (args.to, lag) {
        (Place::Start, Some(lag)) => (length - lag, 0),
        (Place::End, Some(lag)) => (0, lag),
        _ => counted(server, key, now, next).await?,
    };
    let pending = cell(&group["pending"]);
    let preview = || {
        let what = match (again, skipped) {
            (0, 0) => "Nothing is read again or skipped.".to_owned(),
            (again, 0) => format!("{again} entries are read again."),
            (_, skipped) => format!("{skipped} entries are skipped and never read."),
        };
        format!(
            "Group {} of {} goes from {now} to {next}. {what} The {pending} pending entries stay with their consumers.",
            args.group, args.stream
        )
    };
    if !args.dry_run {
        confirm(&args.group, args.yes.as_deref(), &preview())?;
        let about = json!({"stream": args.stream, "group": args.group, "from": now.to_string(),
            "to": next.to_string(), "read_again": again, "skipped": skipped});
        server.audit.write("streams reset", &about)?;
        let (to, read) = (next.to_string(), read.map(|read: u64| read.to_string()));
        let mut words: Vec<&[u8]> = vec![b"XGROUP", b"SETID", key, name, to.as_bytes()];
        let without = words.len();
        // Before Redis 7 nobody counts.
        if let Some(read) = read.as_ref().filter(|_| group.get("entries-read").is_some()) {
            words.extend([b"ENTRIESREAD", read.as_bytes()]);
        }
        if server.one(key, &words).await.is_err() {
            server.one(key, &words[..without]).await?;
        }
    }
    let all = json!({"stream": args.stream, "group": args.group, "from": now.to_string(), "to": next.to_string(),
        "read_again": again, "skipped": skipped, "pending": group["pending"], "dry_run": args.dry_run});
    show(json, &all, || match args.dry_run {
        true => preview(),
        false => format!("group {} of {} reads on behind {next}", args.group, args.stream),
    })
}

/// Entries that are read again, and those that are skipped, when a group goes from one place to another.
async fn counted(
    server: &mut Server,
    key: &[u8],
    now: StreamId,
    next: StreamId,
) -> Result<(u64, u64), Failure> {
    Ok(match next.cmp(&now) {
        std::cmp::Ordering::Less => (between(server, key, next, now).await?, 0),
        std::cmp::Ordering::Equal => (0, 0),
        std::cmp::Ordering::Greater => (0, between(server, key, now, next).await?),
    })
}

/// The last id before another.
fn before(id: StreamId) -> StreamId {
    match (id.ms, id.seq) {
        (0, 0) => id,
        (ms, 0) => StreamId { ms: ms - 1, seq: u64::MAX },
        (ms, seq) => StreamId { ms, seq: seq - 1 },
    }
}

/// Entries behind one id, up to and with another.
async fn between(server: &mut Server, key: &[u8], after: StreamId, until: StreamId) -> Result<u64, Failure> {
    const PAGE: usize = 1000;
    let (mut from, until) = (format!("({after}"), until.to_string());
    let mut count = 0;
    loop {
        let words: [&[u8]; 6] = [b"XRANGE", key, from.as_bytes(), until.as_bytes(), b"COUNT", b"1000"];
        let page = server.one(key, &words).await?;
        let page = page.as_array().map(Vec::as_slice).unwrap_or_default();
        count += page.len() as u64;
        match page.last().and_then(|entry| entry[0].as_str()) {
            Some(last) if page.len() == PAGE => from = format!("({last}"),
            _ => return Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_set_before_an_entry_gets_that_entry() {
        let id = |ms, seq| StreamId { ms, seq };
        assert_eq!(before(id(5, 3)), id(5, 2));
        assert_eq!(before(id(5, 0)), id(4, u64::MAX));
        assert_eq!(before(id(0, 0)), id(0, 0));
    }
}
