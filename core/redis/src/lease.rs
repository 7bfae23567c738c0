//! Which of several collectors watches a deployment: the one whose name stands at a key, for as long as it renews it.
//!
//! Who cannot ask goes on as before: one that watches watches, one that waits waits for as long as a lease lasts. A
//! deployment whose server with the key is down is rather watched twice than by nobody.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::command::ReadCommand;
use crate::reply::text;
use crate::topology::View;

/// The name of this process at its keys. There is no other of this name.
#[derive(Debug)]
pub struct Owner(String);

impl Owner {
    /// A new name.
    #[allow(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let random = RandomState::new();
        Owner(format!("streamgauge-{:016x}{:016x}", random.hash_one(0), random.hash_one(1)))
    }
}

/// A lease on a key, held or waited for by this process.
pub struct Lease {
    key: Vec<u8>,
    owner: Arc<Owner>,
    time: Duration,
    state: Mutex<State>,
}

struct State {
    watches: bool,
    /// Until when the key is surely ours.
    until: Option<Instant>,
    /// When it is renewed, or tried again.
    next: Instant,
    /// When the server was heard last.
    heard: Instant,
}

/// What the server with the key said.
enum Said {
    Ours,
    Theirs,
    /// It was ours a moment ago, and somebody else's when it was renewed: both step back until it has expired.
    Disputed,
}

impl Lease {
    /// A lease that nobody has asked for yet.
    pub fn new(key: &str, owner: Arc<Owner>, time: Duration) -> Self {
        let now = Instant::now();
        let state = State { watches: false, until: None, next: now, heard: now };
        Lease { key: key.as_bytes().to_vec(), owner, time, state: Mutex::new(state) }
    }

    /// Whether this process is the one that watches, and what is wrong with finding out. Asks the node that has the key
    /// when a third of the time has passed, or somebody else had it.
    pub async fn holds(&self, view: &View, db: u32, deadline: Instant) -> (bool, Option<String>) {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if now < state.next {
            return (state.watches, None);
        }
        let said = self.ask(view, db, deadline).await;
        match said {
            Ok(said) => {
                state.heard = now;
                state.watches = matches!(said, Said::Ours);
                // A tenth for clocks that run differently, and for what is still on its way to the receivers' outlets.
                state.until = state.watches.then(|| now + self.time.mul_f64(0.9));
                state.next = match said {
                    Said::Ours => now + self.time / 3,
                    Said::Theirs => now,
                    Said::Disputed => now + self.time,
                };
                (state.watches, None)
            }
            Err(why) => {
                state.watches |= state.heard.elapsed() > self.time;
                (state.watches, Some(format!("lease {}: {why}", String::from_utf8_lossy(&self.key))))
            }
        }
    }

    /// Gives the key back, so that another one need not wait until it expires.
    pub async fn release(&self, view: &View, db: u32, deadline: Instant) {
        let mut state = self.state.lock().await;
        let is_ours = state.until.take().is_some_and(|until| Instant::now() < until);
        if let (true, Some(node)) = (is_ours, view.nodes.iter().find(|node| node.has(&self.key))) {
            let command = ReadCommand::lease_renew(&self.key, &self.owner.0, Duration::ZERO);
            let _ = node.monitor.call(db, &[command], deadline).await; // else it expires
        }
        state.watches = false;
    }

    async fn ask(&self, view: &View, db: u32, deadline: Instant) -> Result<Said, String> {
        let node = view.nodes.iter().find(|node| node.has(&self.key)).ok_or("no server has the key now")?;
        let ask = async |command: ReadCommand| {
            let answer =
                node.monitor.call(db, &[command], deadline).await.map_err(|error| error.to_string())?;
            let answer = answer.into_iter().next().ok_or("no answer")?;
            answer.map_err(|error| error.to_string())
        };
        match ask(ReadCommand::lease_owner(&self.key)).await? {
            // Nobody's: free from the start, expired, or lost with a failover.
            Value::Nil => match ask(ReadCommand::lease_take(&self.key, &self.owner.0, self.time)).await? {
                Value::Nil => Ok(Said::Theirs),
                _ => Ok(Said::Ours),
            },
            owner if text(&owner) == self.owner.0 => {
                match ask(ReadCommand::lease_renew(&self.key, &self.owner.0, self.time)).await? {
                    Value::Nil => Ok(Said::Theirs),
                    owner if text(&owner) == self.owner.0 => Ok(Said::Ours),
                    _ => Ok(Said::Disputed),
                }
            }
            _ => Ok(Said::Theirs),
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({:?} {})", String::from_utf8_lossy(&self.key), self.owner.0)
    }
}
