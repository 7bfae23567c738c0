//! The section of `nop`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

/// There is nothing to set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {}

impl ComponentConfig for Config {}
