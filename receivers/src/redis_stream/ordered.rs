//! The read loop of a stream whose entries go on in order (`ordering`): one read is settled before the next is asked for.
//!
//! Whoever gets the lease first finishes what its forerunner left, in the order of the ids: one entry, then twice as many
//! with each success, as after a crash.

use std::sync::Arc;

use streamgauge_streams::{Entries, Kind, Refusal, Reply, Request, StreamId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Duration, Instant, sleep};

use super::groups::ensure;
use super::intake::{Intake, hand_over};
use super::job::{Job, PATIENCE, Phase, Reads};
use super::keeper::Event;
use super::line::{Backoff, Line};
use super::part::Held;
use super::pending::{Pending, Whose, page, taken};
use super::post::Failed;
use super::recover::reached;
use super::shard::{Progress, Shard, Tenure};
use super::stream::Stream;

/// The most entries that are taken over at once.
const MOST: usize = 1000;
/// How long reading waits when the process is short of memory or room, before it looks again.
const ROOM_WAIT: Duration = Duration::from_millis(20);

pub(super) struct Ordered {
    job: Arc<Job>,
    stream: Arc<Stream>,
    shard: Arc<Shard>,
    tell: UnboundedSender<Event>,
    line: Line,
    about: String,
    /// Entries that were read.
    handed: u64,
    backoff: Backoff,
}

impl Ordered {
    pub fn new(
        job: &Arc<Job>,
        stream: &Arc<Stream>,
        shard: &Arc<Shard>,
        tell: UnboundedSender<Event>,
        about: &str,
    ) -> Self {
        Ordered {
            job: job.clone(),
            stream: stream.clone(),
            shard: shard.clone(),
            tell,
            line: Line::new(job, &stream.name),
            about: format!("{about}, reading"),
            handed: 0,
            backoff: Backoff::of_connecting(),
        }
    }

    pub async fn run(mut self) {
        let job = self.job.clone();
        let _reads = Reads::new(&job);
        while job.phase() == Phase::Running {
            self.shard.held().await;
            let Err(error) = self.tenancy().await else { continue };
            match &error {
                Failed::Lost(lost) => {
                    job.counters.error("xreadgroup", lost.stage);
                    self.line.lose();
                }
                Failed::Refused(refusal) => {
                    job.counters.error("xreadgroup", refusal.kind.as_str());
                    self.line.heed(refusal).await;
                }
            }
            job.troubles.tell(&self.about, error.to_string());
            tokio::select! {
                () = sleep(self.backoff.next(job.host.random().next())) => {}
                () = job.phase_after(Phase::Running) => {}
            }
        }
        job.troubles.clear(&self.about);
    }

    /// Whether more may be read.
    fn goes_on(&self) -> bool {
        self.job.phase() == Phase::Running && self.shard.holds()
    }

    /// Reads while the stream is ours.
    async fn tenancy(&mut self) -> Result<(), Failed> {
        // What is still on its way from the last time goes first.
        self.settled().await;
        if let Some((_, refusal)) =
            ensure(&self.job, &mut self.line, std::slice::from_ref(&self.stream)).await?.into_iter().next()
        {
            return Err(refusal.into());
        }
        self.finish().await?;
        let (mut last, mut was_woken) = (self.reached().await?, false);
        while self.goes_on() {
            if matches!(*self.shard.tenure.borrow(), Tenure::Leaving(_)) {
                self.known().await;
                return Ok(self.shard.give_back(&mut self.line).await?);
            }
            let room = self.job.bound.room(1, 1.0);
            if room == 0 || self.job.host.budget().pressure().is_some() {
                sleep(ROOM_WAIT).await;
                self.job.counters.blocked.value.add(ROOM_WAIT.as_millis() as u64);
                continue;
            }
            match self.read(room).await? {
                Some(id) => (last, was_woken) = (id, false),
                None if self.goes_on() => {
                    if was_woken {
                        // Somebody has moved the group past what woke us.
                        sleep(ROOM_WAIT).await;
                        last = self.reached().await?;
                    }
                    was_woken = self.wait(last).await?;
                }
                None => {}
            }
            self.backoff.reset();
            self.job.troubles.clear(&self.about);
        }
        Ok(())
    }

