//! One attempt: rounds of XADD, until every entry is in Redis or it is clear that some cannot be now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use streamgauge_component::{
    Accepted, BoxFuture, ComponentError, ExportError, Exporter, Host, Left, Reason, Request, Signal,
};
use streamgauge_pdata::{Limit, split};
use streamgauge_redis::{Monitor, Unreachable};
use streamgauge_streams::encoding::Encoding;
use streamgauge_streams::{Kind, Owners, Refusal};
use tokio::time::Instant;

use super::config::RedisStreamConfig;
use super::lines::{Abilities, Line, Lines};
use super::plan::{Chunk, Plan, Writing};
use super::progress::{Part, Progress};
use super::sort::Share;
use super::trim::Trimmer;

/// How often one attempt follows MOVED and ASK, opens a connection that was closed behind its back, or learns that the
/// server can do less than it said.
const ROUNDS: usize = 5;
/// Without a timeout an attempt still ends.
const LONGEST: Duration = Duration::from_secs(3600);

/// Exporter `redis_stream`.
pub(super) struct RedisStream {
    writing: Writing,
    owners: Owners,
    lines: Arc<Lines>,
    progress: Progress,
    timeout: Duration,
    trimmer: Option<Trimmer>,
    host: Host,
}

/// What a round came to beside the entries that are in.
#[derive(Default)]
struct Round {
    /// Where entries go in the next round.
    ways: Ways,
    /// Another round may do better.
    again: bool,
    /// Why entries are not in.
    refused: Option<Refusal>,
    passing: Option<Refusal>,
    unreachable: Option<Unreachable>,
}

/// A stream's key, and commands for it.
type Sent<'a> = (&'a [u8], &'a Chunk);

/// By a stream's key, where its entries go, and whether ASKING goes before them.
type Ways = HashMap<Vec<u8>, (Arc<Monitor>, bool)>;

impl RedisStream {
    /// Of a section, under this host.
    pub fn new(config: &RedisStreamConfig, host: &Host) -> Result<Self, ComponentError> {
        let (deployment, _) = config.keys().deployment(host)?;
        let owners = Owners::new(deployment);
        let lines = Arc::new(Lines::new(format!("streamgauge-{}", host.id()), config.max_connections));
        let writing = config.writing(host)?;
        let trimmer = writing.safe.then(|| Trimmer::new(owners.clone(), lines.clone(), writing.bound));
        Ok(RedisStream {
            writing,
            owners,
            lines,
            progress: Progress::default(),
            timeout: if config.timeout.is_zero() { LONGEST } else { config.timeout },
            trimmer,
            host: host.clone(),
        })
    }

    async fn attempt(&self, request: &Request) -> Result<Accepted, ExportError> {
        let deadline = Instant::now() + self.timeout;
        let attempt = Mutex::new(self.progress.begin(&request.parts));
        let parts = || lock(&attempt);
        let (mut ways, mut broken) = (Ways::new(), None);
        let mut last = Round::default();
        for _ in 0..ROUNDS {
            let abilities = match self.abilities(deadline).await {
                Ok(abilities) => abilities,
                Err(error) => return Err(unreachable(&error)),
            };
            let wall = self.host.clock().wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let now_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
            let asking = |key: &[u8]| ways.get(key).is_some_and(|(_, asking)| *asking);
            let plan =
                self.writing.plan(request.signal, &request.parts, &parts().parts, now_ms, abilities, &asking);
            broken.get_or_insert(plan.broken);
            if plan.is_empty() {
                last = Round::default();
                break;
            }
            let round = Mutex::new(Round::default());
            let done = |(part, entry): (usize, usize)| {
                if let Some(part) = lock(&attempt).parts.get_mut(part) {
                    part.set_done(entry);
                }
            };
            self.write(&plan, &ways, &round, &done, deadline).await;
            last = round.into_inner().unwrap_or_else(PoisonError::into_inner);
            if let Some(trimmer) = &self.trimmer {
                plan.streams.iter().for_each(|stream| trimmer.follow(&stream.key));
            }
            if !last.again {
                break;
            }
            ways = std::mem::take(&mut last.ways);
        }
        last.error()?;
        attempt.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        let dropped = broken.filter(|broken| *broken > 0).map(|broken| (Reason::Malformed, broken));
        Ok(Accepted { dropped: dropped.into_iter().collect(), message: None })
    }

