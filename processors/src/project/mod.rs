//! `project`: says which project data belongs to.
//!
//! The first rule that matches gives the value of a resource attribute, `project.id`. Where records of one resource
//! belong to different projects, the resource is split: each project gets its own copy with its records.
//!
//! Data passes through with its acks; nothing is held. A request that is malformed at a border, or in a
//! resource's attributes, is rejected: nothing passes without a project.

mod config;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use streamgauge_component::{
    Batch, ComponentError, ConfigType, Create, Description, Out, Processor, ProcessorFactory, Reason, Signal,
    Stability,
};
use streamgauge_pdata::regroup;

pub use config::{ProjectConfig, ProjectRule};
use rules::{Finder, Rules};

/// Registers `project`.
pub static FACTORY: ProcessorFactory = ProcessorFactory {
    description: Description {
        name: "project",
        aliases: &[],
        summary: "Says which project data belongs to",
        signals: &Signal::ALL,
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<ProjectConfig>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Processor>, ComponentError> {
    let config = create.config::<ProjectConfig>()?;
    let rules = Rules::new(&config)
        .map_err(|error| ComponentError(format!("{}: a pattern of its rules: {error}", create.host.id())))?;
    Ok(Arc::new(ProjectProcessor { attribute: config.attribute.clone(), rules }))
}

struct ProjectProcessor {
    attribute: String,
    rules: Rules,
}

impl Processor for ProjectProcessor {
    fn process(&self, mut batch: Batch, out: &mut Out) {
        let (signal, context) = (batch.signal, batch.context.clone());
        let mut finder = Finder::new(&self.rules, &context);
        for mut part in std::mem::take(&mut batch.parts) {
            match regroup(signal, &mut part.bytes, &self.attribute, &self.rules.default, &mut finder) {
                Ok(edited) if edited.broken > 0 => {
                    out.reject(
                        part,
                        Reason::Malformed,
                        "the attributes of a resource are malformed: it can have no project",
                    );
                }
                Ok(_) => batch.parts.push(part),
                Err(error) => out.reject(part, Reason::Malformed, error.to_string()),
            }
        }
        out.send(batch);
    }
}
