//! `health_check`: one HTTP path that says whether the pipelines run.
//!
//! It answers 200 when they are ready and 503 while they are starting or stopping, as the Collector's
//! extension does, so probes of Kubernetes, compose and load balancers need no change. The body goes
//! further: it names every component that is not well, with its state, the reason and since when.
//! A degraded component alone does not make the answer 503: restarting the collector would not help it.

mod config;
mod report;
mod server;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamgauge_component::factory::{ConfigType, Create, Description, ExtensionFactory, Stability};
use streamgauge_component::{ComponentError, Extension, Host};
use streamgauge_transport::Pages;

pub use config::{Config, PipelineCheck, ResponseBody};

/// Registers the extension.
pub static FACTORY: ExtensionFactory = ExtensionFactory {
    description: Description {
        name: "health_check",
        aliases: &[],
        summary: "Answers HTTP probes: whether the pipelines run, and which component is not well and why.",
        signals: &[],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Extension>, ComponentError> {
    Ok(Arc::new(HealthCheck { config: create.config()?, pages: Mutex::default() }))
}

struct HealthCheck {
    config: Arc<Config>,
    pages: Mutex<Option<Pages>>,
}

#[async_trait]
impl Extension for HealthCheck {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        let pages = crate::listen::pages(&host, &self.config.endpoint).await?;
        let probe = Arc::new(server::Probe { config: self.config.clone(), board: host.board().clone() });
        let pages = Pages::serve(pages, move |request| std::future::ready(probe.answer(&request)));
        *self.pages.lock().unwrap_or_else(PoisonError::into_inner) = Some(pages);
        Ok(())
    }

    async fn shutdown(&self) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pages) = pages {
            pages.stop().await;
        }
    }
}

#[cfg(test)]
mod tests;