    #[cfg(test)]
    pub async fn trim_now(&self) {
        if let Some(trimmer) = &self.trimmer {
            trimmer.round().await;
        }
    }

    /// What the servers can do. Asked where something depends on it, and only then.
    async fn abilities(&self, deadline: Instant) -> Result<Abilities, Unreachable> {
        if self.writing.producer.is_none() && !self.writing.safe {
            return Ok(Abilities::default());
        }
        if let Some(known) = self.lines.known_abilities() {
            return Ok(known);
        }
        let nodes = self.owners.all(deadline).await?;
        let Some(node) = nodes.first() else { return Ok(Abilities::default()) };
        let mut line = self.lines.to(node, deadline).await?;
        let abilities = self.lines.abilities(&mut line, deadline).await;
        match abilities {
            Ok(_) => self.lines.give_back(line),
            Err(_) => self.owners.suspect(),
        }
        abilities
    }

    /// Sends a plan to the nodes that have its streams, all nodes at once.
    async fn write(
        &self,
        plan: &Plan,
        ways: &Ways,
        round: &Mutex<Round>,
        done: &(dyn Fn((usize, usize)) + Sync),
        deadline: Instant,
    ) {
        let mut nodes: Vec<(Arc<Monitor>, Vec<Sent<'_>>)> = Vec::new();
        for stream in &plan.streams {
            let node = match ways.get(&stream.key) {
                Some((node, _)) => Ok(node.clone()),
                None => self.owners.of(&stream.key, deadline).await,
            };
            match node {
                Ok(node) => {
                    let chunks = stream.chunks.iter().map(|chunk| (&*stream.key, chunk));
                    match nodes.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &node)) {
                        Some((_, all)) => all.extend(chunks),
                        None => nodes.push((node, chunks.collect())),
                    }
                }
                Err(error) => lock(round).unreachable = Some(error),
            }
        }
        let each = nodes.iter().map(|(node, chunks)| self.write_to(node, chunks, round, done, deadline));
        join_all(each).await;
    }

    async fn write_to(
        &self,
        node: &Arc<Monitor>,
        chunks: &[Sent<'_>],
        round: &Mutex<Round>,
        done: &(dyn Fn((usize, usize)) + Sync),
        deadline: Instant,
    ) {
        let mut line = match self.lines.to(node, deadline).await {
            Ok(line) => line,
            Err(error) => return self.lost(error, false, round),
        };
        for (key, chunk) in chunks {
            if let Err(error) = self.send(&mut line, key, chunk, round, done, deadline).await {
                let may_be_stale = line.was_idle && error.stage != "timeout";
                return self.lost(error, may_be_stale, round);
            }
        }
        self.lines.give_back(line);
    }

    fn lost(&self, error: Unreachable, again: bool, round: &Mutex<Round>) {
        self.owners.suspect();
        self.lines.set_abilities(None);
        if again {
            // The others that lie idle are as old.
            self.lines.close();
        }
        let mut round = lock(round);
        round.again |= again;
        round.unreachable = Some(error);
    }

    async fn send(
        &self,
        line: &mut Line<'_>,
        key: &[u8],
        chunk: &Chunk,
        round: &Mutex<Round>,
        done: &(dyn Fn((usize, usize)) + Sync),
        deadline: Instant,
    ) -> Result<(), Unreachable> {
        let replies = line.link.call(&chunk.request, deadline).await?;
        let mut elsewhere = None;
        let skip = usize::from(chunk.asking);
        for (reply, place) in replies.iter().skip(skip).step_by(skip + 1).zip(&chunk.entries) {
            let Err(refusal) = reply.ok() else {
                done(*place);
                continue;
            };
            let mut round = lock(round);
            match refusal.kind {
                Kind::Moved | Kind::Ask => elsewhere = Some(refusal),
                // It does not know an option that another server of its kind knows.
                _ if is_about_an_option(&refusal)
                    && self.lines.known_abilities().unwrap_or_default() != Abilities::default() =>
                {
                    self.lines.set_abilities(Some(Abilities::default()));
                    round.again = true;
                }
                kind if kind.is_passing() => round.passing = Some(refusal),
                _ => round.refused = Some(refusal),
            }
        }
        if let Some(refusal) = elsewhere {
            let way = self.owners.redirected(&refusal, deadline).await;
            let mut round = lock(round);
            round.again |= way.is_some();
            round.ways.extend(way.map(|way| (key.to_vec(), way)));
            round.passing.get_or_insert(refusal);
        }
        let about_the_node = {
            let round = lock(round);
            round.passing.as_ref().is_some_and(|refusal| refusal.kind.is_about_the_node())
        };
        if about_the_node {
            self.owners.suspect();
        }
        Ok(())
    }

    /// What of a part is not in Redis, of one that was sent in part.
    fn rest_of(&self, signal: Signal, bytes: &Bytes, part: &Part) -> Left {
        let is_otlp = matches!(self.writing.format.encoding, Encoding::OtlpProto | Encoding::OtlpJson);
        let pieces = match is_otlp {
            true => Ok(self.writing.pieces(signal, bytes)),
            false => split(signal, bytes, Limit::Items(1)).map(|pieces| {
                pieces.into_iter().map(|piece| Share { name: None, bytes: piece.bytes }).collect()
            }),
        };
        let Ok(pieces) = pieces else { return Left::All };
        let (mut entry, mut rest, mut items) = (0, Vec::new(), 0);
        for piece in pieces {
            let mut fields = Default::default();
            let mut is_left = false;
            self.writing.format.encode(signal, &piece.bytes, &mut fields, &mut |_| {
                is_left = !part.is_done(entry);
                entry += 1;
            });
            if is_left {
                rest.extend_from_slice(&piece.bytes);
                items += streamgauge_pdata::count(signal, &piece.bytes);
            }
        }
        if items == 0 { Left::Nothing } else { Left::Some(rest.into(), items) }
    }
}

