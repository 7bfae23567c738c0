//! The pending list: who holds what, and taking it over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use streamgauge_streams::{Entries, Item, Refusal, Replies, Reply, Request, StreamId};
use tokio::sync::mpsc::UnboundedSender;

use super::intake::Intake;
use super::job::Job;
use super::keeper::Event;
use super::line::Line;
use super::part::Held;
use super::post::Failed;
use super::stream::Stream;

/// One pending entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub id: StreamId,
    pub consumer: Vec<u8>,
    /// How long ago it was delivered last.
    pub idle: Duration,
    pub deliveries: u64,
}

/// Pending entries after an id, the oldest first: of one consumer, or of all that have lain for so long.
pub(super) enum Whose<'a> {
    Of(&'a str),
    Idle(Duration),
}

/// A page of the pending list.
pub(super) async fn page(
    line: &mut Line,
    stream: &Stream,
    whose: Whose<'_>,
    after: StreamId,
    count: usize,
) -> Result<Vec<Pending>, Failed> {
    let mut request = Request::new();
    let (idle, of) = match whose {
        Whose::Of(consumer) => (None, Some(consumer)),
        Whose::Idle(idle) => (Some(idle), None),
    };
    let words = 6 + idle.map_or(0, |_| 2) + of.map_or(0, |_| 1);
    request.begin(words).word(b"XPENDING").word(&stream.name).word(stream.group.as_bytes());
    if let Some(idle) = idle {
        request.word(b"IDLE").number(idle.as_millis() as u64);
    }
    match after {
        StreamId::ZERO => request.word(b"-"),
        after => request.word(format!("({after}").as_bytes()),
    };
    request.word(b"+").number(count as u64);
    if let Some(consumer) = of {
        request.word(consumer.as_bytes());
    }
    let replies = line.call(&request).await?;
    let list = replies.last().ok()?.list();
    Ok(list.filter_map(|one| pending(&one)).collect())
}

fn pending(reply: &Reply<'_>) -> Option<Pending> {
    let mut words = reply.list();
    let id = StreamId::parse(words.next()?.text()?)?;
    let consumer = words.next()?.text()?.to_vec();
    let number = |reply: Reply<'_>| Some(u64::try_from(reply.integer()?).unwrap_or(0));
    let idle = Duration::from_millis(number(words.next()?)?);
    Some(Pending { id, consumer, idle, deliveries: number(words.next()?)? })
}

/// What came of taking entries over.
#[derive(Default)]
pub(super) struct Taken {
    /// Parts to offer.
    pub parts: Vec<Held>,
    /// Entries that are ours now, those that are gone for good included.
    pub entries: usize,
}

/// Makes entries ours that have lain for so long, and reads them. Those that were trimmed are told to the keeper.
pub(super) async fn take(
    job: &Arc<Job>,
    tell: &UnboundedSender<Event>,
    line: &mut Line,
    stream: &Arc<Stream>,
    wanted: &[Pending],
    min_idle: Duration,
) -> Result<Taken, Failed> {
    if wanted.is_empty() {
        return Ok(Taken::default());
    }
    let mut request = Request::new();
    request.begin(5 + wanted.len()).word(b"XCLAIM").word(&stream.name).word(stream.group.as_bytes());
    request.word(job.member.name.as_bytes()).number(min_idle.as_millis() as u64);
    for one in wanted {
        request.id(one.id);
    }
    let replies = line.call(&request).await?;
    taken(job, tell, line, stream, wanted, &replies).await
}

/// What the server's answer to taking entries over comes to.
pub(super) async fn taken(
    job: &Arc<Job>,
    tell: &UnboundedSender<Event>,
    line: &mut Line,
    stream: &Arc<Stream>,
    wanted: &[Pending],
    replies: &Replies,
) -> Result<Taken, Failed> {
    let list = replies.last().ok()?.list();
    let deliveries: HashMap<StreamId, u64> = wanted.iter().map(|one| (one.id, one.deliveries)).collect();
    let mut intake = Intake::new(job, tell);
    let before = |id| deliveries.get(&id).copied().unwrap_or(0);
    intake.take(stream, &mut Entries::of_one(list), before).map_err(Refusal::from)?;
    let mut entries = intake.entries;
    let missing = missing(wanted, replies);
    if !missing.is_empty() {
        let gone = gone(line, stream, &missing).await?;
        entries += gone.len();
        if !gone.is_empty() {
            let _ = tell.send(Event::Gone(stream.clone(), gone));
        }
    }
    Ok(Taken { parts: intake.finish(), entries })
}

/// Wanted entries that did not come: somebody was faster, or they are gone.
fn missing(wanted: &[Pending], replies: &Replies) -> Vec<StreamId> {
    let mut missing: Vec<_> = wanted.iter().map(|one| one.id).collect();
    let mut entries = Entries::of_one(replies.last().list());
    while let Ok(Some(item)) = entries.next_entry() {
        let (Item::Gone(id) | Item::Entry(streamgauge_streams::Entry { id, .. })) = item;
        missing.retain(|other| *other != id);
    }
    missing
}

/// Those that are no longer in the stream.
async fn gone(line: &mut Line, stream: &Stream, ids: &[StreamId]) -> Result<Vec<StreamId>, Failed> {
    let mut request = Request::new();
    for id in ids {
        request.begin(4).word(b"XRANGE").word(&stream.name).id(*id).id(*id);
    }
    let replies = line.call(&request).await?;
    let mut gone = Vec::new();
    for (id, reply) in ids.iter().zip(replies.iter()) {
        if reply.ok()?.list().next().is_none() {
            gone.push(*id);
        }
    }
    Ok(gone)
}
