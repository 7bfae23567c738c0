//! Receivers: where data comes in.

use async_trait::async_trait;

use crate::error::ComponentError;
use crate::host::Host;
use crate::outlet::Outlets;

/// Takes data in from outside. One instance an id, whatever number of pipelines takes from it.
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Opens sockets and connections and starts its own tasks. Returns when it is ready to take data.
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError>;

    /// Takes nothing new from now on. Sockets stay open for answers and acks.
    async fn stop_intake(&self);

    /// Sends the last answers and acks, and closes. Ends its tasks.
    async fn shutdown(&self);
}
