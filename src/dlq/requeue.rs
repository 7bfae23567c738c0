//! `streamgauge dlq requeue`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use streamgauge_streams::Request;
use tokio::time::{MissedTickBehavior, interval};

use super::letter::{self, Filter};
use crate::cli::Failure;
use crate::streams::entry::Shown;
use crate::streams::server::{Server, confirm, explained, show};

#[derive(Debug, Clone, Args)]
pub(super) struct RequeueArgs {
    /// The dead letter stream.
    stream: String,
    #[command(flatten)]
    filter: Filter,
    /// Where letters go, instead of the stream that each came from.
    #[arg(long, value_name = "STREAM")]
    to: Option<String>,
    /// At most so many letters a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Say how many letters would go where.
    #[arg(long)]
    dry_run: bool,
    /// The dead letter stream's name again, instead of typing it when asked.
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
}

/// Each letter becomes a new entry, without what was said about it, and with `dlq.requeued_from`: its deliveries count from
/// the start. Added and removed in one step where both streams are in one slot; else added first.
pub(super) async fn requeue(server: &mut Server, args: &RequeueArgs, json: bool) -> Result<(), Failure> {
    let key = args.stream.as_bytes();
    let preview = preview(server, args).await?;
    if preview.matching == 0 || args.dry_run {
        let all = json!({"stream": args.stream, "matching": preview.matching, "stay": preview.stay,
            "requeued": 0, "dry_run": args.dry_run});
        return show(json, &all, || preview.text(args));
    }
    confirm(&args.stream, args.yes.as_deref(), &preview.text(args))?;
    let to: Vec<&str> = preview.targets.iter().map(|(to, _)| &**to).collect();
    for (to, _) in &preview.targets {
        check(server, key, to.as_bytes()).await?;
    }
    let about = json!({"stream": args.stream, "letters": preview.matching - preview.stay, "to": to});
    server.audit.write("dlq requeue", &about)?;
    let mut pace = args.rate.map(|rate| {
        let mut pace = interval(Duration::from_secs(1) / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    let mut requeued = 0u64;
    let walked = args.filter.walk(server, key, None, async |server, letter| {
        let Some(to) = target(args, &letter) else { return Ok(()) };
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        send(server, key, to.as_bytes(), &letter).await?;
        requeued += 1;
        Ok(())
    });
    let failed = walked.await.err();
    let all = json!({"stream": args.stream, "matching": preview.matching, "stay": preview.stay,
        "requeued": requeued, "dry_run": false});
    show(json, &all, || format!("requeued {requeued} of {} letters of {}", preview.matching, args.stream))?;
    failed.map_or(Ok(()), Err)
}

struct Preview {
    matching: u64,
    /// Letters that go nowhere.
    stay: u64,
    targets: Vec<(String, u64)>,
}

/// Where a letter goes. One without fields of its own, whose entry was trimmed before it became a letter, is no entry.
fn target(args: &RequeueArgs, letter: &Shown) -> Option<String> {
    let to = args.to.clone().or_else(|| letter.field("dlq.stream"));
    to.filter(|_| !letter::original(letter).is_empty())
}

async fn preview(server: &mut Server, args: &RequeueArgs) -> Result<Preview, Failure> {
    let mut preview = Preview { matching: 0, stay: 0, targets: Vec::new() };
    let walked = args.filter.walk(server, args.stream.as_bytes(), None, async |_, letter| {
        preview.matching += 1;
        match target(args, &letter) {
            None => preview.stay += 1,
            Some(to) => match preview.targets.iter_mut().find(|(known, _)| *known == to) {
                Some((_, count)) => *count += 1,
                None => preview.targets.push((to, 1)),
            },
        }
        Ok(())
    });
    walked.await?;
    Ok(preview)
}

impl Preview {
    fn text(&self, args: &RequeueArgs) -> String {
        let mut text = format!("{} letters of {} match.", self.matching, args.stream);
        for (to, count) in &self.targets {
            text.push_str(&format!("\n{count} go to {to}."));
        }
        if self.stay > 0 {
            let why = "they say no stream that they came from (name one with --to), or hold no fields";
            text.push_str(&format!("\n{} stay: {why}.", self.stay));
        }
        text
    }
}

/// Sees to it that letters go into a stream: in MULTI the XDEL would go through although the XADD fails.
async fn check(server: &mut Server, from: &[u8], to: &[u8]) -> Result<(), Failure> {
    if !server.same_place(from, to).await {
        return Ok(());
    }
    // Whoever may not ask for the type can still write.
    let kind = server.one(to, &[b"TYPE", to]).await.ok();
    match kind.as_ref().and_then(|kind| kind.as_str()) {
        None | Some("none" | "stream") => Ok(()),
        Some(kind) => Err(Failure::runtime(format!(
            "nothing was done: {} is a {kind} and no stream; name another with --to",
            String::from_utf8_lossy(to)
        ))),
    }
}

async fn send(server: &mut Server, from: &[u8], to: &[u8], letter: &Shown) -> Result<(), Failure> {
    let fields = letter::original(letter);
    let add = |request: &mut Request| {
        request.begin(5 + 2 * fields.len()).word(b"XADD").word(to).word(b"*");
        for (name, value) in &fields {
            request.word(name).word(value);
        }
        let place = format!("{} {}", String::from_utf8_lossy(from), letter.id);
        request.word(b"dlq.requeued_from").word(place.as_bytes());
    };
    let id = letter::id(letter)?.to_string();
    let delete: [&[u8]; 3] = [b"XDEL", from, id.as_bytes()];
    if server.same_place(from, to).await {
        let mut request = Request::of(&[b"MULTI"]);
        add(&mut request);
        request.command(&delete).command(&[b"EXEC"]);
        let replies = server.ask(to, &request).await?;
        // Also what EXEC says of each command.
        let told = replies.iter().chain(replies.last().list());
        let refused = told.into_iter().find_map(|reply| reply.ok().err());
        return refused.map_or(Ok(()), |refusal| Err(explained(&refusal, &[b"XADD", to])));
    }
    let mut request = Request::new();
    add(&mut request);
    let replies = server.ask(to, &request).await?;
    replies.last().ok().map_err(|refusal| explained(&refusal, &[b"XADD", to]))?;
    server.one(from, &delete).await.map(drop)
}
