//! What is done every so often, and acknowledging.

use std::sync::atomic::Ordering;
use std::time::Duration;

use streamgauge_streams::{Kind, Request};

use super::{Keeper, Streams};
use crate::redis_stream::acks::Deletes;
use crate::redis_stream::claim::{claim, clean_up};
use crate::redis_stream::intake::hand_over;
use crate::redis_stream::post::Failed;

/// How often dead letters are trimmed and consumers that are gone are looked for.
pub(super) const TIDY: Duration = Duration::from_secs(60);

impl Keeper {
    fn now_streams(&self) -> Streams {
        self.streams.borrow().clone()
    }

    pub(super) async fn acknowledge(&mut self) -> Result<(), Failed> {
        let deletes = self.deletes().await?;
        let batch = self.acks.request(deletes);
        let replies = self.line.call(&batch.request).await?;
        batch.settle(&replies, &self.job)?;
        self.acks.done(&batch);
        Ok(())
    }

    /// How acknowledged entries are deleted, as the server has it.
    async fn deletes(&mut self) -> Result<Deletes, Failed> {
        if !self.job.config.ack.delete {
            return Ok(Deletes::No);
        }
        if let Some(known) = self.deletes {
            return Ok(known);
        }
        let streams = self.now_streams();
        let mut request = Request::of(&[b"COMMAND", b"INFO", b"XACKDEL"]);
        for stream in streams.iter() {
            request.command(&[b"XINFO", b"GROUPS", &stream.name]);
        }
        let replies = self.line.call(&request).await?;
        let mut replies = replies.iter();
        let has = replies
            .next()
            .is_some_and(|reply| reply.list().next().is_some_and(|one| one.list().next().is_some()));
        let alone = replies.all(|reply| reply.list().count() <= 1);
        let deletes = match (has, alone) {
            (true, _) => Deletes::Together,
            (false, true) => Deletes::After,
            (false, false) => {
                tracing::warn!(
                    receiver = %self.job.host.id(),
                    "ack.delete: nothing is deleted: other groups read these streams, and the server has no XACKDEL"
                );
                Deletes::No
            }
        };
        self.deletes = Some(deletes);
        Ok(deletes)
    }

    /// Takes entries off the pending list whose fields are gone. Redis may have done so itself.
    pub(super) async fn acknowledge_trimmed(&mut self) -> Result<(), Failed> {
        if self.trimmed.is_empty() {
            return Ok(());
        }
        let mut request = Request::new();
        for (stream, ids) in &self.trimmed {
            request.begin(3 + ids.len()).word(b"XACK").word(&stream.name).word(stream.group.as_bytes());
            ids.iter().for_each(|id| {
                request.id(*id);
            });
        }
        self.line.call(&request).await?;
        self.trimmed.clear();
        Ok(())
    }

    /// Tells that this consumer lives, and sees whether somebody else tells so under its name.
    pub(super) async fn beat(&mut self) -> Result<(), Failed> {
        if !self.job.member.beats.load(Ordering::Relaxed) {
            self.alone.send_replace(Some(true));
            return Ok(());
        }
        let (life, token) = (3 * self.job.config.consumer.heartbeat, self.job.hands.token.as_bytes());
        let mut request = Request::new();
        for stream in self.now_streams().iter() {
            let Some(key) = stream.heartbeat(self.job.member.name.as_bytes()) else { continue };
            request.begin(6).word(b"SET").word(&key).word(token);
            request.word(b"PX").number(life.as_millis() as u64).word(b"GET");
        }
        let mut is_other = false;
        if !request.is_empty() {
            for reply in self.line.call(&request).await?.iter() {
                match reply.ok() {
                    Ok(before) => is_other |= before.text().is_some_and(|before| before != token),
                    Err(refusal) if refusal.kind == Kind::NoPermission => {
                        self.job.member.beats.store(false, Ordering::Relaxed);
                        tracing::warn!(
                            receiver = %self.job.host.id(),
                            "no heartbeat can be written, so other consumers go by idle time alone: grant ~{}* +set +get +exists: {refusal}",
                            crate::redis_stream::stream::OURS
                        );
                    }
                    Err(refusal) => return Err(refusal.into()),
                }
            }
        }
        self.beats += 1;
        self.judge(is_other);
        Ok(())
    }

    /// A heartbeat of a process before this one is found once; one of a process that lives is there again.
    fn judge(&mut self, is_other: bool) {
        let name = &self.job.member.name;
        match (is_other, self.beats) {
            (true, 1) => {}
            (true, _) => {
                self.alone.send_replace(Some(false));
                let text = format!(
                    "another process is the consumer {name}, too: give each replica a consumer.name of its own"
                );
                self.job.troubles.tell("consumer", text);
            }
            (false, _) => {
                self.job.troubles.clear("consumer");
                self.alone.send_replace(Some(true));
            }
        }
    }

    /// Takes over what others have left lying.
    pub(super) async fn claim(&mut self) -> Result<(), Failed> {
        // In order, whoever gets a stream's lease finishes what is pending.
        if !self.job.config.claim.enabled || self.shard.is_some() {
            return Ok(());
        }
        let Some(tell) = self.tell.clone() else { return Ok(()) };
        for stream in self.now_streams().iter() {
            let found = match claim(&self.job, &tell, &mut self.line, stream).await {
                Ok(found) => found,
                // The reader sees to it that the group is there.
                Err(Failed::Refused(refusal)) if !refusal.kind.is_passing() => {
                    self.job.counters.error("xclaim", refusal.kind.as_str());
                    continue;
                }
                Err(error) => return Err(error),
            };
            for held in found {
                tokio::spawn(hand_over(&self.job, &tell, held));
            }
        }
        Ok(())
    }

    /// Trims dead letters that are too old, and removes consumers that are gone.
    pub(super) async fn tidy(&mut self) -> Result<(), Failed> {
        let streams = self.now_streams();
        let ttl = self.job.config.dead_letter.ttl;
        if !ttl.is_zero() {
            let oldest = self.job.now_ms().saturating_sub(ttl.as_millis() as u64);
            let mut targets: Vec<_> =
                streams.iter().filter_map(|stream| stream.dead_letter.clone()).collect();
            targets.sort_unstable();
            targets.dedup();
            self.post.trim(&mut self.line, &targets, oldest).await?;
        }
        for stream in streams.iter() {
            match clean_up(&self.job, &mut self.line, stream).await {
                Err(Failed::Refused(refusal)) if !refusal.kind.is_passing() => {
                    self.job.counters.error("xinfo", refusal.kind.as_str());
                }
                other => other?,
            }
        }
        Ok(())
    }
}
