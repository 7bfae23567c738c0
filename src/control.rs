//! The running collector as its extensions may ask it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use streamgauge_component::{Control, Registry, Reloaded};
use streamgauge_engine::Ledger;
use tokio::sync::{mpsc, oneshot};

/// Somebody who asks for a reload and waits for what comes of it.
pub(crate) type Request = oneshot::Sender<Reloaded>;

/// Reads the counters itself; reloads are left to whoever has the other end of `requests`.
pub(crate) struct Process {
    pub(crate) registry: Arc<Registry>,
    pub(crate) requests: mpsc::Sender<Request>,
}

impl Control for Process {
    fn ledger(&self) -> serde_json::Value {
        let ledger = Ledger::read(&self.registry);
        let mut json = serde_json::to_value(&ledger).unwrap_or_default();
        json["summary"] = serde_json::to_value(ledger.summary()).unwrap_or_default();
        json
    }

    fn reload(&self) -> BoxFuture<'_, Reloaded> {
        Box::pin(async {
            let (tell, told) = oneshot::channel();
            let asked = self.requests.send(tell).await;
            let stopping =
                || Reloaded { errors: vec!["the collector is stopping".into()], ..Reloaded::default() };
            match asked {
                Ok(()) => told.await.unwrap_or_else(|_| stopping()),
                Err(_) => stopping(),
            }
        })
    }
}