    /// Finishes what is pending, whoever read it.
    async fn finish(&mut self) -> Result<(), Failed> {
        let (mut after, mut step) = (StreamId::ZERO, 1);
        while self.goes_on() {
            let room = self.job.bound.room(1, 1.0).max(1);
            let whose = Whose::Idle(Duration::ZERO);
            let left = page(&mut self.line, &self.stream, whose, after, step.min(room).min(MOST)).await?;
            let Some(last) = left.last().map(|one| one.id) else { return Ok(()) };
            let Some(parts) = self.claim(&left).await? else { return Ok(()) };
            after = last;
            let mut is_well = true;
            for mut held in parts {
                let heard = held.hear();
                hand_over(&self.job, &self.tell, held).await;
                self.settled().await;
                is_well &= self.goes_on() && heard.await.unwrap_or(false);
            }
            self.settled().await;
            step = if is_well { step * 2 } else { 1 };
        }
        Ok(())
    }

    /// Makes entries ours. `None` when the stream is not.
    async fn claim(&mut self, left: &[Pending]) -> Result<Option<Vec<Held>>, Failed> {
        let mut request = Request::new();
        self.shard.fenced(&mut request, 5 + left.len()).word(b"XCLAIM").word(&self.stream.name);
        request.word(self.stream.group.as_bytes()).word(self.job.member.name.as_bytes()).word(b"0");
        for one in left {
            request.id(one.id);
        }
        let replies = self.line.call(&request).await?;
        if self.shard.answer(replies.last())?.is_none() {
            return Ok(None);
        }
        let found = taken(&self.job, &self.tell, &mut self.line, &self.stream, left, &replies).await?;
        self.handed += found.entries as u64;
        self.job.counters.recovered.value.add(found.entries as u64);
        Ok(Some(found.parts))
    }

    /// Reads what is new and waits until it is settled. The last id, if there is something.
    async fn read(&mut self, room: usize) -> Result<Option<StreamId>, Failed> {
        let count = self.job.config.read.count.min(room);
        let mut request = Request::new();
        self.shard.fenced(&mut request, 9).word(b"XREADGROUP").word(b"GROUP");
        request.word(self.stream.group.as_bytes()).word(self.job.member.name.as_bytes());
        request.word(b"COUNT").number(count as u64).word(b"STREAMS").word(&self.stream.name).word(b">");
        let replies = self.line.call(&request).await?;
        let Some(reply) = self.shard.answer(replies.last())? else { return Ok(None) };
        let mut entries = Entries::of_streams(&reply);
        let mut intake = Intake::new(&self.job, &self.tell);
        while entries.next_stream().map_err(Refusal::from)?.is_some() {
            intake.take(&self.stream, &mut entries, |_| 0).map_err(Refusal::from)?;
        }
        self.handed += intake.entries as u64;
        self.job.counters.read.value.add(intake.entries as u64);
        let last = intake.last;
        if let Some(last) = last {
            self.stream.note_read(last);
        }
        for held in intake.finish() {
            hand_over(&self.job, &self.tell, held).await;
        }
        self.settled().await;
        Ok(last)
    }

    /// How far the group has come.
    async fn reached(&mut self) -> Result<StreamId, Failed> {
        let reached = reached(&mut self.line, vec![self.stream.clone()]).await?;
        Ok(reached.first().map_or(StreamId::ZERO, |(_, id)| *id))
    }

    /// Waits for new entries, without taking them; whether there are some.
    async fn wait(&mut self, last: StreamId) -> Result<bool, Failed> {
        let block = self.job.config.read.block;
        let mut request = Request::new();
        request.begin(8).word(b"XREAD").word(b"COUNT").word(b"1").word(b"BLOCK");
        request.number((block.as_millis() as u64).max(1)).word(b"STREAMS").word(&self.stream.name).id(last);
        let link = self.line.link().await?;
        link.send(&request, Instant::now() + PATIENCE).await?;
        let replies = link.receive(Instant::now() + block + PATIENCE).await?;
        match replies.last().ok() {
            Ok(reply) => Ok(!matches!(reply, Reply::Nil)),
            // Whoever may not wait asks again and again.
            Err(refusal) if refusal.kind == Kind::NoPermission => {
                sleep(block).await;
                Ok(false)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Waits until all that was read is over, the stream is not ours any more, or the receiver ends.
    async fn settled(&mut self) {
        let handed = self.handed;
        self.comes_to(|progress| progress.over >= handed).await;
    }

    /// The same, and Redis knows.
    async fn known(&mut self) {
        let handed = self.handed;
        self.comes_to(|progress| progress.over >= handed && progress.is_known).await;
    }

    async fn comes_to(&mut self, wanted: impl Fn(&Progress) -> bool) {
        let mut progress = self.shard.progress.subscribe();
        tokio::select! {
            biased;
            _ = progress.wait_for(wanted) => {}
            () = self.shard.lost() => {}
            () = self.job.phase_after(Phase::Running) => {}
        }
    }
}
