//! `streamgauge run`: the collector itself.

use std::sync::Arc;

use clap::Args;
use streamgauge_component::{Clock, Host};
use streamgauge_engine::Running;
use streamgauge_telemetry::{Logs, Telemetry};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{self, ConfigArgs, Failure};
use crate::configuration::{self, Configuration};
use crate::first_screen;

/// What runs without a `--config`.
pub(crate) const BUILT_IN: &str = include_str!("builtin.yaml");
const DEFAULT_REDIS: &str = "127.0.0.1:6379";

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Runs until a signal ends it.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let first = args.config.config.is_empty();
    let configuration =
        configuration::load(&args.config, Some(BUILT_IN)).map_err(|d| configuration::failure(&d))?;
    configuration::warn(&configuration.warnings);
    let runtime = runtime().map_err(Failure::runtime)?;
    if first {
        let endpoint = std::env::var("REDIS_URL").unwrap_or_else(|_| DEFAULT_REDIS.to_owned());
        cli::print(&runtime.block_on(first_screen::text(&endpoint)))?;
    }
    let logs = Logs::install().map_err(Failure::runtime)?;
    logs.apply(&configuration.telemetry.logs).map_err(Failure::runtime)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting streamgauge...");
    runtime.block_on(collect(configuration, &logs))
}

/// One worker a CPU that the process may use; no workers at all when that is one.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        n => tokio::runtime::Builder::new_multi_thread().worker_threads(n).enable_all().build(),
    }
}

async fn collect(configuration: Configuration, logs: &Logs) -> Result<(), Failure> {
    let host = Host::new(Clock::system(), Arc::default(), Arc::default());
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::runtime)?;
    let (registry, board) = (Arc::clone(host.registry()), Arc::clone(host.board()));
    let telemetry =
        Telemetry::start(&configuration.telemetry, registry, board, logs).await.map_err(Failure::runtime)?;
    let patience = configuration.plan.settings().shutdown_timeout;
    let running = Running::start(&configuration.plan, host).await.map_err(Failure::runtime)?;
    let mut signals = async || {
        let name = tokio::select! {
            _ = terminate.recv() => "terminated",
            _ = interrupt.recv() => "interrupt",
        };
        tracing::info!(signal = name, "Received signal from OS");
    };
    let fallen = tokio::select! {
        () = signals() => None,
        why = running.fatal() => Some(why),
    };
    running.stop_until(patience, signals()).await;
    telemetry.shutdown().await;
    match fallen {
        None => Ok(()),
        Some(why) => Err(Failure::runtime(why)),
    }
}
