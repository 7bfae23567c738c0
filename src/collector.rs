//! The collector in this process: started by a configuration, changed by the next, stopped.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use streamgauge_component::{Host, InstrumentKind, LastReload, Registry, Reloaded};
use streamgauge_config::{Config, Section, Style, render};
use streamgauge_engine::{Books, Changes, Ledger, Running, ServiceSettings};
use streamgauge_telemetry::{Logs, Telemetry, TelemetryConfig};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::configuration::Configuration;
use crate::control::stamp;

/// What runs, and by which settings of `service`.
pub(crate) struct Collector {
    running: Running,
    telemetry: Telemetry,
    /// As written: what is compared with the next configuration's.
    telemetry_section: Section,
    telemetry_config: TelemetryConfig,
    settings: ServiceSettings,
    host: Host,
    logs: Logs,
    books: Arc<Books>,
    /// Reads and writes them, until the other is dropped.
    keeping: (JoinHandle<()>, oneshot::Sender<()>),
}

/// Why something could not be started, in words for people.
pub(crate) type Why = String;

impl Collector {
    pub(crate) async fn start(
        configuration: Configuration,
        host: Host,
        logs: &Logs,
        books: Arc<Books>,
    ) -> Result<Self, Why> {
        let Configuration { config, plan, telemetry: telemetry_config, .. } = configuration;
        let telemetry = Telemetry::start(&telemetry_config, &host, logs).await.map_err(|e| e.to_string())?;
        telemetry.trace().map_err(|e| e.to_string())?;
        let (end, ended) = oneshot::channel();
        let keeping = (tokio::spawn(books.clone().keep(host.clone(), ended)), end);
        let running = Running::start(&plan, host.clone()).await.map_err(|e| e.to_string())?;
        Ok(Collector {
            running,
            telemetry,
            telemetry_section: config.service.telemetry,
            telemetry_config,
            settings: plan.settings().clone(),
            host,
            logs: logs.clone(),
            books,
            keeping,
        })
    }

    pub(crate) fn settings(&self) -> &ServiceSettings {
        &self.settings
    }

    /// Returns when the collector has to end, with the reason.
    pub(crate) async fn fatal(&self) -> Why {
        self.running.fatal().await
    }

    /// Runs the configuration that `load` gives, or goes on as before; says what came of it in the log, in the health
    /// and in the metrics too.
    pub(crate) async fn reload(
        &mut self,
        trigger: &'static str,
        load: impl FnOnce() -> Result<Configuration, streamgauge_config::Diagnostics>,
    ) -> Reloaded {
        tracing::info!(trigger, "Reading the configuration again");
        let result = match load() {
            Ok(configuration) => self.follow(configuration).await,
            Err(found) => Err(found
                .into_iter()
                .filter(|d| d.severity == streamgauge_config::Severity::Error)
                .map(|d| render(&[d].into_iter().collect(), Style::Plain).trim_end().to_owned())
                .collect()),
        };
        tell(&self.host, trigger, &result);
        match result {
            Ok(changes) => {
                Reloaded { changes: serde_json::to_value(changes).unwrap_or_default(), errors: Vec::new() }
            }
            Err(errors) => Reloaded { errors, ..Reloaded::default() },
        }
    }

    async fn follow(&mut self, next: Configuration) -> Result<Changes, Vec<Why>> {
        let Configuration { config, plan, telemetry: telemetry_config, warnings, .. } = next;
        crate::configuration::warn(&warnings);
        let storage = storage(&config);
        let section = config.service.telemetry;
        let telemetry = if section == self.telemetry_section {
            None
        } else {
            self.logs.apply(&telemetry_config.logs).map_err(|error| vec![error.to_string()])?;
            match Telemetry::start(&telemetry_config, &self.host, &self.logs).await {
                Ok(telemetry) => Some(telemetry),
                Err(error) => {
                    self.restore_log();
                    return Err(vec![error.to_string()]);
                }
            }
        };
        // What is on its way out may take as long as the settings of today say.
        let mut changes = match self.running.reload(&plan, self.settings.shutdown_timeout).await {
            Ok(changes) => changes,
            Err(why) => {
                if let Some(telemetry) = telemetry {
                    self.restore_log();
                    telemetry.close().await;
                }
                return Err(why);
            }
        };
        self.settings = plan.settings().clone();
        self.books.set_storage(storage);
        if let Some(telemetry) = telemetry {
            if let Err(error) = telemetry.trace() {
                tracing::warn!(%error, "no spans of our own");
            }
            let before = std::mem::replace(&mut self.telemetry, telemetry);
            (self.telemetry_section, self.telemetry_config) = (section, telemetry_config);
            tokio::spawn(before.close());
            changes.replaced.push("service/telemetry".to_owned());
        }
        Ok(changes)
    }

