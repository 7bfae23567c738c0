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
use tokio::task::JoinHandle;

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
    Ok(Arc::new(HealthCheck { config: create.config()?, server: Mutex::default() }))
}

struct HealthCheck {
    config: Arc<Config>,
    server: Mutex<Option<JoinHandle<()>>>,
}

#[async_trait]
impl Extension for HealthCheck {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        let listener = server::bind(&self.config.endpoint).await?;
        let task = tokio::spawn(server::serve(listener, self.config.clone(), host.board().clone()));
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    async fn shutdown(&self) {
        let task = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Waited for, so that the port is free when this returns.
            let _ = task.await;
        }
    }
}

#[cfg(test)]
mod tests;
