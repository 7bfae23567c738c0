//! The running collector as its extensions may ask it.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use streamgauge_component::{Control, Reloaded};
use streamgauge_engine::Books;
use tokio::sync::{mpsc, oneshot};

/// Somebody who asks for a reload and waits for what comes of it.
pub(crate) type Request = oneshot::Sender<Reloaded>;

/// Reads the counters itself; reloads are left to whoever has the other end of `requests`.
pub(crate) struct Process {
    pub(crate) books: Arc<Books>,
    pub(crate) requests: mpsc::Sender<Request>,
}

/// A time as people and programs read it.
pub(crate) fn stamp(unix: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(unix)).to_string()
}

impl Control for Process {
    fn ledger(&self) -> serde_json::Value {
        let ledger = self.books.ledger();
        let mut json = serde_json::to_value(&ledger).unwrap_or_default();
        json["summary"] = serde_json::to_value(ledger.summary()).unwrap_or_default();
        json["runs"] = ledger.runs.into();
        json["since"] = ledger.since.map(stamp).into();
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
