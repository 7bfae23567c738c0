//! `percentile`: quantiles over a sliding window.
//!
//! Values (of gauges, histograms, and as a connector also of spans and logs) go into base-2 exponential histograms, one a
//! group of series and part of the window; every interval the quantiles of each window become gauges. At scale 5 a
//! quantile is off by at most 1.1 %. As a processor the data passes through unchanged, with its acks; as a connector it
//! ends here.
//!
//! State is one window a group, at most `max_series` a rule; what comes beyond goes into one overflow group.

mod config;
mod group;
mod input;
mod metrics;
mod source;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use streamgauge_component::{
    Batch, ComponentError, ConfigType, ConnectorFactory, Context, Create, Description, Kind, Out, Part,
    Processor, ProcessorFactory, Signal, Stability,
};

pub use config::{PercentileConfig, PercentileRule, SpanValue};
use input::Percentiles;

const DESCRIPTION: Description = Description {
    name: "percentile",
    aliases: &[],
    summary: "Adds quantiles over a sliding window, exact to 1.1 %",
    signals: &[Signal::Metrics],
    stability: Stability::Alpha,
    readme: include_str!("README.md"),
};

/// Registers `percentile` as a processor.
pub static FACTORY: ProcessorFactory =
    ProcessorFactory { description: DESCRIPTION, config: ConfigType::of::<PercentileConfig>(), create };

/// Registers `percentile` as a connector.
pub static CONNECTOR: ConnectorFactory = ConnectorFactory {
    description: DESCRIPTION,
    signals: &[
        (Signal::Metrics, Signal::Metrics),
        (Signal::Traces, Signal::Metrics),
        (Signal::Logs, Signal::Metrics),
    ],
    config: ConfigType::of::<PercentileConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<PercentileConfig>()?;
    let passes = create.host.kind() == Kind::Processor;
    if let Some(number) = config.rules.iter().position(|rule| passes && rule.metric.is_none()) {
        return Err(ComponentError(format!(
            "rules::{number}: a metrics pipeline has no spans and logs: use percentile as a connector for span and attribute"
        )));
    }
    Ok(Arc::new(Percentile {
        passes,
        id: create.host.id().clone(),
        percentiles: Mutex::new(Percentiles::new(&config, &create.host)),
    }))
}

struct Percentile {
    /// Whether the data passes through.
    passes: bool,
    id: Arc<str>,
    percentiles: Mutex<Percentiles>,
}

impl Processor for Percentile {
    fn process(&self, batch: Batch, out: &mut Out) {
        let mut percentiles = self.lock();
        for part in &batch.parts {
            percentiles.take(batch.signal, &part.bytes, out.now());
        }
        if self.passes {
            out.send(batch);
        } else {
            batch.parts.into_iter().for_each(|part| out.deliver(part));
        }
        percentiles.schedule(out);
    }

    fn wake(&self, out: &mut Out) {
        let mut percentiles = self.lock();
        let created = percentiles.emit_due(out.now());
        self.create(created, out);
        percentiles.schedule(out);
    }

    fn flush(&self, out: &mut Out) {
        let created = self.lock().emit_changed(out.now());
        self.create(created, out);
    }
}

impl Percentile {
    fn lock(&self) -> MutexGuard<'_, Percentiles> {
        self.percentiles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, created: Option<Part>, out: &mut Out) {
        if let Some(part) = created {
            let arrival = UNIX_EPOCH + Duration::from_nanos(out.now().unix_nanos);
            let context = Arc::new(Context::new(self.id.clone(), arrival));
            out.create(Batch::of(Signal::Metrics, context, part));
        }
    }
}
