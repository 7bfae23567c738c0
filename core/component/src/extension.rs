//! Extensions: what serves the collector itself.

use async_trait::async_trait;

use crate::error::ComponentError;
use crate::host::Host;

/// Serves the collector itself: health checks, authentication, storage. Started first, stopped last.
#[async_trait]
pub trait Extension: Send + Sync {
    /// Starts. Components that use it are started after it.
    async fn start(&self, host: Host) -> Result<(), ComponentError>;

    /// Stops.
    async fn shutdown(&self);
}
