//! Connections to write over: some for each node, a bounded number in all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamgauge_redis::{Monitor, Unreachable};
use streamgauge_streams::{Link, Reply, Request};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// What a server can do, by the commands that it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    /// XADD takes IDMP: an entry that is sent twice is added once.
    pub idempotent: bool,
    /// XADD takes ACKED: only what all groups have acknowledged is trimmed.
    pub acked: bool,
}

/// The connections of one exporter.
#[derive(Debug)]
pub(super) struct Lines {
    name: String,
    most: usize,
    permits: Semaphore,
    idle: Mutex<Vec<Link>>,
    abilities: Mutex<Option<Abilities>>,
}

/// A connection that is in use. It is closed unless it is given back.
pub(super) struct Line<'a> {
    pub link: Link,
    /// Whether it was used before: the server may have closed it since.
    pub was_idle: bool,
    _permit: SemaphorePermit<'a>,
}

impl Lines {
    /// At most so many, under this name in CLIENT LIST.
    pub fn new(name: String, most: usize) -> Self {
        let permits = Semaphore::new(most);
        Lines { name, most, permits, idle: Mutex::default(), abilities: Mutex::default() }
    }

    /// A connection to a node.
    pub async fn to(&self, node: &Arc<Monitor>, deadline: Instant) -> Result<Line<'_>, Unreachable> {
        let late = || Unreachable::new("timeout", "no connection has become free in time");
        let permit = tokio::time::timeout_at(deadline, self.permits.acquire()).await;
        let permit = permit.map_err(|_| late())?.map_err(|_| late())?;
        let place = node.target().address.to_string();
        let found = {
            let mut idle = self.idle();
            let found = idle.iter().rposition(|link| link.place() == place);
            let found = found.map(|at| idle.remove(at));
            let in_use = self.most - self.permits.available_permits();
            let room = self.most.saturating_sub(in_use);
            if found.is_none() && idle.len() > room {
                idle.remove(0);
            }
            found
        };
        match found {
            Some(link) => Ok(Line { link, was_idle: true, _permit: permit }),
            None => {
                let link = Link::open(node, &self.name, deadline).await?;
                Ok(Line { link, was_idle: false, _permit: permit })
            }
        }
    }

    /// The next one may use it.
    pub fn give_back(&self, line: Line<'_>) {
        self.idle().push(line.link);
    }

    /// What the servers can do, asked on this connection if it is not known. A user who may not ask can do nothing special.
    pub async fn abilities(&self, line: &mut Line<'_>, deadline: Instant) -> Result<Abilities, Unreachable> {
        if let Some(known) = self.known_abilities() {
            return Ok(known);
        }
        let request = Request::of(&[b"COMMAND", b"INFO", b"XCFGSET", b"XACKDEL"]);
        let replies = line.link.call(&request, deadline).await?;
        // Of a command that it does not know it says nil, or a list of nothing.
        let mut known = replies.last().list().map(|reply: Reply<'_>| reply.list().next().is_some());
        let mut next = || known.next().unwrap_or(false);
        let abilities = Abilities { idempotent: next(), acked: next() };
        self.set_abilities(Some(abilities));
        Ok(abilities)
    }

    pub fn known_abilities(&self) -> Option<Abilities> {
        *self.abilities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// They are other ones, or not known: a connection was lost, and another version may come back.
    pub fn set_abilities(&self, abilities: Option<Abilities>) {
        *self.abilities.lock().unwrap_or_else(PoisonError::into_inner) = abilities;
    }

    /// Closes those that nobody uses.
    pub fn close(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
