//! Trimming that passes no entry which a group still wants, for servers that cannot do it themselves.
//!
//! Entries before the oldest one that is pending or not delivered, in any group, go: by XTRIM MINID, which a group that reads
//! on meanwhile cannot make wrong. One that is set back can: what it wants again may be gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use streamgauge_redis::StreamId;
use streamgauge_streams::{Owners, Refusal, Reply, Request};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::lines::{Line, Lines};
use super::plan::Bound;

/// Time between two rounds, and what one may take.
const ROUND: Duration = Duration::from_secs(5);
/// Streams that are followed; further ones are as long as they get.
const MOST: usize = 10_000;

/// Trims the streams that were written to.
pub(super) struct Trimmer {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    owners: Owners,
    lines: Arc<Lines>,
    bound: Bound,
    streams: Mutex<BTreeSet<Vec<u8>>>,
}

impl Trimmer {
    /// To a bound, which must be one.
    pub fn new(owners: Owners, lines: Arc<Lines>, bound: Bound) -> Self {
        let shared = Arc::new(Shared { owners, lines, bound, streams: Mutex::default() });
        Trimmer { shared, task: Mutex::default() }
    }

    /// A stream that was written to.
    pub fn follow(&self, key: &[u8]) {
        let mut streams = self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if !streams.contains(key) && streams.len() < MOST {
            streams.insert(key.to_vec());
        }
    }

    /// Trims from now on.
    pub fn start(&self) {
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(ROUND).await;
                shared.round().await;
            }
        });
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    #[cfg(test)]
    pub async fn round(&self) {
        self.shared.round().await;
    }

    /// Trims no more.
    pub fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Drop for Trimmer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    async fn round(&self) {
        // A server that trims what is acknowledged has done it with every XADD.
        if self.lines.known_abilities().is_none_or(|abilities| abilities.acked) {
            return;
        }
        let streams: Vec<Vec<u8>> =
            self.streams.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let deadline = Instant::now() + ROUND;
        for stream in streams {
            let Ok(node) = self.owners.of(&stream, deadline).await else { continue };
            let Ok(mut line) = self.lines.to(&node, deadline).await else { continue };
            match self.trim(&mut line, &stream, deadline).await {
                Some(Ok(removed)) => {
                    self.lines.give_back(line);
                    tracing::debug!(stream = %String::from_utf8_lossy(&stream), removed, "trimmed");
                }
                Some(Err(refusal)) => {
                    self.lines.give_back(line);
                    let stream = String::from_utf8_lossy(&stream);
                    tracing::warn!(%stream, error = %refusal, "the stream was not trimmed");
                }
                None => self.owners.suspect(),
            }
        }
    }

    /// `None` when the connection is lost. How many entries went, else.
    async fn trim(&self, line: &mut Line<'_>, key: &[u8], deadline: Instant) -> Option<Result<i64, Refusal>> {
        let mut request = Request::of(&[b"XLEN", key]);
        request.command(&[b"XINFO", b"GROUPS", key]);
        let replies = line.link.call(&request, deadline).await.ok()?;
        let mut replies = replies.iter();
        let length = match replies.next()?.ok() {
            Ok(length) => u64::try_from(length.integer()?).ok()?,
            Err(refusal) => return Some(Err(refusal)),
        };
        let groups: Vec<Group> = replies.next()?.list().filter_map(|group| Group::of(&group)).collect();
        let mut until = match self.bound {
            Bound::None => return Some(Ok(0)),
            Bound::Length(most) if length <= most => return Some(Ok(0)),
            Bound::Length(_) => StreamId { ms: u64::MAX, seq: u64::MAX },
            Bound::Age(age) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                StreamId { ms: u64::try_from(now.saturating_sub(age).as_millis()).ok()?, seq: 0 }
            }
        };
        for group in &groups {
            until = until.min(group.delivered);
            if group.pending > 0 {
                let replies =
                    line.link.call(&Request::of(&[b"XPENDING", key, &group.name]), deadline).await.ok()?;
                let oldest = replies.last().list().nth(1).and_then(|id| StreamId::parse(id.text()?));
                until = until.min(oldest?);
            }
        }
        let mut request = Request::new();
        match self.bound {
            // Nobody reads it: the length alone counts.
            Bound::Length(most) if groups.is_empty() => {
                request.begin(5).word(b"XTRIM").word(key).word(b"MAXLEN").word(b"~").number(most);
            }
            Bound::Length(most) => {
                let too_many = length - most;
                request.begin(7).word(b"XTRIM").word(key).word(b"MINID").word(b"~").id(until);
                request.word(b"LIMIT").number(too_many);
            }
            _ => drop(request.begin(5).word(b"XTRIM").word(key).word(b"MINID").word(b"~").id(until)),
        }
        let replies = line.link.call(&request, deadline).await.ok()?;
        Some(replies.last().ok().map(|removed| removed.integer().unwrap_or(0)))
    }
}

/// What XINFO GROUPS says of a group.
struct Group {
    name: Vec<u8>,
    pending: i64,
    delivered: StreamId,
}

impl Group {
    fn of(reply: &Reply<'_>) -> Option<Group> {
        let mut group = Group { name: Vec::new(), pending: 0, delivered: StreamId::ZERO };
        let mut pairs = reply.list();
        while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
            match name.text()? {
                b"name" => group.name = value.text()?.to_vec(),
                b"pending" => group.pending = value.integer()?,
                b"last-delivered-id" => group.delivered = StreamId::parse(value.text()?)?,
                _ => {}
            }
        }
        Some(group)
    }
}
