//! `memory_limiter`: bounds the memory that data may hold, and refuses what comes above the soft limit.
//!
//! The bounds are the process's: while an instance lives, the door of every receiver refuses a request before its body
//! is read when they are reached. What still comes here, from receivers without such a door, is given back to its
//! source, which sends it again after a delay. Nothing is lost and nothing is held here.

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Create, Description, MemoryBound, Out, Outcome, Pressure, Processor,
    ProcessorFactory, Reason, Signal, Stability, SystemMemory,
};

pub use config::MemoryLimiterConfig;

/// Registers `memory_limiter`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "memory_limiter",
        aliases: &[],
        summary: "Bounds the memory of data in flight and refuses what comes above it, with a delay",
        signals: &Signal::ALL,
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<MemoryLimiterConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let bounds = create.config::<MemoryLimiterConfig>()?.bounds(&SystemMemory::default())?;
    let megabytes = |bytes: u64| bytes >> 20;
    tracing::info!(
        component = %create.host.id(),
        limit_mib = megabytes(bounds.hard),
        soft_limit_mib = megabytes(bounds.soft),
        "memory is bounded"
    );
    Ok(Arc::new(MemoryLimiter { bound: create.host.budget().bind(bounds) }))
}

struct MemoryLimiter {
    bound: MemoryBound,
}

impl Processor for MemoryLimiter {
    fn process(&self, batch: Batch, out: &mut Out) {
        let Some(pressure) = self.bound.budget().pressure() else { return out.send(batch) };
        let detail: Arc<str> = pressure.to_string().into();
        for part in batch.parts {
            let (reason, after) = (Reason::MemoryLimit, Some(Pressure::DELAY));
            out.give_back(
                part,
                Outcome::Retry { reason, after, answered: false, detail: Some(detail.clone()) },
            );
        }
    }
}
