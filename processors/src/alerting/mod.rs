//! `alerting`: rules on metrics, with Prometheus' states, on the way.
//!
//! Each rule compares the points of a metric with a warning and a critical bound; `core/alerts` holds the states. As a
//! processor the data passes through unchanged, with its acks, and `ALERTS` series are added: 1 while an alert is
//! pending or firing, NoRecordedValue when it ends. As a connector it takes metrics in and gives one log record a
//! transition to logs pipelines, and the `ALERTS` series to metrics pipelines.
//!
//! State is what is active or just resolved, at most `max_series`; with `storage` it outlives the process.

mod config;
mod emit;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use streamgauge_alerts::Transition;
use streamgauge_component::{
    Batch, ComponentError, ConfigType, ConnectorFactory, Context, Create, Description, Kind, Lasting, Out,
    Part, Processor, ProcessorFactory, Signal, Stability,
};

pub use config::{AlertRule, AlertingConfig, Clear, NoDataRule, Silence};
use state::Watch;

const DESCRIPTION: Description = Description {
    name: "alerting",
    aliases: &[],
    summary: "Alerts on metrics with Prometheus' states, two bounds and hysteresis",
    signals: &[Signal::Metrics],
    stability: Stability::Alpha,
    readme: include_str!("README.md"),
};

/// Registers `alerting` as a processor.
pub static FACTORY: ProcessorFactory =
    ProcessorFactory { description: DESCRIPTION, config: ConfigType::of::<AlertingConfig>(), create };

/// Registers `alerting` as a connector.
pub static CONNECTOR: ConnectorFactory = ConnectorFactory {
    description: DESCRIPTION,
    signals: &[(Signal::Metrics, Signal::Logs), (Signal::Metrics, Signal::Metrics)],
    config: ConfigType::of::<AlertingConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<AlertingConfig>()?;
    let passes = create.host.kind() == Kind::Processor;
    Ok(Arc::new(Alerting {
        passes,
        series: create.signals.contains(&Signal::Metrics),
        events: !passes && create.signals.contains(&Signal::Logs),
        id: create.host.id().clone(),
        storage: config.storage.clone(),
        watch: Mutex::new(Watch::new(&config, &create.host)),
    }))
}

struct Alerting {
    /// Whether the data passes through.
    passes: bool,
    /// Whether `ALERTS` series are made.
    series: bool,
    /// Whether log records are made.
    events: bool,
    id: Arc<str>,
    /// The extension that keeps its state over restarts.
    storage: Option<String>,
    watch: Mutex<Watch>,
}

impl Processor for Alerting {
    fn process(&self, batch: Batch, out: &mut Out) {
        let mut watch = self.lock();
        let mut transitions = Vec::new();
        for part in &batch.parts {
            watch.take(&part.bytes, out.now().unix_nanos, &mut transitions);
        }
        let context = batch.context.clone();
        if self.passes {
            out.send(batch);
        } else {
            batch.parts.into_iter().for_each(|part| out.deliver(part));
        }
        self.emit(&watch, &transitions, false, context, out);
        watch.schedule(out);
    }

    fn wake(&self, out: &mut Out) {
        let mut watch = self.lock();
        let mut transitions = Vec::new();
        let repeat = watch.wake(out.now(), &mut transitions);
        let arrival = UNIX_EPOCH + Duration::from_nanos(out.now().unix_nanos);
        let context = Arc::new(Context::new(self.id.clone(), arrival));
        self.emit(&watch, &transitions, repeat, context, out);
        watch.schedule(out);
    }

    fn lasting(&self) -> Option<&dyn Lasting> {
        self.storage.as_ref().map(|_| self as &dyn Lasting)
    }
}

/// A restart neither begins a `for` anew nor tells of an alert twice.
impl Lasting for Alerting {
    fn storage(&self) -> &str {
        self.storage.as_deref().unwrap_or_default()
    }

    fn state(&self) -> Bytes {
        serde_json::to_vec(&self.lock().snapshot()).unwrap_or_default().into()
    }

    fn restore(&self, state: &[u8], out: &mut Out) -> Result<(), String> {
        let snapshot = serde_json::from_slice(state).map_err(|error| error.to_string())?;
        let mut watch = self.lock();
        watch.restore(snapshot, out.now().unix_nanos);
        watch.schedule(out);
        Ok(())
    }
}

impl Alerting {
    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(
        &self,
        watch: &Watch,
        transitions: &[Transition],
        repeat: bool,
        context: Arc<Context>,
        out: &mut Out,
    ) {
        if !transitions.is_empty() {
            out.remember();
        }
        let mut create = |signal, part: Option<Part>| {
            let parts = Vec::from_iter(part);
            if !parts.is_empty() {
                out.create(Batch { signal, context: context.clone(), parts });
            }
        };
        let now = watch.now();
        if self.events {
            create(Signal::Logs, emit::events(transitions, now));
        }
        if self.series {
            create(Signal::Metrics, emit::series(transitions, repeat.then(|| watch.active()), now));
        }
    }
}
