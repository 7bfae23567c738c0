//! `streamgauge run`: the collector itself.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use streamgauge_component::{Clock, Host};
use streamgauge_engine::Books;
use streamgauge_telemetry::Logs;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::{self, ConfigArgs, Failure};
use crate::collector::{Collector, storage};
use crate::configuration::{self, Configuration};
use crate::watch::Watch;
use crate::{control, first_screen, import};

/// What runs without a `--config` when nothing else says what to do.
const BUILT_IN: &str = include_str!("builtin.yaml");
const DEFAULT_REDIS: &str = "127.0.0.1:6379";

/// What runs without a `--config`: what redis_exporter's variables ask for, if there are any.
pub(crate) fn built_in() -> String {
    import::from_environment().unwrap_or_else(|| BUILT_IN.to_owned())
}

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// When what the components do once at their beginning is done.
const SETTLED: Duration = Duration::from_secs(5);

/// Gives back the pages of the binary that nobody uses now, see docs/adr/0024.
fn give_back() {
    match streamgauge_pages::release() {
        Ok(bytes) => tracing::debug!(bytes, "pages of the program's file given back"),
        Err(error) => tracing::debug!(%error, "pages of the program's file stay mapped"),
    }
}

/// Runs until a signal ends it.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let imported = args.config.config.is_empty() && import::from_environment().is_some();
    let first = args.config.config.is_empty() && !imported;
    let configuration =
        configuration::load(&args.config, Some(&built_in())).map_err(|d| configuration::failure(&d))?;
    configuration::warn(&configuration.warnings);
    let runtime = runtime().map_err(Failure::runtime)?;
    if first {
        let endpoint = std::env::var("REDIS_URL").unwrap_or_else(|_| DEFAULT_REDIS.to_owned());
        cli::print(&runtime.block_on(first_screen::text(&endpoint)))?;
    }
    let logs = Logs::install().map_err(Failure::runtime)?;
    logs.apply(&configuration.telemetry.logs).map_err(Failure::runtime)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Starting streamgauge...");
    if imported {
        tracing::info!(
            "redis_exporter's variables are the configuration: see streamgauge import redis-exporter"
        );
    }
    runtime.block_on(collect(configuration, &args.config, &logs))
}

/// One worker a CPU that the process may use; no workers at all when that is one.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let runtime = match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        n => tokio::runtime::Builder::new_multi_thread().worker_threads(n).enable_all().build(),
    }?;
    // A timer before all others costs a system call, and so would every request's timeout when nothing else waits.
    runtime.spawn(async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    Ok(runtime)
}

async fn collect(configuration: Configuration, args: &ConfigArgs, logs: &Logs) -> Result<(), Failure> {
    let host = Host::new(Clock::system(), Arc::default(), Arc::default());
    let mut signals = Signals::new().map_err(Failure::runtime)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::runtime)?;
    let (requests, mut asked) = mpsc::channel(1);
    let books = Books::new(host.registry().clone(), storage(&configuration.config));
    host.set_control(Arc::new(control::Process { books: books.clone(), requests }));
    let mut files = Watch::new(&args.config);
    let mut collector = Collector::start(configuration, host, logs, books).await.map_err(Failure::runtime)?;
    let load = || configuration::load(args, Some(&built_in()));
    let fallen = loop {
        // What has read and checked the configuration is not needed until there is another one, and what connects and
        // introduces itself for the first time not much longer.
        give_back();
        tokio::spawn(async {
            tokio::time::sleep(SETTLED).await;
            give_back();
        });
        let watching = collector.settings().reload.watch;
        let (trigger, answer): (_, Option<control::Request>) = tokio::select! {
            () = signals.end() => break None,
            why = collector.fatal() => break Some(why),
            _ = hangup.recv() => ("SIGHUP", None),
            Some(request) = asked.recv() => ("API", Some(request)),
            () = files.changed(), if watching => ("file", None),
        };
        files.mark();
        let reloaded = collector.reload(trigger, load).await;
        if let Some(answer) = answer {
            let _ = answer.send(reloaded); // who asked may have gone
        }
    };
    drop(asked);
    collector.stop(signals.end()).await;
    match fallen {
        None => Ok(()),
        Some(why) => Err(Failure::runtime(why)),
    }
}

/// What the operating system ends a collector with.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns when the collector is told to end.
    async fn end(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "terminated",
            _ = self.interrupt.recv() => "interrupt",
        };
        tracing::info!(signal = name, "Received signal from OS");
    }
}
