//! `basicauth`: user and password in the `Authorization` header, for doors that ask for them and exporters that show them.
//!
//! - [`config`]: the section.
//! - `users`: the users of an htpasswd text, and who proves to be one.
//! - `client`: the user that requests are sent as.
//!
//! Files are read again when they change. A bcrypt hash is computed once for a sender's credentials, off the threads that
//! carry data, and one at a time: guessing passwords cannot take the collector's CPUs.

mod client;
pub mod config;
mod users;

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
        name: "basicauth",
        aliases: &[],
        summary: "User and password (HTTP Basic): asked for by receivers, shown by exporters.",
        signals: &[],
        stability: Stability::Beta,
        readme: include_str!("README.md"),
    },
    config: ConfigType::of::<Config>(),
    create,
};

fn create(create: Create) -> Result<Arc<dyn Extension>, ComponentError> {
    let config = create.config::<Config>()?;
    let authenticator: Arc<dyn Authenticator> = match (&config.htpasswd, &config.client_auth) {
        (Some(htpasswd), _) => Arc::new(users::Users::new(htpasswd, REREAD_EVERY)?),
        (None, Some(client)) => Arc::new(client::User::new(client, REREAD_EVERY)?),
        (None, None) => return Err("no credential source provided".into()),
    };
    Ok(Arc::new(BasicAuth(authenticator)))
}

struct BasicAuth(Arc<dyn Authenticator>);

#[async_trait]
impl Extension for BasicAuth {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    async fn shutdown(&self) {}

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        Some(self.0.clone())
    }
}
