//! What a sink is told to answer.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

/// An answer of a sink.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Everything was taken.
    Ok,
    /// Taken but for `rejected` items.
    Partial {
        /// How many items were not taken.
        rejected: i64,
        /// Why.
        message: String,
    },
    /// A refusal: a gRPC code, or an HTTP status.
    Status {
        /// gRPC code (14 is UNAVAILABLE) or HTTP status (429, 503).
        code: u16,
        /// The delay to ask for: RetryInfo, or Retry-After in whole seconds.
        retry_after: Option<Duration>,
    },
    /// No answer for this long, then [`Reply::Ok`]. What was recorded stays recorded.
    Stall(Duration),
    /// No answer until [`crate::OtlpSink::release`], then [`Reply::Ok`].
    Hold,
}

impl Reply {
    /// A refusal without a delay.
    pub fn status(code: u16) -> Reply {
        Reply::Status { code, retry_after: None }
    }

    /// A refusal that asks to come back after `delay`.
    pub fn retry_after(code: u16, delay: Duration) -> Reply {
        Reply::Status { code, retry_after: Some(delay) }
    }
}

/// The standing answer, and those that come before it, once each.
pub(crate) struct Script {
    standing: Mutex<Reply>,
    next: Mutex<VecDeque<Reply>>,
    /// How often held answers were released.
    released: watch::Sender<u64>,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script { standing: Mutex::new(Reply::Ok), next: Mutex::default(), released: watch::Sender::new(0) }
    }

    pub(crate) fn always(&self, reply: Reply) {
        *self.standing.lock().unwrap() = reply;
    }

    pub(crate) fn next(&self, reply: Reply) {
        self.next.lock().unwrap().push_back(reply);
    }

    /// Lets what is held go, and answers everything with [`Reply::Ok`] from now on.
    pub(crate) fn release(&self) {
        self.always(Reply::Ok);
        self.released.send_modify(|times| *times += 1);
    }

    /// The answer for the request at hand; a stall is waited out here.
    pub(crate) async fn take(&self) -> Reply {
        let mut released = self.released.subscribe();
        let next = self.next.lock().unwrap().pop_front();
        let reply = next.unwrap_or_else(|| self.standing.lock().unwrap().clone());
        match reply {
            Reply::Stall(time) => {
                tokio::time::sleep(time).await;
                Reply::Ok
            }
            Reply::Hold => {
                let _ = released.changed().await;
                Reply::Ok
            }
            reply => reply,
        }
    }
}
