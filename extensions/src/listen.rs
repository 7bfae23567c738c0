//! How extensions listen.

use streamgauge_component::{ComponentError, Host, edge_name};
use streamgauge_transport::{Listener, Sockets};

/// A socket at `host:port`, taken over from the instance before when there is one.
pub(crate) async fn pages(host: &Host, endpoint: &str) -> Result<Listener, ComponentError> {
    let sockets = host.shared("", Sockets::default);
    let owner = edge_name(host.kind(), host.id());
    sockets
        .bind(&owner, endpoint)
        .await
        .map_err(|error| ComponentError(format!("{error}; free the port or set another `endpoint`")))
}
