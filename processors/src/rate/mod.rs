//! `rate`: how fast counters grow.
//!
//! For each point of a counter that a rule names it adds a gauge: what the counter grew by from the oldest to the
//! newest point in the window, or that over the time between the two. Counters that begin anew are understood, by
//! their start time or because they fall. The data itself passes through unchanged, with its acks.
//!
//! State is one window a series, at most `max_series`; a series that says that it ends (NoRecordedValue) takes its
//! gauge along, one that is silent for a window is forgotten.

mod config;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Create, Description, Out, Part, Processor, ProcessorFactory, Signal,
    Stability,
};

pub use config::{Output, RateConfig, RateRule};
use state::Rates;

/// Registers `rate`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "rate",
        aliases: &[],
        summary: "Adds gauges of how fast counters grow",
        signals: &[Signal::Metrics],
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<RateConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<RateConfig>()?;
    Ok(Arc::new(RateProcessor { rates: Mutex::new(Rates::new(&config, &create.host)) }))
}

struct RateProcessor {
    rates: Mutex<Rates>,
}

impl Processor for RateProcessor {
    fn process(&self, batch: Batch, out: &mut Out) {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let created: Vec<Part> =
            batch.parts.iter().filter_map(|part| rates.take(&part.bytes, out.now().unix_nanos)).collect();
        let context = batch.context.clone();
        out.send(batch);
        if !created.is_empty() {
            out.create(Batch { signal: Signal::Metrics, context, parts: created });
        }
    }
}
