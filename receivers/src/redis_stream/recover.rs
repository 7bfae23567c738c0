//! This consumer's own pending entries that nobody has in hand: what it held when it ended, or what a lost connection brought
//! to nobody.
//!
//! After a crash they are taken one by one, then twice as many with each success: one of them may be what the process died
//! of, and being read again costs an entry one of its tries.

use std::sync::Arc;
use std::time::Duration;

use streamgauge_redis::Unreachable;
use streamgauge_streams::{Reply, Request, StreamId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::sleep;

use super::intake::hand_over;
use super::job::{Job, Phase};
use super::keeper::Event;
use super::line::{Backoff, Line};
use super::pending::{Whose, page, take};
use super::post::Failed;
use super::stream::Stream;

/// Entries of the pending list that are looked at in one request.
const PAGE: usize = 500;

/// How long what was delivered to the instance that a reload replaces takes at most into its hand.
const HANDING: Duration = Duration::from_millis(500);

/// Why entries are taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The stream is read for the first time: whatever is pending was left by a process before.
    Start,
    /// A connection was lost while it brought entries.
    Lost,
}

/// How far entries were delivered, for each stream: what is read from now on lies behind, and is on its way to somebody's hand.
pub(super) async fn reached(
    line: &mut Line,
    streams: Vec<Arc<Stream>>,
) -> Result<Vec<(Arc<Stream>, StreamId)>, Unreachable> {
    let mut request = Request::new();
    for stream in &streams {
        request.command(&[b"XINFO", b"GROUPS", &stream.name]);
    }
    let replies = line.call(&request).await?;
    let found: Vec<_> = streams
        .iter()
        .zip(replies.iter())
        .map(|(stream, reply)| reply.list().find_map(|group| delivered(&group, stream.group.as_bytes())))
        .collect();
    // Who may not ask goes by what was read here.
    let known = |(stream, found): (Arc<Stream>, Option<StreamId>)| {
        let reached = found.or_else(|| stream.read()).unwrap_or(StreamId { ms: u64::MAX, seq: u64::MAX });
        (stream, reached)
    };
    Ok(streams.into_iter().zip(found).map(known).collect())
}

/// The last delivered id of a group, if it is this one.
fn delivered(group: &Reply<'_>, name: &[u8]) -> Option<StreamId> {
    let words: Vec<_> = group.list().collect();
    let get =
        |key: &[u8]| words.chunks_exact(2).find(|pair| pair[0].text() == Some(key)).map(|pair| &pair[1]);
    let is_it = get(b"name")?.text() == Some(name);
    is_it.then(|| StreamId::parse(get(b"last-delivered-id")?.text()?)).flatten()
}

/// Takes them all, and offers them. Ends when they are settled for the first time, or the receiver does.
pub(super) async fn recover(
    job: Arc<Job>,
    tell: UnboundedSender<Event>,
    streams: Vec<(Arc<Stream>, StreamId)>,
    why: Why,
    mut alone: watch::Receiver<Option<bool>>,
) {
    let Some((first, _)) = streams.first() else { return };
    let mut line = Line::new(&job, &first.name);
    let mut backoff = Backoff::of_connecting();
    if why == Why::Start {
        // Until the keeper knows whether another living process has this consumer's name: then what is pending is in its hands.
        let verdict = tokio::select! {
            verdict = alone.wait_for(Option::is_some) => verdict.is_ok_and(|alone| *alone == Some(true)),
            () = job.phase_after(Phase::Running) => false,
        };
        if !verdict {
            return;
        }
        if !job.hands.is_last() {
            sleep(HANDING).await;
        }
    }
    for (stream, last) in &streams {
        let mut cursor =
            Cursor { last: *last, after: StreamId::ZERO, step: if why == Why::Start { 1 } else { PAGE } };
        while job.phase() == Phase::Running {
            match some(&job, &tell, &mut line, stream, &mut cursor).await {
                Ok(true) => backoff.reset(),
                Ok(false) => break,
                Err(Failed::Refused(refusal)) if !refusal.kind.is_passing() => {
                    job.counters.error("xclaim", refusal.kind.as_str());
                    tracing::warn!(receiver = %job.host.id(), stream = stream.shown, "own pending entries cannot be read: {refusal}");
                    break;
                }
                Err(error) => {
                    if let Failed::Refused(refusal) = &error {
                        line.heed(refusal).await;
                    }
                    tokio::select! {
                        () = sleep(backoff.next(job.host.random().next())) => {}
                        () = job.phase_after(Phase::Running) => return,
                    }
                }
            }
        }
    }
}

struct Cursor {
    /// What lies behind is in somebody's hand, or soon.
    last: StreamId,
    after: StreamId,
    step: usize,
}

/// Takes some of a stream's entries; `false` when there are none left.
async fn some(
    job: &Arc<Job>,
    tell: &UnboundedSender<Event>,
    line: &mut Line,
    stream: &Arc<Stream>,
    cursor: &mut Cursor,
) -> Result<bool, Failed> {
    let pending = page(line, stream, Whose::Of(&job.member.name), cursor.after, PAGE).await?;
    let Some(last) = pending.last().map(|one| one.id) else { return Ok(false) };
    if pending.first().is_some_and(|one| one.id > cursor.last) {
        return Ok(false);
    }
    let in_hand = job.hands.ids(stream);
    let mut left = pending.into_iter().filter(|one| one.id <= cursor.last && !in_hand.contains(&one.id));
    let room = job.bound.room(1, 1.0).max(1);
    let wanted: Vec<_> = left.by_ref().take(cursor.step.min(room)).collect();
    let Some(taken) = wanted.last().map(|one| one.id) else {
        cursor.after = last;
        return Ok(true);
    };
    let found = take(job, tell, line, stream, &wanted, Duration::ZERO).await?;
    cursor.after = taken;
    job.counters.recovered.value.add(found.entries as u64);
    let mut is_well = true;
    for mut held in found.parts {
        let heard = held.hear();
        hand_over(job, tell, held).await;
        tokio::select! {
            delivered = heard => is_well &= delivered.unwrap_or(false),
            () = job.phase_after(Phase::Running) => return Ok(false),
        }
    }
    cursor.step = if is_well { (cursor.step * 2).min(job.config.read.count) } else { 1 };
    Ok(true)
}
