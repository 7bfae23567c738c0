//! The read loop of one connection.
//!
//! The next read is asked for before the last one is decoded, so that Redis works while we do. A read that is not answered in
//! time, after a failover for instance, is given up and the connection with it: no reader waits for ever.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use streamgauge_redis::Unreachable;
use streamgauge_streams::{Entries, Kind, Refusal, Replies, Reply};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::bound::Reserved;
use super::groups::ensure;
use super::intake::{Intake, hand_over};
use super::job::{Job, PATIENCE, Phase, Reads};
use super::keeper::Event;
use super::lane::Streams;
use super::line::{Backoff, Line};
use super::plan::Planner;
use super::post::Failed;
use super::recover::{Why, reached, recover};
use super::stream::Stream;

/// How long new entries wait for this consumer's own pending ones.
const OWN_FIRST: Duration = Duration::from_secs(10);
/// How long reading waits when the process is short of memory, before it looks again.
const MEMORY_WAIT: Duration = Duration::from_millis(50);
/// What an entry is taken to have, in bytes, before one was seen.
const EACH: usize = 512;

pub(super) struct Reader {
    job: Arc<Job>,
    streams: watch::Receiver<Streams>,
    tell: UnboundedSender<Event>,
    line: Line,
    about: String,
    /// Whether no other process has this consumer's name, once that is known.
    alone: watch::Receiver<Option<bool>>,
    /// Streams that cannot be read, until when.
    asleep: HashMap<Vec<u8>, Instant>,
    /// Streams whose own pending entries were looked for.
    recovered: HashSet<Vec<u8>>,
    /// A connection was lost while a read was under way.
    lost: bool,
    /// Groups are to be looked at again.
    check: bool,
    made: u64,
    planner: Planner,
    /// Bytes of an entry, about.
    each: usize,
    backoff: Backoff,
}

/// Replies to a read, and the room that is kept for them.
struct Got {
    replies: Replies,
    _reserved: Reserved,
}

impl Reader {
    pub fn new(
        job: &Arc<Job>,
        streams: watch::Receiver<Streams>,
        tell: UnboundedSender<Event>,
        alone: watch::Receiver<Option<bool>>,
        key: &[u8],
        about: &str,
    ) -> Self {
        Reader {
            job: job.clone(),
            streams,
            tell,
            line: Line::new(job, key),
            about: format!("{about}, reading"),
            alone,
            asleep: HashMap::new(),
            recovered: HashSet::new(),
            lost: false,
            check: true,
            made: 0,
            planner: Planner::new(),
            each: EACH,
            backoff: Backoff::of_connecting(),
        }
    }

