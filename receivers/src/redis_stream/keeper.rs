//! Hears what became of parts, and does what follows: acknowledges, offers again, writes dead letters; and whatever is done
//! every so often: heartbeats, claims, trimming.

mod end;
mod hear;
mod rounds;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streamgauge_component::Outcome;
use streamgauge_streams::StreamId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::acks::{Acks, Deletes};
use super::job::{Job, Phase};
use super::lane::Streams;
use super::letter::Letter;
use super::line::{Backoff, Line};
use super::part::Held;
use super::post::{Failed, Post};
use super::shard::{Progress, Shard};
use super::stream::Stream;

/// What a keeper hears.
#[derive(Debug)]
pub(super) enum Event {
    /// What became of a part.
    Settled(Held, Outcome),
    /// An entry that is not offered at all.
    Doomed(Letter),
    /// Pending entries whose fields are gone.
    Gone(Arc<Stream>, Vec<StreamId>),
}

/// Events that are taken at once.
const EVENTS: usize = 1024;

pub(super) struct Keeper {
    job: Arc<Job>,
    streams: watch::Receiver<Streams>,
    /// To be heard again by itself; gone at the end, so that the events end when nobody has anything in hand.
    tell: Option<UnboundedSender<Event>>,
    events: UnboundedReceiver<Event>,
    phase: watch::Receiver<Phase>,
    line: Line,
    about: String,
    acks: Acks,
    deletes: Option<Deletes>,
    trimmed: Vec<(Arc<Stream>, Vec<StreamId>)>,
    post: Post,
    /// Parts that wait to be offered again, by when.
    waiting: BTreeMap<(Instant, u64), Held>,
    waits: u64,
    /// Of streams in order: whose they are, and halves that follow when the one before them is settled.
    shard: Option<Arc<Shard>>,
    later: Vec<Held>,
    over: u64,
    /// Parts that are offered no more, to be handed back.
    back: Vec<Held>,
    offers: Backoff,
    /// When the server can be asked again.
    failures: Backoff,
    rest_until: Instant,
    /// Whether no other process has this consumer's name, once that is known.
    alone: watch::Sender<Option<bool>>,
    beats: u64,
    beat_at: Instant,
    claim_at: Instant,
    tidy_at: Instant,
}

impl Keeper {
    pub fn new(
        job: &Arc<Job>,
        streams: watch::Receiver<Streams>,
        (tell, events): (UnboundedSender<Event>, UnboundedReceiver<Event>),
        (key, about, has_slots): (&[u8], &str, bool),
        shard: Option<Arc<Shard>>,
    ) -> Self {
        let (now, retry) = (Instant::now(), &job.config.retry.backoff);
        // Replicas that were started together do not look at the same time.
        let claim_at = now + job.config.claim.interval.mul_f64(0.5 + job.host.random().next() / 2.0);
        Keeper {
            job: job.clone(),
            streams,
            tell: Some(tell),
            events,
            phase: job.phase.subscribe(),
            line: Line::new(job, key),
            about: about.to_owned(),
            acks: Acks::default(),
            deletes: None,
            trimmed: Vec::new(),
            post: Post::new(job, has_slots),
            waiting: BTreeMap::new(),
            waits: 0,
            shard,
            later: Vec::new(),
            over: 0,
            back: Vec::new(),
            offers: Backoff::new(retry.initial, retry.max, retry.multiplier),
            failures: Backoff::of_connecting(),
            rest_until: now,
            alone: watch::Sender::new(None),
            beats: 0,
            beat_at: now,
            claim_at,
            tidy_at: now + Duration::from_secs(1),
        }
    }

    /// Whether no other process has this consumer's name, once that is known.
    pub fn alone(&self) -> watch::Receiver<Option<bool>> {
        self.alone.subscribe()
    }

    /// Until everything that was read is settled and the receiver ends.
    pub async fn run(mut self) {
        let mut events = Vec::new();
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                taken = self.events.recv_many(&mut events, EVENTS) => {
                    if taken == 0 {
                        break;
                    }
                }
                _ = self.phase.changed() => {}
                () = sleep_until(due) => {}
            }
            for event in events.drain(..) {
                self.hear(event);
            }
            let phase = *self.phase.borrow();
            if phase != Phase::Running {
                self.wind_up();
            }
            if matches!(phase, Phase::Closing(deadline) if Instant::now() >= deadline) {
                break;
            }
            self.show_progress();
            self.work().await;
            self.show_progress();
        }
        self.end().await;
    }

    /// Tells the reader of a stream in order how far what it read has come.
    fn show_progress(&self) {
        let Some(shard) = &self.shard else { return };
        let is_known = self.acks.entries() == 0 && self.post.is_empty() && self.trimmed.is_empty();
        let now = Progress { over: self.over, is_known };
        shard.progress.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    fn is_running(&self) -> bool {
        self.tell.is_some()
    }

    /// When there is something to do without anything being heard.
    fn due(&self) -> Instant {
        let mut due = self.beat_at.min(self.tidy_at);
        if self.is_running() {
            due = due.min(self.claim_at);
            due = self.waiting.first_key_value().map_or(due, |((at, _), _)| due.min(*at));
        }
        if let Some(at) = self.flush_at() {
            due = due.min(at);
        }
        if !self.post.is_empty() || !self.trimmed.is_empty() {
            due = due.min(Instant::now());
        }
        // While the server is not well only offers go on.
        let offers = self.waiting.first_key_value().filter(|_| self.is_running()).map(|((at, _), _)| *at);
        let rest = offers.map_or(self.rest_until, |at| at.min(self.rest_until));
        match Instant::now() < self.rest_until {
            true => due.max(rest),
            false => due,
        }
    }

    fn flush_at(&self) -> Option<Instant> {
        let since = self.acks.since()?;
        let is_due = !self.is_running() || self.acks.entries() >= self.job.config.ack.batch;
        Some(if is_due { since } else { since + self.job.config.ack.interval })
    }

    async fn work(&mut self) {
        self.offer_again();
        self.job.show();
        let now = Instant::now();
        if now < self.rest_until {
            return;
        }
        let worked = self.serve(now).await;
        match worked {
            Ok(()) => {
                self.failures.reset();
                self.job.troubles.clear(&self.about);
            }
            Err(error) => self.failed(error).await,
        }
    }

    /// Everything that wants the server, the most urgent first.
    async fn serve(&mut self, now: Instant) -> Result<(), Failed> {
        if self.flush_at().is_some_and(|at| at <= now) {
            self.acknowledge().await?;
        }
        self.acknowledge_trimmed().await?;
        if self.beat_at <= now {
            self.beat_at = now + self.job.config.consumer.heartbeat;
            self.beat().await?;
        }
        if !self.post.is_empty() {
            self.post.write(&mut self.line).await?;
        }
        if self.is_running() && self.claim_at <= now {
            self.claim_at = now + self.job.config.claim.interval;
            self.claim().await?;
        }
        if self.tidy_at <= now {
            self.tidy_at = now + rounds::TIDY;
            self.tidy().await?;
        }
        Ok(())
    }

    async fn failed(&mut self, error: Failed) {
        match &error {
            Failed::Lost(lost) => self.job.counters.error("keeper", lost.stage),
            Failed::Refused(refusal) => {
                self.job.counters.error("keeper", refusal.kind.as_str());
                self.line.heed(refusal).await;
            }
        }
        self.job.troubles.tell(&self.about, error.to_string());
        self.rest_until = Instant::now() + self.failures.next(self.job.host.random().next());
    }
}