    fn restore_log(&self) {
        if let Err(error) = self.logs.apply(&self.telemetry_config.logs) {
            tracing::warn!(%error, "the log could not be set back");
        }
    }

    /// Stops; the draining ends when `skip` returns.
    pub(crate) async fn stop(self, skip: impl Future<Output = ()>) {
        let registry = self.running.registry().clone();
        let before = lost(&registry);
        let (keeping, end) = self.keeping;
        drop(end);
        let _ = keeping.await; // a panic was told already
        let last_write = self.books.last_write(&self.host);
        self.running.stop_until(self.settings.shutdown_timeout, skip).await;
        let lost = lost(&registry) - before;
        if lost > 0 {
            let what = "lost at the stop: not delivered in time, and their clients had their answer";
            tracing::error!(items = lost, "{what}; a queue with a storage keeps such items");
        }
        account(&self.books.ledger());
        self.books.close(last_write).await;
        self.telemetry.shutdown().await;
    }
}

/// The extension that stores the ledger: the first that stores anything.
pub(crate) fn storage(config: &Config) -> Option<String> {
    let stores = |id: &&streamgauge_config::ComponentId| {
        config.extensions.get(id).is_some_and(|extension| extension.type_name == "file_storage")
    };
    config.service.extensions.iter().find(stores).map(ToString::to_string)
}

/// Items that came back to a door whose client had its answer already: nobody sends them again.
fn lost(registry: &Registry) -> u64 {
    let came_back = |i: &&Arc<streamgauge_component::Instrument>| {
        let answer = i.attributes.iter().find(|(name, _)| *name == "answer");
        i.name == "streamgauge.receiver.came_back.items" && answer.is_some_and(|(_, value)| value == "none")
    };
    registry.instruments().iter().filter(came_back).map(|i| i.value.get()).sum()
}

/// The ledger in the log: in one line when all is well, else with its table.
fn account(ledger: &Ledger) {
    let summary = ledger.summary();
    let since = ledger.since.map(|since| {
        let (runs, s) = (ledger.runs, if ledger.runs == 1 { "" } else { "s" });
        format!(" since {}, {runs} run{s}", stamp(since))
    });
    let since = since.unwrap_or_default();
    if summary.dropped + summary.returned + summary.held == 0 {
        tracing::info!("Ledger{since}: {summary}");
    } else {
        tracing::warn!("Ledger{since}: {summary}\n{ledger}");
    }
}

fn tell(host: &Host, trigger: &'static str, result: &Result<Changes, Vec<Why>>) {
    let now = SystemTime::now();
    let instrument =
        |kind, name, unit, help, attributes| host.registry().instrument(kind, name, unit, help, attributes);
    let count = |result: &str| {
        let help = "Reloads of the configuration, by what came of them.";
        let attributes = vec![("result", result.to_owned())];
        instrument(InstrumentKind::Counter, "streamgauge.reload.count", "{reload}", help, attributes)
    };
    let help = "1 when the last reload was refused: what runs is not what is written.";
    let refused = instrument(InstrumentKind::Gauge, "streamgauge.reload.refused", "", help, vec![]);
    let help = "When a reload last went well, in seconds since 1970; 0 before the first.";
    let success = instrument(InstrumentKind::Gauge, "streamgauge.reload.last_success", "s", help, vec![]);
    let error = match result {
        Ok(changes) => {
            count("ok").value.add(1);
            refused.value.set(0);
            success.value.set(now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
            if changes.is_empty() {
                tracing::info!(trigger, "Nothing has changed");
            } else {
                tracing::info!(trigger, "Runs the new configuration: {changes}");
            }
            None
        }
        Err(errors) => {
            count("refused").value.add(1);
            refused.value.set(1);
            let why = errors.join("\n");
            tracing::error!(trigger, "The new configuration is refused, the old one runs on:\n{why}");
            Some(why)
        }
    };
    host.board().set_reload(LastReload { at: now, error });
}
