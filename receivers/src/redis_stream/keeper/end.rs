//! The end: what was delivered is acknowledged, the rest is handed back.

use std::time::Duration;

use streamgauge_streams::{Kind, Request};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Keeper, Phase};
use crate::redis_stream::claim::remove;
use crate::redis_stream::config::Release;
use crate::redis_stream::post::Failed;

/// How often the last words are tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// The most entries that are handed back in one command.
const IDS: usize = 1000;

impl Keeper {
    pub(super) async fn end(mut self) {
        let drain = self.job.config.shutdown.drain_timeout;
        let deadline = match self.job.phase() {
            Phase::Closing(deadline) => deadline,
            Phase::Running | Phase::Ending => Instant::now() + drain,
        };
        let last = timeout_at(deadline, async {
            while let Err(error) = self.last_words().await {
                tracing::debug!(receiver = %self.job.host.id(), "the end is tried again: {error}");
                if let Failed::Refused(refusal) = &error {
                    self.line.heed(refusal).await;
                }
                sleep(AGAIN).await;
            }
        })
        .await;
        if last.is_err() {
            tracing::warn!(
                receiver = %self.job.host.id(), entries = self.acks.entries(),
                "not everything could be acknowledged in time: it will be delivered again"
            );
        }
        self.job.show();
    }

    async fn last_words(&mut self) -> Result<(), Failed> {
        if self.acks.entries() > 0 {
            self.acknowledge().await?;
        }
        self.acknowledge_trimmed().await?;
        if !self.post.is_empty()
            && let Err(error) = self.post.write(&mut self.line).await
        {
            // What cannot be written stays pending.
            tracing::warn!(receiver = %self.job.host.id(), "dead letters are left to the next start: {error}");
            self.post.take();
        }
        let handed = self.hand_back().await?;
        self.job.counters.handed_back.value.add(handed as u64);
        self.back.clear();
        self.leave().await?;
        match self.shard.clone() {
            Some(shard) => Ok(shard.give_back(&mut self.line).await?),
            None => Ok(()),
        }
    }

    /// Gives back what was not delivered, and does not count this delivery: by XNACK, or by making it look as if it had lain
    /// for long. Whoever looks next takes it.
    async fn hand_back(&mut self) -> Result<usize, Failed> {
        if self.back.is_empty() || self.job.config.shutdown.release == Release::Keep {
            return Ok(0);
        }
        let asked = self.line.call(&Request::of(&[b"COMMAND", b"INFO", b"XNACK"])).await?;
        let has_nack = asked.last().list().next().is_some_and(|one| one.list().next().is_some());
        let idle = self.job.config.claim.min_idle.as_millis() as u64;
        let (mut request, mut handed) = (Request::new(), 0);
        for run in self.back.iter().flat_map(|held| held.runs.iter()) {
            for taken in run.taken.chunks(IDS) {
                handed += taken.len();
                if has_nack {
                    request.begin(6 + taken.len()).word(b"XNACK").word(&run.stream.name);
                    request.word(run.stream.group.as_bytes()).word(b"SILENT").word(b"IDS");
                    request.number(taken.len() as u64);
                    taken.iter().for_each(|one| {
                        request.id(one.id);
                    });
                    continue;
                }
                // The count is one for all: that of the entry that has had most.
                let deliveries = taken.iter().map(|one| u64::from(one.deliveries)).max().unwrap_or(0);
                request.begin(10 + taken.len()).word(b"XCLAIM").word(&run.stream.name);
                request.word(run.stream.group.as_bytes()).word(self.job.member.name.as_bytes()).word(b"0");
                taken.iter().for_each(|one| {
                    request.id(one.id);
                });
                request.word(b"IDLE").number(idle).word(b"RETRYCOUNT").number(deliveries).word(b"JUSTID");
            }
        }
        let replies = self.line.call(&request).await?;
        match replies.iter().find_map(|reply| reply.ok().err()) {
            Some(refusal) if refusal.kind.is_passing() => Err(refusal.into()),
            Some(_) => Ok(0),
            None => Ok(handed),
        }
    }

    /// Takes the heartbeat away, and the consumer where it holds nothing; unless another instance goes on under its name.
    async fn leave(&mut self) -> Result<(), Failed> {
        if !self.job.hands.is_last() {
            return Ok(());
        }
        let mut request = Request::new();
        for stream in self.streams.borrow().iter() {
            let consumer = self.job.member.name.as_bytes();
            if let Some(key) = stream.heartbeat(consumer) {
                request.command(&[b"DEL", &key]);
            }
            remove(&mut request, stream, consumer);
        }
        if request.is_empty() {
            return Ok(());
        }
        let replies = self.line.call(&request).await?;
        match replies.iter().find_map(|reply| reply.ok().err().filter(|refusal| refusal.kind.is_passing())) {
            Some(refusal) if refusal.kind != Kind::ReadOnly => Err(refusal.into()),
            _ => Ok(()),
        }
    }
}
