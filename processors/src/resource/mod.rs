//! `resource`: changes the attributes of resources.
//!
//! The actions are done in order on every resource of a request; the records below it are not looked at, and a request
//! in which nothing changes passes as it is. A ResourceX without a resource gets one with its first attribute.
//!
//! Data passes through with its acks; nothing is held. A request that is malformed at a border is rejected.

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Create, Description, Instrument, Out, Processor, ProcessorFactory,
    Reason, Signal, Stability,
};
use streamgauge_pdata::build::EncodedValue;
use streamgauge_pdata::edit::{Editor, edit_resources};

use crate::actions::{self, Actions};
pub use config::ResourceConfig;

/// Registers `resource`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "resource",
        aliases: &[],
        summary: "Changes the attributes of resources",
        signals: &Signal::ALL,
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<ResourceConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<ResourceConfig>()?;
    let actions = Actions::new(&config.attributes);
    Ok(Arc::new(ResourceProcessor { actions, unreadable: actions::unreadable(&create.host) }))
}

struct ResourceProcessor {
    actions: Actions,
    unreadable: Arc<Instrument>,
}

impl Processor for ResourceProcessor {
    fn process(&self, mut batch: Batch, out: &mut Out) {
        let (signal, context) = (batch.signal, batch.context.clone());
        let mut scratch = EncodedValue::default();
        let parts = std::mem::take(&mut batch.parts);
        for mut part in parts {
            let edit = |e: &mut Editor<'_>| self.actions.apply(&context, e, &mut scratch);
            match edit_resources(signal, &mut part.bytes, edit) {
                Ok(edited) => {
                    self.unreadable.value.add(edited.broken as u64);
                    batch.parts.push(part);
                }
                Err(error) => out.reject(part, Reason::Malformed, error.to_string()),
            }
        }
        out.send(batch);
    }
}
