//! Writes dead letters.

use std::collections::HashMap;
use std::sync::Arc;

use streamgauge_redis::Unreachable;
use streamgauge_streams::{Kind, Refusal, Reply, Request};

use super::job::Job;
use super::letter::Letter;
use super::line::Line;

/// Letters that are written in one request.
const AT_ONCE: usize = 50;

/// Why letters are not written.
#[derive(Debug)]
pub(super) enum Failed {
    Lost(Unreachable),
    Refused(Refusal),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Lost(error) => error.fmt(f),
            Failed::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl From<Unreachable> for Failed {
    fn from(error: Unreachable) -> Self {
        Failed::Lost(error)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Failed::Refused(refusal)
    }
}

/// Letters that wait to be written, and the links that write them.
pub(super) struct Post {
    job: Arc<Job>,
    waiting: Vec<Letter>,
    /// Links to dead letter streams that lie in another slot than their stream.
    elsewhere: HashMap<Vec<u8>, Line>,
    has_slots: bool,
}

impl Post {
    pub fn new(job: &Arc<Job>, has_slots: bool) -> Self {
        Post { job: job.clone(), waiting: Vec::new(), elsewhere: HashMap::new(), has_slots }
    }

    pub fn add(&mut self, letters: impl IntoIterator<Item = Letter>) {
        self.waiting.extend(letters);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes what waits, to be handed back.
    pub fn take(&mut self) -> Vec<Letter> {
        std::mem::take(&mut self.waiting)
    }

    /// Writes what waits. What could not be written waits on.
    pub async fn write(&mut self, line: &mut Line) -> Result<(), Failed> {
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(AT_ONCE);
            self.write_some(line, count).await?;
        }
        Ok(())
    }

