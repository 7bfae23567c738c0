//! `streamgauge bench`: load for a Redis, to see how the rest behaves under it.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::json;
use streamgauge_streams::Request;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::Failure;
use crate::streams::server::{self, Server, ServerArgs, explained, show};

#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Add entries to a stream: `event_type` test_message, `data` test_0, test_1, and on.
    Produce(ProduceArgs),
}

#[derive(Debug, Clone, Args)]
struct ProduceArgs {
    /// The stream's key.
    #[arg(long, value_name = "NAME", default_value = "events:chat")]
    stream: String,
    /// How many entries.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    count: u64,
    /// At most so many a second; as fast as the server takes them without it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Entries that are sent in one piece.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pipeline: u64,
}

/// Runs one of the commands.
pub(crate) fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let json = args.server.json;
    server::run(&args.server, async |server: &mut Server| match &args.command {
        Command::Produce(args) => produce(server, args, json).await,
    })
}

async fn produce(server: &mut Server, args: &ProduceArgs, json: bool) -> Result<(), Failure> {
    let key = args.stream.as_bytes();
    let piece = args.rate.map_or(args.pipeline, |rate| args.pipeline.min(rate));
    let mut pace = args.rate.map(|rate| {
        let mut pace = interval(Duration::from_secs_f64(piece as f64 / rate as f64));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    let (began, mut sent, mut request) = (Instant::now(), 0, Request::new());
    while sent < args.count {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        request.clear();
        let until = (sent + piece).min(args.count);
        for number in sent..until {
            let data = format!("test_{number}");
            request.command(&[b"XADD", key, b"*", b"event_type", b"test_message", b"data", data.as_bytes()]);
        }
        let replies = server.ask(key, &request).await?;
        if let Some(refusal) = replies.iter().find_map(|reply| reply.ok().err()) {
            return Err(explained(&refusal, &[b"XADD", key]));
        }
        sent = until;
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = sent as f64 / seconds.max(1e-9);
    let all = json!({"stream": args.stream, "entries": sent, "seconds": seconds, "entries_per_second": rate});
    show(json, &all, || format!("added {sent} entries to {} in {seconds:.3} s ({rate:.0}/s)", args.stream))
}
