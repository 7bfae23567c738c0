//! Somebody who adds to streams, whatever becomes of the servers.

use std::time::Duration;

use crate::Redis;

const PATIENCE: Duration = Duration::from_secs(2);

/// Adds entries to whichever of some servers takes them.
pub struct Publisher {
    clients: Vec<redis::Client>,
}

impl Publisher {
    /// To these servers. They may be stopped and started again.
    pub fn to<'a>(servers: impl IntoIterator<Item = &'a Redis>) -> Publisher {
        Publisher { clients: servers.into_iter().map(Redis::client).collect() }
    }

    /// Adds entries of one field, `body`; whether a server has taken all of them.
    pub fn add(&self, stream: &str, bodies: &[String]) -> bool {
        let mut pipe = redis::pipe();
        for body in bodies {
            pipe.cmd("XADD").arg(stream).arg("*").arg("body").arg(body).ignore();
        }
        self.clients.iter().any(|client| {
            let Ok(mut connection) = client.get_connection_with_timeout(PATIENCE) else { return false };
            connection.set_read_timeout(Some(PATIENCE)).is_ok() && pipe.query::<()>(&mut connection).is_ok()
        })
    }
}