    pub async fn run(mut self) {
        let job = self.job.clone();
        let _reads = Reads::new(&job);
        while job.phase() == Phase::Running {
            let Err(error) = self.session().await else { continue };
            match &error {
                Failed::Lost(lost) => {
                    if lost.stage == "timeout" {
                        job.counters.overdue.value.add(1);
                    }
                    job.counters.error("xreadgroup", lost.stage);
                    self.line.lose();
                }
                Failed::Refused(refusal) => {
                    job.counters.error("xreadgroup", refusal.kind.as_str());
                    self.check |= !refusal.kind.is_passing() || refusal.kind == Kind::Unblocked;
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

    /// Streams that are read, and when one more may be.
    fn active(&mut self) -> (Vec<Arc<Stream>>, Option<Instant>) {
        let now = Instant::now();
        let before = self.asleep.len();
        self.asleep.retain(|_, until| *until > now);
        self.check |= self.asleep.len() < before;
        let streams = self.streams.borrow_and_update().clone();
        let active =
            streams.iter().filter(|stream| !self.asleep.contains_key(&stream.name)).cloned().collect();
        (active, self.asleep.values().min().copied())
    }

    /// Reads until something is refused, lost, or about to change.
    async fn session(&mut self) -> Result<(), Failed> {
        let (mut active, mut wake) = self.active();
        self.line.link().await?;
        if std::mem::replace(&mut self.made, self.line.made) != self.line.made {
            self.check = true;
        }
        let is_new = active.iter().any(|stream| !self.recovered.contains(&stream.name));
        if (self.check || is_new) && !active.is_empty() {
            let failed = ensure(&self.job, &mut self.line, &active).await?;
            self.isolate(&active, failed);
            self.check = false;
            (active, wake) = self.active();
        }
        if active.is_empty() {
            return self.rest(wake).await;
        }
        self.own_first(&active).await?;
        let mut got = None;
        let ended = self.read(&active, wake, &mut got).await;
        // What came is ours, whatever happened since.
        if let Some(got) = got.take() {
            self.take(&active, got).await;
        }
        if ended.is_err() && self.line.open().is_none_or(|link| link.under_way() > 0) {
            self.lost = true;
        }
        ended
    }

    async fn read(
        &mut self,
        active: &[Arc<Stream>],
        wake: Option<Instant>,
        last: &mut Option<Got>,
    ) -> Result<(), Failed> {
        let job = self.job.clone();
        let mut levels: Vec<_> = active.iter().map(|stream| stream.level).collect();
        levels.sort_unstable();
        levels.dedup();
        loop {
            let is_over = job.phase() != Phase::Running
                || self.streams.has_changed().unwrap_or(false)
                || wake.is_some_and(|at| at <= Instant::now());
            if is_over {
                return Ok(());
            }
            let is_short = job.host.budget().pressure().is_some();
            let plan = (!is_short)
                .then(|| self.planner.next(&job.config, &job.member.name, active, &job.bound, self.each))
                .flatten();
            let Some(plan) = plan else {
                match last.take() {
                    Some(got) => self.take(active, got).await,
                    None => self.wait_for_room(is_short).await,
                }
                continue;
            };
            let reserved = job.bound.reserve(plan.most);
            let link = self.line.link().await?;
            link.send(&plan.request, Instant::now() + PATIENCE).await?;
            if let Some(got) = last.take() {
                self.take(active, got).await;
            }
            let replies = self.receive(plan.blocks).await?;
            let (mut refused, mut came) = (None, 0);
            for reply in replies.iter() {
                match reply {
                    Reply::Error(refusal) => refused = refused.or(Some(refusal)),
                    Reply::List(list) => came += list.left(),
                    _ => {}
                }
            }
            self.planner.learn(came, levels.len(), job.config.priority.mode);
            match came {
                // Whatever came before is handed over, and no other read is under way.
                0 => active.iter().for_each(|stream| stream.note_quiet()),
                _ => *last = Some(Got { replies, _reserved: reserved }),
            }
            if let Some(refusal) = refused {
                return Err(refusal.into());
            }
            self.backoff.reset();
            job.troubles.clear(&self.about);
        }
    }

    /// The replies to the read that is under way. It may have begun while its forerunner was still handed over: what the
    /// server is waited for begins now.
    async fn receive(&mut self, blocks: bool) -> Result<Replies, Unreachable> {
        let block = if blocks { self.job.config.read.block } else { Duration::ZERO };
        let deadline = Instant::now() + block + PATIENCE;
        self.line.link().await?.receive(deadline).await
    }

    async fn wait_for_room(&mut self, is_short: bool) {
        let began = Instant::now();
        self.job.show();
        tokio::select! {
            () = self.job.bound.freed(), if !is_short => {}
            // Whatever is missed by a hair is seen a little later.
            () = sleep(MEMORY_WAIT) => {}
            () = self.job.phase_after(Phase::Running) => {}
        }
        self.job.counters.blocked.value.add(began.elapsed().as_millis() as u64);
    }

    /// Decodes what came and hands it over.
    async fn take(&mut self, active: &[Arc<Stream>], got: Got) {
        let mut intake = Intake::new(&self.job, &self.tell);
        for reply in got.replies.iter() {
            let mut entries = Entries::of_streams(&reply);
            loop {
                let name = match entries.next_stream() {
                    Ok(Some(name)) => name,
                    Ok(None) => break,
                    Err(malformed) => {
                        tracing::error!(receiver = %self.job.host.id(), "{}: {malformed}", self.about);
                        self.lost = true;
                        break;
                    }
                };
                let Some(stream) = active.iter().find(|stream| stream.name == name) else { continue };
                if let Err(malformed) = intake.take(stream, &mut entries, |_| 0) {
                    tracing::error!(receiver = %self.job.host.id(), stream = stream.shown, "{malformed}");
                    self.lost = true;
                }
            }
        }
        let entries = intake.entries;
        self.job.counters.read.value.add(entries as u64);
        if let Some(each) = got.replies.bytes().len().checked_div(entries) {
            // Half of the new estimate is the last read's.
            self.each = (self.each + each) / 2;
        }
        let parts = intake.finish();
        drop(got);
        for held in parts {
            for run in held.runs.iter() {
                if let Some(last) = run.taken.last() {
                    run.stream.note_read(last.id);
                }
            }
            let handed = hand_over(&self.job, &self.tell, held);
            match self.job.config.priority.field {
                // What is urgent may come with the next read.
                Some(_) => drop(tokio::spawn(handed)),
                None => handed.await,
            }
        }
    }

    /// Own pending entries come before new ones, for a while.
    async fn own_first(&mut self, active: &[Arc<Stream>]) -> Result<(), Unreachable> {
        let new: Vec<_> =
            active.iter().filter(|stream| !self.recovered.contains(&stream.name)).cloned().collect();
        if !new.is_empty() {
            let names: Vec<_> = new.iter().map(|stream| stream.name.clone()).collect();
            let own = self.own(new, Why::Start).await?;
            self.recovered.extend(names);
            let _ = timeout(OWN_FIRST, own).await;
        }
        if self.lost {
            self.own(active.to_vec(), Why::Lost).await?;
            self.lost = false;
        }
        Ok(())
    }

    async fn own(&mut self, streams: Vec<Arc<Stream>>, why: Why) -> Result<JoinHandle<()>, Unreachable> {
        let streams = reached(&mut self.line, streams).await?;
        let (job, tell, alone) = (self.job.clone(), self.tell.clone(), self.alone.clone());
        Ok(tokio::spawn(recover(job, tell, streams, why, alone)))
    }

    /// Leaves out streams that cannot be read, for a while; the others go on.
    fn isolate(&mut self, active: &[Arc<Stream>], failed: Vec<(Arc<Stream>, Refusal)>) {
        let until = Instant::now() + self.job.config.discovery_interval;
        for stream in active {
            let about = format!("stream {}", stream.shown);
            match failed.iter().find(|(other, _)| other.name == stream.name) {
                Some((_, refusal)) => {
                    self.asleep.insert(stream.name.clone(), until);
                    self.job.counters.error("xgroup", refusal.kind.as_str());
                    self.job.troubles.tell(&about, refusal.to_string());
                }
                None => self.job.troubles.clear(&about),
            }
        }
    }

    /// There is nothing to read now.
    async fn rest(&mut self, wake: Option<Instant>) -> Result<(), Failed> {
        let wake = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wake => {}
            changed = self.streams.changed() => {
                // The roster has ended, and so will the receiver.
                if changed.is_err() {
                    self.job.phase_after(Phase::Running).await;
                }
            }
            () = self.job.phase_after(Phase::Running) => {}
        }
        Ok(())
    }
}
