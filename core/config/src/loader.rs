//! From `--config` and `--set` to one checked configuration.

use std::ffi::OsString;

use crate::expand::{self, Expander};
use crate::{Config, Diagnostic, Diagnostics, Known, Map, Node, Place, Source, Value, codes, merge, parse};

const RESOLVE: &str = "failed to get config: cannot resolve the configuration";

/// Collects sources, then loads them.
///
/// ```
/// # use streamgauge_config::{Kind, Known, KnownType, Loader, Signal};
/// let known = Known::new([
///     KnownType::new(Kind::Receiver, "redis", &[Signal::Metrics]),
///     KnownType::new(Kind::Exporter, "debug", &Signal::ALL),
/// ]);
/// let loaded = Loader::new()
///     .source("yaml:{receivers: {redis: }, exporters: {debug: }}")
///     .source("yaml:service::pipelines::metrics: {receivers: [redis], exporters: [debug]}")
///     .set("receivers.redis.endpoint=localhost:7000")
///     .load(&known);
/// let (config, _tree, _warnings) = loaded.into_result().unwrap();
/// assert_eq!(config.service.pipelines.len(), 1);
/// ```
pub struct Loader<'a> {
    sources: Vec<String>,
    sets: Vec<String>,
    env: Box<expand::Env<'a>>,
}

/// What loading gave: as much as could be read, and all that was found wrong.
pub struct Loaded {
    /// The configuration. With errors among the diagnostics it is partial, good for finding more errors only.
    pub config: Option<Config>,
    /// The merged and expanded tree.
    pub tree: Option<Node>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

impl Loaded {
    /// The configuration, its tree and the warnings, unless an error was found.
    ///
    /// # Errors
    /// All diagnostics, when one of them is an error.
    pub fn into_result(self) -> Result<(Config, Node, Diagnostics), Diagnostics> {
        match (self.config, self.tree) {
            (Some(config), Some(tree)) if !self.diagnostics.has_errors() => {
                Ok((config, tree, self.diagnostics))
            }
            _ => Err(self.diagnostics),
        }
    }
}

impl Default for Loader<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Loader<'a> {
    /// A loader without sources that reads the process's environment.
    pub fn new() -> Self {
        Self { sources: Vec::new(), sets: Vec::new(), env: Box::new(|name| std::env::var_os(name)) }
    }

    /// Adds a location as `--config` takes it: a path, `file:`, `yaml:` or `env:`. Later ones win.
    pub fn source(mut self, location: impl Into<String>) -> Self {
        self.sources.push(location.into());
        self
    }

    /// Adds a setting as `--set` takes it: `a.b.c=value`. It wins over all sources.
    pub fn set(mut self, setting: impl Into<String>) -> Self {
        self.sets.push(setting.into());
        self
    }

    /// Reads environment variables from somewhere else.
    pub fn env(mut self, env: impl Fn(&str) -> Option<OsString> + 'a) -> Self {
        self.env = Box::new(env);
        self
    }

    /// Retrieves, merges, expands and checks.
    pub fn load(&self, known: &Known) -> Loaded {
        let mut found = Diagnostics::new();
        let Some(mut tree) = self.retrieve(&mut found).filter(|_| !found.has_errors()) else {
            return Loaded { config: None, tree: None, diagnostics: found.within(RESOLVE) };
        };
        Expander::new(&*self.env, &mut found).expand(&mut tree);
        let mut found: Diagnostics = found
            .into_iter()
            .map(|d| if d.severity == crate::Severity::Error { d.within(RESOLVE) } else { d })
            .collect();
        let config = Config::from_tree(&tree, known, &mut found);
        Loaded { config, tree: Some(tree), diagnostics: found }
    }

    /// All sources merged, nothing expanded.
    fn retrieve(&self, found: &mut Diagnostics) -> Option<Node> {
        if self.sources.is_empty() {
            let d = Diagnostic::error(codes::NO_SOURCE, "at least one config flag must be provided");
            found.push(d.help("streamgauge --config file.yaml"));
            return None;
        }
        let mut merged: Option<Node> = None;
        let sources = self.sources.iter().map(|location| self.open(location));
        let sets = self.sets.iter().map(|setting| open_set(setting));
        for source in sources.chain(sets) {
            let node = source.and_then(|source| {
                let (mut node, warnings) = parse::parse(&source)?;
                found.extend(warnings);
                merge::nest(&mut node);
                as_map(node, &source)
            });
            match (node, &mut merged) {
                (Ok(node), Some(base)) => merge::merge(base, node),
                (Ok(node), None) => merged = Some(node),
                (Err(d), _) => found.push(d),
            }
        }
        merged
    }

    fn open(&self, location: &str) -> Result<std::sync::Arc<Source>, Diagnostic> {
        match location.split_once(':') {
            Some(("file", path)) => Ok(Source::new(path, expand::read_file(path)?)),
            Some(("yaml", text)) => Ok(Source::new("yaml", text)),
            Some(("env", name)) => {
                expand::check_env_name(name)?;
                let text = expand::read_env(&*self.env, name)?;
                let text = text.ok_or_else(|| {
                    Diagnostic::error(codes::UNSET_ENV, format!("environment variable {name:?} is not set"))
                })?;
                Ok(Source::hidden(format!("env:{name}"), text))
            }
            Some((scheme, _)) if expand::is_scheme(scheme) => Err(expand::unsupported(location)),
            _ => Ok(Source::new(location, expand::read_file(location)?)),
        }
    }
}

fn open_set(setting: &str) -> Result<std::sync::Arc<Source>, Diagnostic> {
    let Some((key, value)) = setting.split_once('=') else {
        let d = Diagnostic::error(codes::BAD_SET, "missing equal sign");
        return Err(d.help("write `--set key.of.setting=value`"));
    };
    let key = key.trim().replace('.', "::");
    Ok(Source::new(format!("--set {}", key.replace("::", ".")), format!("{key}: {value}")))
}

/// A source is a map; an empty one counts as a map without entries.
fn as_map(node: Node, source: &std::sync::Arc<Source>) -> Result<Node, Diagnostic> {
    match node.value {
        Value::Map(_) => Ok(node),
        _ if node.is_null() => Ok(Node::new(Value::Map(Map::default()), Place::start_of(source))),
        _ => {
            let message = format!("retrieved value (type={}) cannot be used as a Conf", node.kind_name());
            let d = Diagnostic::error(codes::NOT_A_MAP, message).at(&node.place);
            Err(d.help("a configuration is a map: `receivers:`, `exporters:`, `service:`"))
        }
    }
}

#[cfg(test)]
mod tests;
