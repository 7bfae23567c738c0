//! What can be typed.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::run;

/// Exit codes, the same for every command.
pub(crate) mod exit {
    /// Something failed while running.
    pub(crate) const RUNTIME: u8 = 1;
    /// The configuration is wrong.
    pub(crate) const CONFIGURATION: u8 = 3;
    // 2 is a wrong command line; clap ends with it by itself.
}

/// A telemetry collector for Redis. Without a command it runs.
#[derive(Debug, Parser)]
#[command(name = "streamgauge", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector (the default).
    Run(run::RunArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// A configuration: a file, or `file:`, `yaml:`, `env:` and what follows. May be given several times: maps merge, lists are replaced.
    #[arg(long, value_name = "LOCATION")]
    pub(crate) config: Vec<String>,
    /// One setting that wins over all files: `a.b.c=value`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Accepted for the Collector's sake: no gates exist here.
    #[arg(long, value_name = "GATES", hide = true)]
    pub(crate) feature_gates: Vec<String>,
}

/// Reads the command line, runs the command, says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.text.trim_end());
            ExitCode::from(failure.code)
        }
    }
}

/// Why a command failed: the text for people and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Failure {
    /// Something failed while running.
    pub(crate) fn runtime(error: impl std::fmt::Display) -> Self {
        Failure { code: exit::RUNTIME, text: format!("Error: {error}") }
    }
}
