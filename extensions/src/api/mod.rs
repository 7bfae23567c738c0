//! `api`: what a running collector can be asked for over HTTP.
//!
//! `GET /api/v1/ledger` gives the ledger: what came in, went out, is held, was dropped and why, for every component,
//! edge and pipeline. `POST /api/v1/reload` reads the configuration again and says what came of it. `GET /api/v1/queues` shows
//! the queues on the disk, `POST /api/v1/queues/purge` empties one.
//!
//! On a loopback address everybody on the machine may ask; elsewhere a bearer token is needed, and without one the
//! configuration is refused. A page in a browser that comes from elsewhere is never answered, whatever it knows: what
//! names another host or origin than this one is refused.

mod config;
mod guard;
mod routes;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use streamgauge_component::factory::{ConfigType, Create, Description, ExtensionFactory, Stability};
use streamgauge_component::{ComponentError, Extension, Host};
use streamgauge_transport::Pages;

pub use config::Config;

/// Registers the extension.
pub static FACTORY: ExtensionFactory = ExtensionFactory {
    description: Description {
        name: "api",
        aliases: &[],
        summary: "Answers over HTTP: the ledger of every record, a reload of the configuration, the queues on the disk.",
        signals: &[],
        stability: Stability::Alpha,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Extension>, ComponentError> {
    Ok(Arc::new(Api { config: create.config()?, pages: Mutex::default() }))
}

struct Api {
    config: Arc<Config>,
    pages: Mutex<Option<Pages>>,
}

#[async_trait]
impl Extension for Api {
    async fn start(&self, host: Host) -> Result<(), ComponentError> {
        let listener = crate::listen::pages(&host, &self.config.endpoint).await?;
        let routes = Arc::new(routes::Routes {
            guard: guard::Guard::new(
                &self.config,
                listener.local_addr().tcp().is_some_and(|at| at.ip().is_loopback()),
            ),
            host,
        });
        let pages = Pages::serve(listener, move |request| {
            let routes = routes.clone();
            async move { routes.answer(&request).await }
        });
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
