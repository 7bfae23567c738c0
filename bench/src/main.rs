//! Measures the collector's binary and prints tables: what, its limit, what was measured.
//!
//! Claims of speed and size in the documents are rows of these tables. Exits with 1 when a row is over its limit.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are this program's output")]
#![allow(clippy::expect_used, reason = "a bench that is broken stops at the place that broke")]

mod chaos;
mod idle;
mod otlp;
mod proc;
mod streams;
mod table;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::otlp::OtlpArgs;

/// Measures the collector.
#[derive(Parser)]
struct Args {
    /// The binary to measure; without it the one built beside this program.
    #[arg(long, global = true)]
    binary: Option<PathBuf>,
    /// What to measure; without it everything.
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// The idle agent: start, memory, CPU.
    Idle {
        /// How long to watch it, in seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Print JSON in place of the table.
        #[arg(long)]
        json: bool,
    },
    /// OTLP in and out, beside a relay that looks at nothing and the peers.
    Otlp(OtlpArgs),
    /// Redis streams in and OTLP out, beside a loop that only reads and acknowledges.
    Streams(streams::StreamsArgs),
    /// What watching 1,000 streams costs, beside redis_exporter on the same data.
    Watch(watch::WatchArgs),
    /// What is lost and kept when things go wrong, ours and the Go Collector's.
    Chaos(chaos::ChaosArgs),
    /// The three most important rows of `otlp`, once.
    Quick,
    #[command(hide = true)]
    Load(otlp::load::LoadArgs),
    #[command(hide = true)]
    Sink(otlp::sink::SinkArgs),
    #[command(hide = true)]
    Relay(otlp::relay::RelayArgs),
    #[command(hide = true)]
    Bare(streams::bare::BareArgs),
    #[command(hide = true)]
    Produce(streams::producer::ProduceArgs),
    #[command(hide = true)]
    Write(otlp::writer::WriterArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let binary = args.binary.unwrap_or_else(beside_this_program);
    let held = match args.what {
        None => otlp(&OtlpArgs::everything(), &binary),
        Some(What::Idle { seconds, json }) => {
            printed(&idle::measure(&binary, Duration::from_secs(seconds)), json)
        }
        Some(What::Otlp(args)) => otlp(&args, &binary),
        Some(What::Streams(args)) => match streams::measure(&args, &binary) {
            Ok(rows) => printed(&rows, args.json),
            Err(error) => {
                eprintln!("bench: {error}");
                false
            }
        },
        Some(What::Watch(args)) => watch::run(&args, &binary).unwrap_or_else(|error| {
            eprintln!("bench: {error}");
            false
        }),
        Some(What::Chaos(args)) => chaos::run(&args, &binary).unwrap_or_else(|error| {
            eprintln!("bench: {error}");
            false
        }),
        Some(What::Quick) => otlp(&OtlpArgs::quick(), &binary),
        Some(What::Load(args)) => child(otlp::load::run(args)),
        Some(What::Sink(args)) => child(otlp::sink::run(args)),
        Some(What::Relay(args)) => child(otlp::relay::run(args)),
        Some(What::Bare(args)) => streams::bare::run(args),
        Some(What::Produce(args)) => streams::producer::run(args),
        Some(What::Write(args)) => child(otlp::writer::run(args)),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints rows; whether all hold.
fn printed(rows: &[table::Row], json: bool) -> bool {
    println!("{}", if json { table::json(rows).to_string() } else { table::text(rows) });
    rows.iter().all(table::Row::holds)
}

/// The rows asked for; with the document, the idle agent too.
fn otlp(args: &OtlpArgs, binary: &Path) -> bool {
    let idle = if args.document { idle::measure(binary, Duration::from_secs(60)) } else { Vec::new() };
    if args.document {
        println!("{}\n", table::text(&idle));
    }
    let held = otlp::measure(args, binary, &idle).unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        false
    });
    held && idle.iter().all(table::Row::holds)
}

/// One thread, as children have one core.
fn child(mode: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("make a runtime");
    runtime.block_on(mode);
    true
}

fn beside_this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("streamgauge")
}
