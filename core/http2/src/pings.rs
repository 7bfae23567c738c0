//! How often a client may ask whether we are there, where a policy says so: as grpc-go has it (`keepalive.EnforcementPolicy`).

use std::time::Duration;

use tokio::time::Instant;

/// Pings that come sooner are forgiven so often, until something is sent to the client again.
const FORGIVEN: u32 = 2;
/// Without a request under way a client has to be as patient, unless it may ask then, too.
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// What pings a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingPolicy {
    /// The least time between two of them.
    pub min_time: Duration,
    /// Also while no request is under way.
    pub without_stream: bool,
}

/// The pings of one client.
#[derive(Debug)]
pub(crate) struct Pings {
    policy: Option<PingPolicy>,
    last: Option<Instant>,
    strikes: u32,
}

impl Pings {
    pub fn new(policy: Option<PingPolicy>) -> Self {
        Pings { policy, last: None, strikes: 0 }
    }

    /// Something was sent to the client, so that its next ping is a good one.
    pub fn sent(&mut self) {
        if self.policy.is_some() {
            (self.last, self.strikes) = (None, 0);
        }
    }

    /// A ping came; `false` when it was one too many.
    pub fn came(&mut self, idle: bool) -> bool {
        let Some(policy) = self.policy else { return true };
        let patience = if idle && !policy.without_stream { IDLE } else { policy.min_time };
        let now = Instant::now();
        let early = self.last.replace(now).is_some_and(|last| now - last < patience);
        self.strikes += u32::from(early);
        self.strikes <= FORGIVEN
    }
}
