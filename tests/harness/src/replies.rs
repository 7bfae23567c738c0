//! What a sink is told to answer.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

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
}

impl Script {
    pub(crate) fn new() -> Script {
        Script { standing: Mutex::new(Reply::Ok), next: Mutex::default() }
    }

    pub(crate) fn always(&self, reply: Reply) {
        *self.standing.lock().unwrap() = reply;
    }

    pub(crate) fn next(&self, reply: Reply) {
        self.next.lock().unwrap().push_back(reply);
    }

    /// The answer for the request at hand; a stall is waited out here.
    pub(crate) async fn take(&self) -> Reply {
        let next = self.next.lock().unwrap().pop_front();
        let reply = next.unwrap_or_else(|| self.standing.lock().unwrap().clone());
        match reply {
            Reply::Stall(time) => {
                tokio::time::sleep(time).await;
                Reply::Ok
            }
            reply => reply,
        }
    }
}
