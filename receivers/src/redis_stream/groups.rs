//! Sees to it that streams and their groups are there, and finds out which of several streams a refusal is about.

use std::sync::Arc;

use streamgauge_redis::Unreachable;
use streamgauge_streams::{Kind, Refusal, Reply, Request, StreamId};

use super::config::Start;
use super::job::Job;
use super::line::Line;
use super::stream::Stream;

/// Makes what is missing, where the settings say so. The streams that cannot be read, and why.
pub(super) async fn ensure(
    job: &Job,
    line: &mut Line,
    streams: &[Arc<Stream>],
) -> Result<Vec<(Arc<Stream>, Refusal)>, Unreachable> {
    let starts = starts(job, line, streams).await?;
    let mut request = Request::new();
    for (stream, start) in streams.iter().zip(&starts) {
        let group = stream.group.as_bytes();
        match job.config.group.create {
            true => request.command(&[b"XGROUP", b"CREATE", &stream.name, group, start, b"MKSTREAM"]),
            false => request.command(&[b"XPENDING", &stream.name, group]),
        };
    }
    let replies = line.call(&request).await?;
    let mut failed = Vec::new();
    for (stream, reply) in streams.iter().zip(replies.iter()) {
        let Err(refusal) = reply.ok() else { continue };
        let is_well = match refusal.kind {
            Kind::BusyGroup => true,
            // The user may not make groups: where they are there that is no matter, where not the read says so.
            Kind::NoPermission => !refusal.message.contains("key"),
            kind => kind.is_passing(),
        };
        if !is_well {
            failed.push((stream.clone(), refusal));
        }
    }
    Ok(failed)
}

/// Where a group that is made begins. One that was there before goes on behind what was read: it was destroyed, or its key was
/// deleted and made anew.
async fn starts(job: &Job, line: &mut Line, streams: &[Arc<Stream>]) -> Result<Vec<Vec<u8>>, Unreachable> {
    let mut starts: Vec<Vec<u8>> = streams.iter().map(|stream| first(job, stream)).collect();
    let read: Vec<_> = streams.iter().map(|stream| stream.read()).collect();
    let mut request = Request::new();
    for (stream, _) in streams.iter().zip(&read).filter(|(_, read)| read.is_some()) {
        request.command(&[b"XREVRANGE", &stream.name, b"+", b"-", b"COUNT", b"1"]);
    }
    if request.is_empty() {
        return Ok(starts);
    }
    let replies = line.call(&request).await?;
    let mut replies = replies.iter();
    for (start, read) in starts.iter_mut().zip(read) {
        let Some(read) = read else { continue };
        let last = replies.next().and_then(|reply| newest(&reply));
        // A stream whose newest entry is older than what was read is another one.
        *start = match last.is_some_and(|last| last >= read) {
            true => read.to_string().into_bytes(),
            false => b"0".to_vec(),
        };
    }
    Ok(starts)
}

fn first(job: &Job, stream: &Stream) -> Vec<u8> {
    match job.config.group.start {
        _ if stream.is_late => b"0".to_vec(),
        Start::Oldest => b"0".to_vec(),
        Start::Latest => b"$".to_vec(),
        Start::Id(id) => id.to_string().into_bytes(),
    }
}

/// The id of the first entry of a list.
fn newest(reply: &Reply<'_>) -> Option<StreamId> {
    StreamId::parse(reply.list().next()?.list().next()?.text()?)
}
