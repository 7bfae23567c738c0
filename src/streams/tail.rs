//! `streamgauge streams tail`.

use clap::Args;
use streamgauge_streams::{Entries, Request};

use super::entry::Shown;
use super::server::Server;
use super::when::{Place, place};
use crate::cli::{Failure, print};

#[derive(Debug, Clone, Args)]
pub(super) struct TailArgs {
    /// The stream's key.
    stream: String,
    /// How many of the last entries to show.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    entries: u64,
    /// Show entries from here on instead: an id, a time, or how long ago (`15m`).
    #[arg(long, value_name = "PLACE", value_parser = place)]
    from: Option<Place>,
    /// Go on with the entries that come.
    #[arg(short, long)]
    follow: bool,
}

/// The oldest first, as they came. Nobody's group is touched.
pub(super) async fn tail(server: &mut Server, args: &TailArgs, json: bool) -> Result<(), Failure> {
    let key = args.stream.as_bytes();
    let count = args.entries.to_string();
    let mut first = match args.from {
        Some(from) => {
            let replies = server
                .ask(
                    key,
                    &Request::of(&[b"XRANGE", key, from.from().as_bytes(), b"+", b"COUNT", count.as_bytes()]),
                )
                .await?;
            Shown::all(&replies.last().ok().map_err(Failure::runtime)?)?
        }
        None => {
            let replies = server
                .ask(key, &Request::of(&[b"XREVRANGE", key, b"+", b"-", b"COUNT", count.as_bytes()]))
                .await?;
            let mut last = Shown::all(&replies.last().ok().map_err(Failure::runtime)?)?;
            last.reverse();
            last
        }
    };
    let mut at = first.last().map_or_else(|| "$".to_owned(), |entry| entry.id.clone());
    loop {
        for entry in std::mem::take(&mut first) {
            print(&if json { entry.json().to_string() } else { entry.text() })?;
        }
        if !args.follow {
            return Ok(());
        }
        if at == "$" {
            // Between two calls `$` would miss what comes: the first tells where that is.
            let info = server.one(key, &[b"XINFO", b"STREAM", key]).await?;
            at = super::server::object(&info)["last-generated-id"].as_str().unwrap_or("0-0").to_owned();
        }
        let words: [&[u8]; 8] =
            [b"XREAD", b"COUNT", b"100", b"BLOCK", b"5000", b"STREAMS", key, at.as_bytes()];
        let replies = server.ask(key, &Request::of(&words)).await?;
        let reply = replies.last().ok().map_err(Failure::runtime)?;
        let mut entries = Entries::of_streams(&reply);
        while entries.next_stream().map_err(Failure::runtime)?.is_some() {
            first.extend(Shown::rest(&mut entries)?);
        }
        if let Some(last) = first.last() {
            at = last.id.clone();
        }
    }
}