impl Round {
    /// Why entries are missing after the last round, what may pass first.
    fn error(self) -> Result<(), ExportError> {
        if let Some(error) = self.unreachable {
            return Err(unreachable(&error));
        }
        if let Some(refusal) = self.passing {
            return Err(ExportError::busy(None, refusal.to_string()));
        }
        match self.refused {
            Some(refusal) => Err(match refusal.kind {
                Kind::NoPermission | Kind::NoAuth | Kind::Unknown => ExportError::peer(refusal.to_string()),
                // Another stream may take what this one does not.
                _ => ExportError::content(refusal.to_string()),
            }),
            None if self.again => Err(ExportError::busy(None, "the cluster sent us from node to node")),
            None => Ok(()),
        }
    }
}

/// An XADD that does not know IDMP or ACKED takes the word for an id.
fn is_about_an_option(refusal: &Refusal) -> bool {
    refusal.kind == Kind::Unknown || refusal.message.contains("Invalid stream ID")
}

fn unreachable(error: &Unreachable) -> ExportError {
    match error.stage {
        "auth" => ExportError::Retryable { after: None, answered: true, message: error.to_string() },
        _ => ExportError::unreachable(error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Exporter for RedisStream {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        if let Some(trimmer) = &self.trimmer {
            trimmer.start();
        }
        Ok(())
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(self.attempt(request))
    }

    fn left(&self, signal: Signal, part: &Bytes) -> Left {
        self.progress.of(part, |known| self.rest_of(signal, part, known)).unwrap_or(Left::All)
    }

    async fn shutdown(&self) {
        if let Some(trimmer) = &self.trimmer {
            trimmer.stop();
        }
        self.lines.close();
    }
}
