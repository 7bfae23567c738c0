//! What can be typed.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{
    bench, components, demo, dlq, doctor, explain, export, health, import, print_config, queue, run, streams,
    validate,
};

/// Exit codes, the same for every command.
pub(crate) mod exit {
    /// Something failed while running.
    pub(crate) const RUNTIME: u8 = 1;
    /// The configuration is wrong.
    pub(crate) const CONFIGURATION: u8 = 3;
    /// What was examined is not well.
    pub(crate) const UNWELL: u8 = 5;
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
    /// Check a configuration; says nothing when it is right.
    Validate(validate::ValidateArgs),
    /// Examine what a configuration names: the Redis servers, their streams, the exporters' peers, the disks.
    Doctor(doctor::DoctorArgs),
    /// List the components of this binary.
    Components(components::ComponentsArgs),
    /// Print the configuration that all sources make together.
    #[command(alias = "print-initial-config")]
    PrintConfig(print_config::PrintConfigArgs),
    /// Print other programs' settings as a configuration.
    Import(import::ImportArgs),
    /// Print what other programs need to know of a configuration.
    Export(export::ExportArgs),
    /// Ask a running collector's health check.
    Health(health::HealthArgs),
    /// Look at the queues on the disk, send them again, empty them.
    Queue(queue::QueueArgs),
    /// Look at the streams of a Redis, and work on them.
    Streams(streams::StreamsArgs),
    /// Look at dead letter streams, put letters back, empty them.
    Dlq(dlq::DlqArgs),
    /// Put load on a Redis.
    Bench(bench::BenchArgs),
    /// Say what an answer of Redis means, and what to do.
    Explain(explain::ExplainArgs),
    /// Show the main job on a private Redis, or the one of REDIS_URL, with a workload.
    Demo(demo::DemoArgs),
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
        Some(Command::Validate(args)) => validate::validate(&args),
        Some(Command::Doctor(args)) => doctor::doctor(&args),
        Some(Command::Components(args)) => components::components(&args),
        Some(Command::PrintConfig(args)) => print_config::print_config(&args),
        Some(Command::Import(args)) => import::import(&args),
        Some(Command::Export(args)) => export::export(&args),
        Some(Command::Health(args)) => health::health(&args),
        Some(Command::Queue(args)) => queue::queue(&args),
        Some(Command::Streams(args)) => streams::streams(&args),
        Some(Command::Dlq(args)) => dlq::dlq(&args),
        Some(Command::Bench(args)) => bench::bench(&args),
        Some(Command::Explain(args)) => explain::explain(&args),
        Some(Command::Demo(args)) => demo::demo(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text.is_empty() {
                let _ = writeln!(std::io::stderr(), "{}", failure.text.trim_end());
            }
            ExitCode::from(failure.code)
        }
    }
}

/// Writes a command's result to standard output. A reader that has gone away, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::runtime(e)),
        _ => Ok(()),
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
