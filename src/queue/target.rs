//! Where a replay sends: an exporter, that of a configuration or one made for an address.

use std::sync::Arc;
use std::time::{Duration, Instant};

use streamgauge_component::{
    About, Clock, ComponentError, Create, ExportError, Exporter, Extension, Host, Kind, Request, Signal,
};
use streamgauge_config::{Component, ComponentId, Section};

use crate::cli::Failure;
use crate::configuration::{self, Configuration};
use crate::distribution::DISTRIBUTION;

/// Waits between attempts: the first, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// Somebody who takes requests.
pub(super) struct Target {
    exporter: Arc<dyn Exporter>,
    timeout: Duration,
    patience: Duration,
    /// Lends the credentials.
    _authenticator: Option<Arc<dyn Extension>>,
}

/// What became of a request.
pub(super) enum Sent {
    /// The peer has it, perhaps without some items.
    Acknowledged { refused_items: u64 },
    /// The peer will not take it, whatever comes after it.
    Refused(String),
    /// The peer takes nothing.
    Failed(String),
}

impl Target {
    /// An OTLP endpoint.
    pub(super) async fn address(url: &str, grpc: bool, patience: Duration) -> Result<Target, Failure> {
        let kind = if grpc { "otlp_grpc" } else { "otlp_http" };
        let mut yaml = serde_json::json!({"endpoint": url});
        if grpc && !url.starts_with("https://") {
            yaml["tls"] = serde_json::json!({"insecure": true});
        }
        let yaml = yaml.to_string();
        let section = Section::from_yaml(&format!("exporters::{kind}"), &yaml);
        let section = section.map_err(|found| configuration::failure(&found))?;
        let host = Host::new(Clock::system(), Arc::default(), Arc::default());
        Target::make(&host, kind, kind, &section, None, patience).await
    }

    /// An exporter of the configuration, with its credentials.
    pub(super) async fn exporter(
        configuration: &Configuration,
        id: &str,
        patience: Duration,
    ) -> Result<Target, Failure> {
        let none = || {
            Failure::runtime(format!(
                "exporter {id:?} is not configured: name another with --exporter, or --to"
            ))
        };
        let known: ComponentId = id.parse().map_err(|_| none())?;
        let component = configuration.config.exporters.get(&known).ok_or_else(none)?;
        let host = Host::new(Clock::system(), Arc::default(), Arc::default());
        let authenticator = match authenticator(configuration, component) {
            Some(extension) => Some(start(&host, extension).await?),
            None => None,
        };
        Target::make(&host, &component.type_name, id, &component.section, authenticator, patience).await
    }

    async fn make(
        host: &Host,
        kind: &str,
        id: &str,
        section: &Section,
        authenticator: Option<Arc<dyn Extension>>,
        patience: Duration,
    ) -> Result<Target, Failure> {
        let factory = DISTRIBUTION.exporter(kind);
        let factory = factory.ok_or_else(|| Failure::runtime(format!("there is no exporter {kind:?}")))?;
        let config = (factory.config.read)(section).map_err(|found| configuration::failure(&found))?;
        let host = host.for_component(Kind::Exporter, id);
        let signals = factory.description.signals.to_vec();
        let failed = |error: ComponentError| Failure::runtime(format!("{id}: {error}"));
        let parts = (factory.create)(Create { host: host.clone(), config, signals }).map_err(failed)?;
        parts.exporter.start(host).await.map_err(failed)?;
        let (exporter, timeout) = (parts.exporter, parts.delivery.timeout);
        Ok(Target { exporter, timeout, patience, _authenticator: authenticator })
    }

    /// Sends one request. A peer that is not there, or has no time, is asked again for as long as the patience lasts.
    pub(super) async fn send(&self, request: &Request) -> Sent {
        let started = Instant::now();
        let [mut wait, longest] = WAITS;
        loop {
            let error = match self.attempt(request).await {
                Ok(accepted) => {
                    let refused_items = accepted.dropped.iter().map(|(_, items)| items).sum();
                    return Sent::Acknowledged { refused_items };
                }
                Err(error) => error,
            };
            let text = error.to_string();
            let asked = match error {
                ExportError::Permanent { about: About::Content, .. } => return Sent::Refused(text),
                ExportError::Permanent { about: About::Peer, .. } => return Sent::Failed(text),
                ExportError::Retryable { after, .. } => after.unwrap_or_default(),
            };
            let pause = wait.max(asked);
            if started.elapsed() + pause > self.patience {
                return Sent::Failed(text);
            }
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(longest);
        }
    }

    async fn attempt(&self, request: &Request) -> Result<streamgauge_component::Accepted, ExportError> {
        let export = self.exporter.export(request);
        if self.timeout.is_zero() {
            return export.await;
        }
        let late = |_| ExportError::unreachable(format!("no answer within {:?}", self.timeout));
        tokio::time::timeout(self.timeout, export).await.map_err(late)?
    }

    pub(super) async fn close(&self) {
        self.exporter.shutdown().await;
    }
}

/// The extension that has an exporter's credentials.
fn authenticator<'a>(configuration: &'a Configuration, exporter: &Component) -> Option<&'a Component> {
    let path = [&["auth", "authenticator"][..], &["http", "auth", "authenticator"]];
    let id = path.iter().find_map(|path| {
        path.iter().try_fold(exporter.section.node(), |node, key| node.as_map()?.get(key))?.as_text()
    })?;
    configuration.config.extensions.get(&id.parse().ok()?)
}

async fn start(host: &Host, component: &Component) -> Result<Arc<dyn Extension>, Failure> {
    let id = component.id.to_string();
    let unknown = || Failure::runtime(format!("there is no extension {:?}", component.type_name));
    let factory = DISTRIBUTION.extension(&component.type_name).ok_or_else(unknown)?;
    let config = (factory.config.read)(&component.section).map_err(|found| configuration::failure(&found))?;
    let host = host.for_component(Kind::Extension, &id);
    let failed = |error: ComponentError| Failure::runtime(format!("{id}: {error}"));
    let create = Create { host: host.clone(), config, signals: Vec::<Signal>::new() };
    let extension = (factory.create)(create).map_err(failed)?;
    extension.start(host.clone()).await.map_err(failed)?;
    host.offer(&extension);
    Ok(extension)
}
