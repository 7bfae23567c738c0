//! The section of `routing`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{ComponentConfig, Route};

use super::condition::{Condition, Subject};

/// Settings of the `routing` connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingConfig {
    /// The routes, asked in this order.
    pub table: Vec<RouteConfig>,
    /// Pipelines for what no route has taken. Without any it is dropped, and counted as `filtered`.
    pub default_pipelines: Vec<String>,
    /// What becomes of a resource whose attributes cannot be read.
    pub error_mode: ErrorMode,
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// What the condition is about.
    pub context: RouteContext,
    /// When the route is taken, such as `attributes["service.name"] == "shop"`.
    pub condition: String,
    /// The same as a statement, `route() where <condition>`; not for `context: request`.
    pub statement: String,
    /// The pipelines that the route leads into.
    pub pipelines: Vec<String>,
    /// Whether what took this route goes to no other.
    pub action: Action,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteContext {
    /// Each resource of a request.
    #[default]
    Resource,
    /// The headers of a request that its receiver keeps (`include_metadata: true`).
    Request,
    /// Refused: a request is divided between its resources only.
    Span,
    /// Refused like `span`.
    Metric,
    /// Refused like `span`.
    Datapoint,
    /// Refused like `span`.
    Log,
}

/// Whether data goes on to the routes that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// What took the route goes to no other.
    #[default]
    Move,
    /// What took the route is asked about by those that follow as well, and goes to the default pipelines if none moves it.
    Copy,
}

/// What becomes of a resource whose attributes cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErrorMode {
    /// It is rejected as malformed, and the sender told.
    #[default]
    Propagate,
    /// It goes to the default pipelines, and the log says so.
    Ignore,
    /// It goes to the default pipelines.
    Silent,
}

impl RouteConfig {
    /// The condition, or what is wrong and with which setting.
    pub(super) fn read(&self) -> Result<Condition, (&'static str, String)> {
        let subject = match self.context {
            RouteContext::Resource => Subject::Resource,
            RouteContext::Request => Subject::Request,
            RouteContext::Span | RouteContext::Metric | RouteContext::Datapoint | RouteContext::Log => {
                let text = "routing by single records is not supported: a request is divided between its resources; \
                            use resource or request";
                return Err(("context", text.to_owned()));
            }
        };
        match (&*self.condition, &*self.statement) {
            ("", "") => Err(("", "invalid route: no condition or statement provided".to_owned())),
            (_, "") => Condition::read(&self.condition, subject).map_err(|text| ("condition", text)),
            ("", _) if subject == Subject::Request => {
                Err(("statement", "\"request\" context requires a 'condition'".to_owned()))
            }
            ("", _) => Condition::of_statement(&self.statement).map_err(|text| ("statement", text)),
            _ => Err(("", "invalid route: both condition and statement provided".to_owned())),
        }
    }
}

impl ComponentConfig for RoutingConfig {
    fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.table.is_empty() {
            found.push(("table".into(), "invalid routing table: the routing table is empty".into()));
        }
        for (number, route) in self.table.iter().enumerate() {
            let mut say = |key: &str, text| found.push((format!("table::{number}::{key}"), text));
            if route.pipelines.is_empty() {
                say("pipelines", "invalid route: no pipelines defined".to_owned());
            }
            if let Err((key, text)) = route.read() {
                say(key, text);
            }
        }
        found
    }

    fn routes(&self) -> Vec<Route> {
        let own = self.table.iter().enumerate().map(|(number, route)| Route {
            path: format!("table::{number}::pipelines"),
            pipelines: route.pipelines.clone(),
        });
        let default = Route { path: "default_pipelines".into(), pipelines: self.default_pipelines.clone() };
        own.chain((!default.pipelines.is_empty()).then_some(default)).collect()
    }
}
