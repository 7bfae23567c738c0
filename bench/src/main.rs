//! Measures the collector's binary and prints one table: what, its limit, what was measured.
//!
//! Claims of speed and size in the documents are rows of this table. Exits with 1 when a row is over its limit.
#![allow(clippy::print_stdout, reason = "the table is this program's output")]

mod idle;
mod proc;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Measures the collector.
#[derive(Parser)]
struct Args {
    /// The binary to measure; without it the one built beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How long to watch the idle collector, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Print JSON in place of the table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let binary = args.binary.unwrap_or_else(beside_this_program);
    let rows = idle::measure(&binary, Duration::from_secs(args.seconds));
    println!("{}", if args.json { table::json(&rows) } else { table::text(&rows) });
    if rows.iter().all(table::Row::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn beside_this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("streamgauge")
}
