//! Acknowledging many at once.

use std::collections::HashMap;
use std::sync::Arc;

use streamgauge_streams::{Kind, Refusal, Replies, Request, StreamId};
use tokio::time::Instant;

use super::bound::Grip;
use super::job::Job;
use super::part::Run;
use super::stream::Stream;

/// The most ids of one command: about a fifth of a millisecond of the server's time.
const IDS: usize = 1000;

/// What is to be acknowledged.
#[derive(Debug, Default)]
pub(super) struct Acks {
    waiting: Vec<(Arc<[Run]>, Grip)>,
    entries: usize,
    since: Option<Instant>,
}

/// One XACK of a request.
struct Command {
    stream: Arc<Stream>,
    ids: usize,
}

impl Acks {
    /// Adds entries; they are held until Redis has taken the acknowledgement.
    pub fn add(&mut self, runs: Arc<[Run]>, grip: Grip) {
        self.entries += runs.iter().map(|run| run.taken.len()).sum::<usize>();
        self.since.get_or_insert_with(Instant::now);
        self.waiting.push((runs, grip));
    }

    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Since when something waits.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Everything in one request, and what is to be read of its replies.
    pub fn request(&self, deletes: Deletes) -> Batch {
        let mut by_stream: Vec<(&Arc<Stream>, Vec<StreamId>)> = Vec::new();
        let mut places: HashMap<*const Stream, usize> = HashMap::new();
        for run in self.waiting.iter().flat_map(|(runs, _)| runs.iter()) {
            let place = *places.entry(Arc::as_ptr(&run.stream)).or_insert_with(|| {
                by_stream.push((&run.stream, Vec::new()));
                by_stream.len() - 1
            });
            by_stream[place].1.extend(run.taken.iter().map(|taken| taken.id));
        }
        let (mut request, mut commands) = (Request::new(), Vec::new());
        for (stream, ids) in by_stream {
            for ids in ids.chunks(IDS) {
                write(&mut request, stream, ids, deletes);
                commands.push(Command { stream: stream.clone(), ids: ids.len() });
            }
        }
        Batch { request, commands, deletes, parts: self.waiting.len() }
    }

    /// Forgets what a request held, now that Redis has it.
    pub fn done(&mut self, batch: &Batch) {
        let done = self.waiting.drain(..batch.parts);
        let entries: usize =
            done.flat_map(|(runs, _)| runs.iter().map(|run| run.taken.len()).collect::<Vec<_>>()).sum();
        self.entries -= entries;
        self.since = (!self.waiting.is_empty()).then(Instant::now);
    }
}

/// Whether and how acknowledged entries are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletes {
    No,
    /// By XACKDEL ... ACKED.
    Together,
    /// By XDEL after XACK: nobody else reads the stream.
    After,
}

fn write(request: &mut Request, stream: &Stream, ids: &[StreamId], deletes: Deletes) {
    let group = stream.group.as_bytes();
    match deletes {
        Deletes::Together => {
            request.begin(6 + ids.len()).word(b"XACKDEL").word(&stream.name).word(group);
            request.word(b"ACKED").word(b"IDS").number(ids.len() as u64);
        }
        Deletes::No | Deletes::After => {
            request.begin(3 + ids.len()).word(b"XACK").word(&stream.name).word(group);
        }
    }
    ids.iter().for_each(|id| {
        request.id(*id);
    });
    if deletes == Deletes::After {
        request.begin(2 + ids.len()).word(b"XDEL").word(&stream.name);
        ids.iter().for_each(|id| {
            request.id(*id);
        });
    }
}

/// A request of acknowledgements.
pub(super) struct Batch {
    pub request: Request,
    commands: Vec<Command>,
    deletes: Deletes,
    parts: usize,
}

impl Batch {
    /// Reads the replies. A stream that is no stream any more, or is gone, has nothing to acknowledge.
    ///
    /// # Errors
    /// The first refusal that may not be the last word: everything is to be sent again, which does no harm.
    pub fn settle(&self, replies: &Replies, job: &Job) -> Result<(), Refusal> {
        let mut replies = replies.iter();
        let (mut done, mut gone) = (0, 0);
        for command in &self.commands {
            let reply = replies.next();
            if self.deletes == Deletes::After {
                replies.next();
            }
            let taken = match reply.map(streamgauge_streams::Reply::ok) {
                Some(Ok(reply)) => match self.deletes {
                    // 1: acknowledged and deleted, 2: acknowledged, -1: no such id.
                    Deletes::Together => {
                        reply.list().filter(|one| one.integer().is_some_and(|n| n > 0)).count()
                    }
                    _ => reply.integer().unwrap_or(0).max(0) as usize,
                },
                Some(Err(refusal))
                    if matches!(refusal.kind, Kind::WrongType | Kind::NoGroup | Kind::NoSuchKey) =>
                {
                    job.counters.error("xack", refusal.kind.as_str());
                    tracing::warn!(receiver = %job.host.id(), stream = command.stream.shown, "nothing to acknowledge: {refusal}");
                    0
                }
                Some(Err(refusal)) => {
                    job.counters.error("xack", refusal.kind.as_str());
                    return Err(refusal);
                }
                None => 0,
            };
            done += taken;
            gone += command.ids.saturating_sub(taken);
        }
        job.counters.acknowledged.value.add(done as u64);
        job.counters.not_pending.value.add(gone as u64);
        Ok(())
    }
}
