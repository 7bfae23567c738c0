//! `bearertokenauth`: a token in a header, for doors that ask for one and exporters that show one.
//!
//! - [`config`]: the section.
//! - `tokens`: the tokens, and who shows one of them.
//!
//! Tokens are compared by their digests in constant time. A token file is read again when it changes, so that tokens can
//! be exchanged while the collector runs.

pub mod config;
mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use streamgauge_component::{
    Authenticator, ComponentError, ConfigType, Create, Description, Extension, ExtensionFactory, Host,
    Stability,
};
use streamgauge_config::REREAD_EVERY;

pub use config::Config;

/// Registers the extension.
pub static FACTORY: ExtensionFactory = ExtensionFactory {
    description: Description {
        name: "bearertokenauth",
        aliases: &[],
        summary: "A token in a header: asked for by receivers, shown by exporters.",
        signals: &[],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Extension>, ComponentError> {
    let tokens = tokens::Tokens::new(&*create.config::<Config>()?, REREAD_EVERY)?;
    Ok(Arc::new(BearerTokenAuth(Arc::new(tokens))))
}

struct BearerTokenAuth(Arc<tokens::Tokens>);

#[async_trait]
impl Extension for BearerTokenAuth {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    async fn shutdown(&self) {}

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        Some(self.0.clone())
    }
}
