//! `streamgauge streams find`.

use clap::Args;
use serde_json::Value;
use streamgauge_streams::{Entries, Item, Request, StreamId};

use super::entry::Shown;
use super::server::{Server, explained};
use super::when::{Place, place};
use crate::cli::{Failure, print};

#[derive(Debug, Clone, Args)]
pub(super) struct FindArgs {
    /// The value: a correlation id, a user, an order.
    value: String,
    /// The field that has the value; any field without it.
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// A glob that the streams' names match; dead letter streams are streams too.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    streams: String,
    /// Entries from here on: an id, a time, or how long ago (`15m`).
    #[arg(long, value_name = "PLACE", value_parser = place)]
    since: Option<Place>,
    /// At most so many.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Entries that are read at once.
const PAGE: usize = 1000;

/// Entries of all streams in which a field has the value.
pub(super) async fn find(server: &mut Server, args: &FindArgs, json: bool) -> Result<(), Failure> {
    let mut found = 0;
    for key in server.streams(&args.streams).await? {
        let name = String::from_utf8_lossy(&key).into_owned();
        let mut from = args.since.map_or("-".to_owned(), Place::from);
        while found < args.limit {
            let (page, last, is_last) = page(server, args, &key, &from).await?;
            for entry in page.into_iter().take(args.limit - found) {
                found += 1;
                print(&line(&name, &entry, json))?;
            }
            match last {
                Some(last) if !is_last => from = format!("({last}"),
                _ => break,
            }
        }
    }
    if found == 0 && !json {
        return Err(Failure::runtime(format!("no entry of a stream that matches {} has it", args.streams)));
    }
    Ok(())
}

/// The entries of a page that have the value, the last entry of it, and whether there are no more behind.
async fn page(
    server: &mut Server,
    args: &FindArgs,
    key: &[u8],
    from: &str,
) -> Result<(Vec<Shown>, Option<StreamId>, bool), Failure> {
    let words: [&[u8]; 6] = [b"XRANGE", key, from.as_bytes(), b"+", b"COUNT", b"1000"];
    let replies = server.ask(key, &Request::of(&words)).await?;
    let reply = replies.last().ok().map_err(|refusal| explained(&refusal, &words))?;
    let mut entries = Entries::of_one(reply.list());
    let (mut all, mut last, mut count) = (Vec::new(), None, 0);
    let is_it = |(name, value): &(&[u8], &[u8])| {
        *value == args.value.as_bytes() && args.field.as_ref().is_none_or(|field| *name == field.as_bytes())
    };
    while let Some(item) = entries.next_entry().map_err(Failure::runtime)? {
        let Item::Entry(entry) = item else { continue };
        (last, count) = (Some(entry.id), count + 1);
        if entry.fields.iter().any(is_it) {
            all.push(Shown::of(&entry));
        }
    }
    Ok((all, last, count < PAGE))
}

fn line(stream: &str, entry: &Shown, json: bool) -> String {
    if !json {
        return format!("{stream}  {}", entry.text());
    }
    let mut line = entry.json();
    line["stream"] = Value::from(stream);
    line.to_string()
}
