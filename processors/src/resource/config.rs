//! The section of `resource`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

use crate::actions::{ActionConfig, problems};

/// Settings of the `resource` processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfig {
    /// What to do, in this order.
    pub attributes: Vec<ActionConfig>,
}

impl ComponentConfig for ResourceConfig {
    fn problems(&self) -> Vec<(String, String)> {
        problems("attributes", &self.attributes)
    }
}
