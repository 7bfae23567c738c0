//! `metricsgeneration`: new metrics out of those that come by, as the Collector's processor of this name has them.
//!
//! A rule takes every point of one metric and calculates with a number, or with the point of a second metric that
//! belongs to it: the same pool's maximum, the same device's capacity. The results are gauges that stand beside the
//! data; the data itself passes through unchanged, with its acks.
//!
//! Nothing is remembered: partners are looked for in the same resource of the same request. What cannot be calculated
//! gives no point, and is counted by reason.

mod config;
mod generate;
mod partners;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Create, Description, Out, Part, Processor, ProcessorFactory, Signal,
    Stability,
};

pub use config::{GenerationRule, MetricsGenerationConfig};
use generate::Generator;

/// Registers `metricsgeneration`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "metricsgeneration",
        aliases: &["experimental_metricsgeneration"],
        summary: "Calculates new metrics from those that come by, such as the utilization of a pool",
        signals: &[Signal::Metrics],
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<MetricsGenerationConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<MetricsGenerationConfig>()?;
    Ok(Arc::new(MetricsGeneration { generator: Generator::new(&config, &create.host)? }))
}

struct MetricsGeneration {
    generator: Generator,
}

impl Processor for MetricsGeneration {
    fn process(&self, batch: Batch, out: &mut Out) {
        let created: Vec<Part> =
            batch.parts.iter().filter_map(|part| self.generator.take(&part.bytes)).collect();
        let context = batch.context.clone();
        out.send(batch);
        if !created.is_empty() {
            out.create(Batch { signal: Signal::Metrics, context, parts: created });
        }
    }
}
