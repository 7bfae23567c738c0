//! How a component is registered: what it is, its typed configuration, how to make one.

use std::any::Any;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use streamgauge_config::{Diagnostics, Section};
use streamgauge_pdata::Signal;

use crate::delivery::DeliverySettings;
use crate::error::ComponentError;
use crate::exporter::Exporter;
use crate::extension::Extension;
use crate::host::Host;
use crate::processor::Processor;
use crate::receiver::Receiver;

/// How far a component can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Names and settings may still change.
    Alpha,
    /// Names and settings stay; changes are announced.
    Beta,
    /// Nothing changes without a new major version.
    Stable,
}

impl Stability {
    /// The Collector's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stability::Alpha => "Alpha",
            Stability::Beta => "Beta",
            Stability::Stable => "Stable",
        }
    }
}

/// What a component is, for people, documents and the checks of a configuration.
#[derive(Debug)]
pub struct Description {
    /// The type in configuration files.
    pub name: &'static str,
    /// Older names that are accepted with a warning.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub summary: &'static str,
    /// Signals it handles; for a connector see [`ConnectorFactory::signals`].
    pub signals: &'static [Signal],
    /// How far it can be relied on.
    pub stability: Stability,
    /// The text of its README.
    pub readme: &'static str,
}

/// A component's configuration, already read and checked.
pub type AnyConfig = Arc<dyn Any + Send + Sync>;

/// A component's typed section.
pub trait ComponentConfig: DeserializeOwned + Serialize + JsonSchema + Send + Sync + 'static {
    /// Checks beyond the types. Path below the section (`a::b`, or empty) and message; all at once.
    fn problems(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Of a connector that chooses among its pipelines: the ways that it chooses from. Any other leads into all of them.
    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }
}

/// A way out of a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it is set, a path below the section.
    pub path: String,
    /// Ids of the pipelines that it leads into.
    pub pipelines: Vec<String>,
}

/// What the engine, the checks and the documents need of a typed section.
#[derive(Debug)]
pub struct ConfigType {
    /// Reads and checks a section.
    pub read: fn(&Section) -> Result<AnyConfig, Diagnostics>,
    /// JSON schema.
    pub schema: fn() -> serde_json::Value,
    /// The section with every default written out; `None` when something must be given. Secrets are redacted.
    pub defaults: fn() -> Option<serde_json::Value>,
    /// A read section with every default written out. Secrets are redacted.
    pub effective: fn(&AnyConfig) -> Option<serde_json::Value>,
    /// See [`ComponentConfig::routes`].
    pub routes: fn(&AnyConfig) -> Vec<Route>,
}

impl ConfigType {
    /// For one type.
    pub const fn of<C: ComponentConfig>() -> Self {
        ConfigType {
            read: read::<C>,
            schema: schema::<C>,
            defaults: defaults::<C>,
            effective: effective::<C>,
            routes: routes::<C>,
        }
    }
}

fn read<C: ComponentConfig>(section: &Section) -> Result<AnyConfig, Diagnostics> {
    let config: C = section.read()?;
    let mut diagnostics = Diagnostics::default();
    for (path, message) in config.problems() {
        let path: Vec<&str> = path.split("::").filter(|key| !key.is_empty()).collect();
        diagnostics.push(section.invalid_at(&path, message));
    }
    if diagnostics.is_empty() { Ok(Arc::new(config)) } else { Err(diagnostics) }
}

fn schema<C: ComponentConfig>() -> serde_json::Value {
    streamgauge_config::schema_of::<C>()
}

fn defaults<C: ComponentConfig>() -> Option<serde_json::Value> {
    let config: C = Section::from_yaml("defaults", "").ok()?.read().ok()?;
    serde_json::to_value(config).ok()
}

fn effective<C: ComponentConfig>(config: &AnyConfig) -> Option<serde_json::Value> {
    serde_json::to_value(config.downcast_ref::<C>()?).ok()
}

fn routes<C: ComponentConfig>(config: &AnyConfig) -> Vec<Route> {
    config.downcast_ref::<C>().map(C::routes).unwrap_or_default()
}

/// What a factory gets to make one instance.
pub struct Create {
    /// The instance's host.
    pub host: Host,
    /// Its configuration, as [`ConfigType::read`] gave it.
    pub config: AnyConfig,
    /// The pipelines' signals it will serve; for a processor exactly one.
    pub signals: Vec<Signal>,
}

impl Create {
    /// The configuration as the component's own type.
    pub fn config<C: ComponentConfig>(&self) -> Result<Arc<C>, ComponentError> {
        self.config.clone().downcast::<C>().map_err(|_| {
            let id = self.host.id();
            ComponentError(format!("{id}: the factory was given the configuration of another component"))
        })
    }
}

impl Route {
    /// Whether it leads into the pipeline of this id.
    pub fn leads_into(&self, pipeline: &str) -> bool {
        self.pipelines.iter().any(|id| id.trim() == pipeline)
    }
}

/// Makes receivers of one type. One instance an id.
#[derive(Debug)]
pub struct ReceiverFactory {
    /// What it is.
    pub description: Description,
    /// Its section.
    pub config: ConfigType,
    /// Makes one.
    pub create: fn(Create) -> Result<Arc<dyn Receiver>, ComponentError>,
}

/// Makes processors of one type. One instance a pipeline and id.
#[derive(Debug)]
pub struct ProcessorFactory {
    /// What it is.
    pub description: Description,
    /// Its section.
    pub config: ConfigType,
    /// Makes one.
    pub create: fn(Create) -> Result<Arc<dyn Processor>, ComponentError>,
}

/// Makes connectors of one type. One instance an id.
#[derive(Debug)]
pub struct ConnectorFactory {
    /// What it is.
    pub description: Description,
    /// From which signal it leads to which.
    pub signals: &'static [(Signal, Signal)],
    /// Its section.
    pub config: ConfigType,
    /// Makes one.
    pub create: fn(Create) -> Result<Arc<dyn Processor>, ComponentError>,
}

/// An exporter with what it wants before it.
pub struct ExporterParts {
    /// The exporter.
    pub exporter: Arc<dyn Exporter>,
    /// Queue, retry and timeout from its section.
    pub delivery: DeliverySettings,
}

/// Makes exporters of one type. One instance an id, one queue an id and signal.
#[derive(Debug)]
pub struct ExporterFactory {
    /// What it is.
    pub description: Description,
    /// Its section.
    pub config: ConfigType,
    /// Makes one.
    pub create: fn(Create) -> Result<ExporterParts, ComponentError>,
}

/// Makes extensions of one type. One instance an id.
#[derive(Debug)]
pub struct ExtensionFactory {
    /// What it is.
    pub description: Description,
    /// Its section.
    pub config: ConfigType,
    /// Makes one.
    pub create: fn(Create) -> Result<Arc<dyn Extension>, ComponentError>,
}
