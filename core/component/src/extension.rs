//! Extensions: what serves the collector itself.

use std::sync::Arc;

use async_trait::async_trait;
use streamgauge_storage::Storage;

use crate::authenticator::Authenticator;
use crate::error::ComponentError;
use crate::host::Host;

/// Serves the collector itself: health checks, authentication, storage. Started first, stopped last.
#[async_trait]
pub trait Extension: Send + Sync {
    /// Starts. Components that use it are started after it.
    async fn start(&self, host: Host) -> Result<(), ComponentError>;

    /// Stops.
    async fn shutdown(&self);

    /// What it offers to others: see [`Host::authenticator`].
    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        None
    }

    /// What it offers to others: see [`Host::storage`].
    fn storage(&self) -> Option<Storage> {
        None
    }
}
