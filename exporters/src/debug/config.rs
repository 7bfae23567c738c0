//! The section of `debug`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

/// How much is shown of what arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `basic` shows one line a request, `normal` one line a record, `detailed` everything.
    pub verbosity: Verbosity,
    /// Requests shown in each second, before sampling begins.
    pub sampling_initial: u64,
    /// Of the requests after them every n-th is shown; 1 is all, 0 is none.
    pub sampling_thereafter: u64,
    /// `true` writes into the collector's own log, `false` to standard output.
    pub use_internal_logger: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            verbosity: Verbosity::Basic,
            sampling_initial: 2,
            sampling_thereafter: 1,
            use_internal_logger: true,
        }
    }
}

impl ComponentConfig for Config {}

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// One line a request.
    #[default]
    Basic,
    /// One line a record.
    Normal,
    /// Everything.
    Detailed,
}