    async fn write_some(&mut self, line: &mut Line, count: usize) -> Result<(), Failed> {
        let fetch = Letter::fetch(&self.waiting[..count]);
        if !fetch.is_empty() {
            let replies = line.call(&fetch).await?;
            Letter::fetched(&mut self.waiting[..count], &replies)?;
        }
        self.check(line, count).await?;
        let (mut done, mut failed) = (Vec::with_capacity(count), None);
        let mut together = Request::new();
        for at in 0..count {
            let target = self.target(&self.waiting[at]);
            let is_together = |target: &Vec<u8>| self.waiting[at].is_together(target, self.has_slots);
            let (together_with, elsewhere) = match target {
                Some(target) if is_together(&target) => (Some(target), None),
                target => (None, target),
            };
            if let Some(target) = elsewhere
                && let Err(refusal) = self.add_elsewhere(at, &target).await?
            {
                failed = Some(refusal);
                done.push(false);
                continue;
            }
            let letter = &self.waiting[at];
            if let Some(target) = &together_with {
                together.command(&[b"MULTI"]);
                letter.write_add(&mut together, target, &self.job);
            }
            letter.write_ack(&mut together);
            if together_with.is_some() {
                together.command(&[b"EXEC"]);
            }
            done.push(true);
        }
        if !together.is_empty() {
            let replies = line.call(&together).await?;
            let mut replies = replies.iter();
            for (letter, done) in self.waiting.iter().zip(&mut done).filter(|(_, done)| **done) {
                let is_multi =
                    self.target(letter).is_some_and(|target| letter.is_together(&target, self.has_slots));
                if let Err(refusal) = outcome(&mut replies, is_multi) {
                    *done = false;
                    failed = Some(refusal);
                }
            }
        }
        let mut done = done.into_iter();
        let mut gone = Vec::new();
        self.waiting.retain_mut(|letter| match done.next() {
            Some(true) => {
                gone.push((
                    letter.reason,
                    letter.id,
                    letter.stream.shown.clone(),
                    letter.event_type(),
                    letter.message.clone(),
                ));
                false
            }
            _ => true,
        });
        self.tell(&gone);
        failed.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Adds a letter in another slot than its stream's. Not in one step with the acknowledgement that follows: a crash between
    /// them makes a second letter, and loses none. Added once, whatever becomes of the
    /// acknowledgement.
    async fn add_elsewhere(&mut self, at: usize, target: &[u8]) -> Result<Result<(), Refusal>, Failed> {
        if self.waiting[at].is_added {
            return Ok(Ok(()));
        }
        let mut add = Request::new();
        self.waiting[at].write_add(&mut add, target, &self.job);
        let job = &self.job;
        let there = self.elsewhere.entry(target.to_vec()).or_insert_with(|| Line::new(job, target));
        match there.call(&add).await?.last().ok() {
            Ok(_) => {
                self.waiting[at].is_added = true;
                Ok(Ok(()))
            }
            Err(refusal) => {
                there.heed(&refusal).await;
                Ok(Err(refusal))
            }
        }
    }

    /// Cuts off what is older, in milliseconds since 1970.
    pub async fn trim(&mut self, line: &mut Line, targets: &[Vec<u8>], oldest: u64) -> Result<(), Failed> {
        for target in targets {
            let request = Request::of(&[b"XTRIM", target, b"MINID", b"=", format!("{oldest}-0").as_bytes()]);
            let reply = if self.has_slots {
                let job = &self.job;
                self.elsewhere
                    .entry(target.clone())
                    .or_insert_with(|| Line::new(job, target))
                    .call(&request)
                    .await?
            } else {
                line.call(&request).await?
            };
            if let Err(refusal) = reply.last().ok() {
                self.job.counters.error("xtrim", refusal.kind.as_str());
            }
        }
        Ok(())
    }

    /// Where a letter goes; nowhere when there is no dead letter, or not for its like.
    fn target(&self, letter: &Letter) -> Option<Vec<u8>> {
        let drops = letter.is_undecodable
            && self.job.config.dead_letter.on_undecodable == super::config::OnUndecodable::Drop;
        letter.stream.dead_letter.clone().filter(|_| !drops)
    }

    /// Sees to it that dead letter streams are streams: in MULTI the XACK would go through although the XADD fails.
    async fn check(&mut self, line: &mut Line, count: usize) -> Result<(), Failed> {
        let mut targets: Vec<Vec<u8>> = Vec::new();
        for letter in &self.waiting[..count] {
            let target = self.target(letter).filter(|target| letter.is_together(target, self.has_slots));
            targets.extend(target.filter(|target| !targets.contains(target)));
        }
        if targets.is_empty() {
            return Ok(());
        }
        let mut request = Request::new();
        for target in &targets {
            request.command(&[b"TYPE", target]);
        }
        let replies = line.call(&request).await?;
        for (reply, target) in replies.iter().zip(&targets) {
            match reply {
                Reply::Text(b"none" | b"stream") => {}
                Reply::Text(kind) => {
                    let (name, kind) = (String::from_utf8_lossy(target), String::from_utf8_lossy(kind));
                    let message = format!("WRONGTYPE the dead letter {name} is a {kind} and no stream");
                    return Err(Refusal { kind: Kind::WrongType, message }.into());
                }
                // Whoever may not ask for the type can still write.
                Reply::Error(refusal) if refusal.kind == Kind::NoPermission => {}
                Reply::Error(refusal) => return Err(refusal.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts, and tells one of them.
    fn tell(&self, gone: &[(&'static str, streamgauge_streams::StreamId, String, String, String)]) {
        let Some((reason, id, stream, event_type, message)) = gone.first() else { return };
        let has_one = self.job.config.dead_letter.enabled;
        for (reason, ..) in gone {
            match has_one {
                true => self.job.counters.dead_lettered(reason, 1),
                false => self.job.counters.dropped(reason, 1),
            }
        }
        let (entries, what) =
            (gone.len(), if has_one { "to the dead letter" } else { "dropped: there is no dead letter" });
        tracing::warn!(
            receiver = %self.job.host.id(), stream, message_id = %id, event_type, reason, error = message, entries,
            "an entry that nobody takes goes {what}"
        );
    }
}

/// Reads the replies to one letter's commands.
fn outcome<'a>(replies: &mut impl Iterator<Item = Reply<'a>>, is_multi: bool) -> Result<(), Refusal> {
    let mut next = || replies.next().unwrap_or(Reply::Nil);
    if !is_multi {
        return next().ok().map(drop);
    }
    // MULTI, and XADD and XACK as they are put aside: a refusal here means that nothing of it happens.
    let aside: Vec<_> = (0..3).filter_map(|_| next().ok().err()).collect();
    let last = next();
    if let Some(refusal) = aside.into_iter().next() {
        return Err(refusal);
    }
    last.ok()?.list().try_for_each(|reply| reply.ok().map(drop))
}
