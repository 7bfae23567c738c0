//! The section `health_check`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::ComponentConfig;

/// Settings of `health_check`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on, `host:port`.
    pub endpoint: String,
    /// Path that is answered; others get 404.
    pub path: String,
    /// Fixed bodies in place of the JSON.
    pub response_body: Option<ResponseBody>,
    /// Taken from Collector files and without effect, there as here.
    pub check_collector_pipeline: PipelineCheck,
}

/// Fixed bodies in place of the JSON.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseBody {
    /// Body of the answer 200.
    pub healthy: String,
    /// Body of the answer 503.
    pub unhealthy: String,
}

/// Taken from Collector files and without effect.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PipelineCheck {
    /// Without effect.
    pub enabled: bool,
    /// Without effect.
    pub interval: String,
    /// Without effect.
    pub exporter_failure_threshold: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            endpoint: "localhost:13133".to_owned(),
            path: "/".to_owned(),
            response_body: None,
            check_collector_pipeline: PipelineCheck::default(),
        }
    }
}

impl Default for PipelineCheck {
    fn default() -> Self {
        PipelineCheck { enabled: false, interval: "5m".to_owned(), exporter_failure_threshold: 5 }
    }
}

impl ComponentConfig for Config {
    fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let port = self.endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            problems.push(("endpoint".into(), format!("{:?} is not host:port", self.endpoint)));
        }
        if !self.path.starts_with('/') {
            problems.push(("path".into(), "path must start with /".into()));
        }
        problems
    }
}
