//! What consumers that are gone have left lying, and those consumers themselves.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use streamgauge_streams::{Kind, Reply, Request, StreamId};
use tokio::sync::mpsc::UnboundedSender;

use super::job::Job;
use super::keeper::Event;
use super::line::Line;
use super::part::Held;
use super::pending::{Whose, page, take};
use super::post::Failed;
use super::stream::Stream;

/// The most pages that one look at a stream's pending list reads: entries of consumers that live lie before others.
const PAGES: usize = 10;

/// Takes over what has lain for long and whose consumer has no heartbeat; up to `claim.count` entries of the stream.
pub(super) async fn claim(
    job: &Arc<Job>,
    tell: &UnboundedSender<Event>,
    line: &mut Line,
    stream: &Arc<Stream>,
) -> Result<Vec<Held>, Failed> {
    let settings = &job.config.claim;
    let count = settings.count.min(job.bound.room(1, 1.0));
    let (mut after, mut wanted, mut alive) = (StreamId::ZERO, Vec::new(), Living::default());
    for _ in 0..PAGES {
        if wanted.len() >= count {
            break;
        }
        let idle = page(line, stream, Whose::Idle(settings.min_idle), after, settings.count).await?;
        let Some(last) = idle.last().map(|one| one.id) else { break };
        let is_last = idle.len() < settings.count;
        after = last;
        if settings.require_dead_heartbeat {
            alive.look(line, stream, idle.iter().map(|one| &one.consumer)).await?;
        }
        let own = job.hands.ids(stream);
        wanted.extend(idle.into_iter().filter(|one| match one.consumer == job.member.name.as_bytes() {
            // Ours, in nobody's hand, and not on its way into it: nor into that of an instance that a reload replaces.
            true => job.hands.is_last() && !own.contains(&one.id) && !stream.may_come(one.id, one.idle),
            false => !alive.known.contains(&one.consumer),
        }));
        if is_last {
            break;
        }
    }
    wanted.truncate(count);
    let found = take(job, tell, line, stream, &wanted, settings.min_idle).await?;
    job.counters.claimed.value.add(found.entries as u64);
    Ok(found.parts)
}

/// Consumers that have a heartbeat.
#[derive(Default)]
struct Living {
    known: HashSet<Vec<u8>>,
    asked: HashSet<Vec<u8>>,
}

impl Living {
    async fn look<'a>(
        &mut self,
        line: &mut Line,
        stream: &Stream,
        consumers: impl Iterator<Item = &'a Vec<u8>>,
    ) -> Result<(), Failed> {
        let new: BTreeSet<_> = consumers.filter(|name| !self.asked.contains(*name)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut request = Request::new();
        for name in &new {
            let Some(key) = stream.heartbeat(name) else { return Ok(()) };
            request.command(&[b"EXISTS", &key]);
        }
        let replies = line.call(&request).await?;
        for (name, reply) in new.into_iter().zip(replies.iter()) {
            match reply {
                Reply::Integer(1) => drop(self.known.insert(name.clone())),
                // Who may not ask goes by the idle time alone.
                Reply::Error(refusal) if refusal.kind != Kind::NoPermission => return Err(refusal.into()),
                _ => {}
            }
            self.asked.insert(name);
        }
        Ok(())
    }
}

/// Removes a consumer unless it holds something; in one step, so that nothing it gets in between is lost.
const REMOVE: &str = "if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end \
                      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) return 1";

/// Adds the removal of a consumer that holds nothing.
pub(super) fn remove(request: &mut Request, stream: &Stream, consumer: &[u8]) {
    let group = stream.group.as_bytes();
    request.command(&[b"EVAL", REMOVE.as_bytes(), b"1", &stream.name, group, consumer]);
}

/// Removes consumers that are gone: idle for long, without a heartbeat, and with nothing in hand.
pub(super) async fn clean_up(job: &Job, line: &mut Line, stream: &Stream) -> Result<(), Failed> {
    let after = job.config.consumer.cleanup_after;
    if after.is_zero() {
        return Ok(());
    }
    let asked = Request::of(&[b"XINFO", b"CONSUMERS", &stream.name, stream.group.as_bytes()]);
    let replies = line.call(&asked).await?;
    let idle: Vec<Vec<u8>> =
        replies.last().ok()?.list().filter_map(|one| idle(&one, after.as_millis())).collect();
    let mut living = Living::default();
    let others: Vec<_> = idle.into_iter().filter(|name| name != job.member.name.as_bytes()).collect();
    living.look(line, stream, others.iter()).await?;
    let mut request = Request::new();
    for name in others.iter().filter(|name| !living.known.contains(*name)) {
        remove(&mut request, stream, name);
    }
    if request.is_empty() {
        return Ok(());
    }
    for reply in line.call(&request).await?.iter() {
        match reply {
            Reply::Integer(1) => job.counters.consumers_removed.value.add(1),
            Reply::Error(refusal) => {
                job.counters.error("eval", refusal.kind.as_str());
                if job.member.cleans.swap(false, Ordering::Relaxed) {
                    tracing::warn!(receiver = %job.host.id(), "consumers that are gone are not removed: {refusal}");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The name of a consumer that holds nothing and has been idle for so long.
fn idle(reply: &Reply<'_>, least: u128) -> Option<Vec<u8>> {
    let words: Vec<_> = reply.list().collect();
    let get =
        |key: &[u8]| words.chunks_exact(2).find(|pair| pair[0].text() == Some(key)).map(|pair| &pair[1]);
    let number = |key| get(key).and_then(Reply::integer);
    let is_idle = number(b"pending")? == 0 && u128::try_from(number(b"idle")?).ok()? >= least;
    is_idle.then(|| get(b"name")?.text().map(<[u8]>::to_vec)).flatten()
}
