//! `batch`: joins small requests and cuts large ones.
//!
//! Data waits until there are `send_batch_size` items of it or `timeout` has passed; requests are put in a row, nothing
//! is copied but what must be cut. Requests with different values of the `metadata_keys` are kept apart.
//!
//! Held: the parts with their acks, which are settled by what comes after. A stop lets everything go.

mod config;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Create, Description, Held, Host, Instrument, InstrumentKind,
    JoinRules, Joiner, Out, Outcome, Processor, ProcessorFactory, Reason, Signal, Sizer, Stability,
};

pub use config::BatchConfig;

/// Registers `batch`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "batch",
        aliases: &[],
        summary: "Joins small requests and cuts large ones",
        signals: &Signal::ALL,
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<BatchConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<BatchConfig>()?;
    let joiner = Joiner::new(JoinRules {
        sizer: Sizer::Items,
        min_size: config.send_batch_size,
        max_size: config.send_batch_max_size,
        timeout: config.timeout,
        keys: config.metadata_keys.clone(),
        max_groups: if config.metadata_keys.is_empty() { 0 } else { config.metadata_cardinality_limit },
    });
    let trigger = |name, help| counter(&create.host, name, help);
    Ok(Arc::new(BatchProcessor {
        joiner: Mutex::new(joiner),
        by_size: trigger(
            "otelcol_processor_batch_batch_size_trigger_send",
            "Batches sent because they were full.",
        ),
        by_timeout: trigger(
            "otelcol_processor_batch_timeout_trigger_send",
            "Batches sent because of the timeout.",
        ),
    }))
}

fn counter(host: &Host, name: &'static str, help: &'static str) -> Arc<Instrument> {
    host.instrument(InstrumentKind::Counter, name, "{batch}", help, Vec::new())
}

struct BatchProcessor {
    joiner: Mutex<Joiner>,
    by_size: Arc<Instrument>,
    by_timeout: Arc<Instrument>,
}

impl BatchProcessor {
    fn lock(&self) -> MutexGuard<'_, Joiner> {
        self.joiner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processor for BatchProcessor {
    fn process(&self, batch: Batch, out: &mut Out) {
        let mut joiner = self.lock();
        match joiner.push(batch, out.now().instant) {
            Ok(complete) => send(complete, &self.by_size, out),
            // A place is free as soon as one of the groups has gone.
            Err(refused) => {
                for part in refused.parts {
                    out.give_back(part, Outcome::retry(Reason::CardinalityLimit));
                }
            }
        }
        wake_at(&joiner, out);
    }

    fn wake(&self, out: &mut Out) {
        let mut joiner = self.lock();
        let complete = joiner.wake(out.now().instant);
        send(complete, &self.by_timeout, out);
        wake_at(&joiner, out);
    }

    fn flush(&self, out: &mut Out) {
        self.lock().flush().into_iter().for_each(|batch| out.send(batch));
    }

    fn held(&self) -> Held {
        self.lock().held()
    }
}

fn send(complete: Vec<Batch>, why: &Instrument, out: &mut Out) {
    why.value.add(complete.len() as u64);
    complete.into_iter().for_each(|batch| out.send(batch));
}

fn wake_at(joiner: &Joiner, out: &mut Out) {
    if let Some(due) = joiner.due() {
        out.wake_at(due);
    }
}
