//! One stream in order (`ordering`): whose it is, and how far what was read of it has come.
//!
//! A stream belongs to the replica whose token stands at its key, for as long as that is renewed. Whatever takes entries
//! goes through the server only while the token stands there ([`Shard::fenced`]): a replica that was asleep for longer than
//! its lease takes nothing, even if it does not know yet. A replica that waits leaves word how many streams it has; who has
//! two more than that lets one go.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use streamgauge_redis::Unreachable;
use streamgauge_streams::{Refusal, Reply, Request};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::job::{Job, Phase};
use super::line::Line;
use super::post::Failed;
use super::stream::Stream;

/// What is left of a lease when nothing is begun any more: clocks run differently, and commands are on their way.
const MARGIN: f64 = 0.1;

/// Takes or keeps a lease.
const TAKE: &str = "local who = redis.call('GET', KEYS[1]) if who and who ~= ARGV[1] then return 0 end \
                    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1";
/// Gives a lease back.
const GIVE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
/// Does something while a lease is held: 0 when it is not.
const FENCE: &str =
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.pcall(unpack(ARGV, 2))";

/// Whose a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenure {
    /// Somebody else's, or nobody's.
    Not,
    /// Ours until then.
    Until(Instant),
    /// Ours until then, and to be given back as soon as what was read is settled.
    Leaving(Instant),
}

/// How far what was read has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Entries with which all is over: delivered, dead letters, or given up with the lease.
    pub over: u64,
    /// Whether Redis knows of all that is over.
    pub is_known: bool,
}

/// One stream.
pub(super) struct Shard {
    job: Arc<Job>,
    stream: Arc<Stream>,
    /// The keys of the lease, and of the wish for it.
    keys: [Vec<u8>; 2],
    pub tenure: watch::Sender<Tenure>,
    pub progress: watch::Sender<Progress>,
}

impl Shard {
    pub fn new(job: &Arc<Job>, stream: &Arc<Stream>) -> Arc<Self> {
        let keys = ["lease", "wish"].map(|what| stream.beside(what));
        let (tenure, progress) = (watch::Sender::new(Tenure::Not), watch::Sender::default());
        Arc::new(Shard { job: job.clone(), stream: stream.clone(), keys, tenure, progress })
    }

    /// Until when something may be begun; not at all when it is somebody else's.
    pub fn until(&self) -> Option<Instant> {
        match *self.tenure.borrow() {
            Tenure::Not => None,
            Tenure::Until(until) | Tenure::Leaving(until) => Some(until),
        }
    }

    /// Whether it is ours now.
    pub fn holds(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until it is ours, or the receiver ends.
    pub async fn held(&self) {
        let mut tenure = self.tenure.subscribe();
        tokio::select! {
            _ = tenure.wait_for(|_| self.holds()) => {}
            () = self.job.phase_after(Phase::Running) => {}
        }
    }

    /// Waits until it is not ours any more.
    pub async fn lost(&self) {
        let mut tenure = self.tenure.subscribe();
        while let Some(until) = self.until() {
            tokio::select! {
                _ = tenure.changed() => {}
                () = sleep_until(until) => return,
            }
        }
    }

    /// Begins a command of so many words that is done while it is ours; the reply is 0 when it is not.
    pub fn fenced<'r>(&self, request: &'r mut Request, words: usize) -> &'r mut Request {
        request.begin(6 + words).word(b"EVAL").word(FENCE.as_bytes()).word(b"2");
        request.word(&self.keys[0]).word(&self.stream.name).word(self.job.token.as_bytes())
    }

    /// The server says that it is somebody else's.
    pub fn lose(&self) {
        self.set(Tenure::Not);
    }

    fn set(&self, now: Tenure) {
        let had = self.tenure.send_replace(now) != Tenure::Not;
        let has = now != Tenure::Not;
        match (had, has) {
            (false, true) => self.job.leases.fetch_add(1, Relaxed),
            (true, false) => self.job.leases.fetch_sub(1, Relaxed),
            _ => return,
        };
        self.job.counters.leases.value.set(self.job.leases.load(Relaxed) as u64);
        let told = if has { "read here" } else { "not read here any more" };
        tracing::info!(receiver = %self.job.host.id(), stream = self.stream.shown, "in order: {told}");
    }

    /// Asks for the lease and renews it, until the task is ended.
    pub async fn keep(self: Arc<Self>) {
        let (job, life) = (self.job.clone(), self.job.config.ordering.lease);
        let mut line = Line::new(&job, &self.stream.name);
        let about = format!("lease of {}", self.stream.shown);
        loop {
            let asked = Instant::now();
            // A lease that is ours is renewed until the last moment; one that is not is asked for in its own time.
            let deadline = self.until().unwrap_or(asked + life);
            let is_wanted = self.holds() || job.phase() == Phase::Running;
            if is_wanted {
                match timeout_at(deadline, self.take(&mut line)).await {
                    Ok(Ok(Some(wish))) => self.ours(asked, wish),
                    Ok(Ok(None)) => self.set(Tenure::Not),
                    Ok(Err(Failed::Refused(refusal))) => {
                        job.counters.error("lease", refusal.kind.as_str());
                        job.troubles.tell(&about, refusal.to_string());
                        line.heed(&refusal).await;
                    }
                    Ok(Err(Failed::Lost(lost))) => job.counters.error("lease", lost.stage),
                    Err(_) => line.lose(),
                }
            }
            if !self.holds() {
                self.set(Tenure::Not);
            } else {
                job.troubles.clear(&about);
            }
            // Who has many streams already asks later than others.
            let lag = if self.holds() { 0.0 } else { job.leases.load(Relaxed).min(10) as f64 / 100.0 };
            let wait = life.mul_f64((0.5 + job.host.random().next() / 2.0) / 3.0 + lag);
            let next = asked + wait;
            let is_leaving = matches!(*self.tenure.borrow(), Tenure::Leaving(_));
            sleep_until(self.until().map_or(next, |until| next.min(until))).await;
            if is_leaving && self.until().is_none() {
                // For whoever wished for it.
                sleep(life).await;
            }
            if !self.holds() && self.until().is_some() {
                self.set(Tenure::Not);
            }
        }
    }

    /// It is ours for one lease more; `wish` is how many somebody has who would like it.
    fn ours(&self, asked: Instant, wish: Option<usize>) {
        let life = self.job.config.ordering.lease;
        let until = asked + life.mul_f64(1.0 - MARGIN);
        let has = self.job.leases.load(Relaxed);
        let is_leaving = matches!(*self.tenure.borrow(), Tenure::Leaving(_))
            || (wish.is_some_and(|wish| has >= wish + 2) && self.job.left.may(life / 2));
        self.set(if is_leaving { Tenure::Leaving(until) } else { Tenure::Until(until) });
    }

    /// `Some` when it is ours now, with the wish of another one.
    async fn take(&self, line: &mut Line) -> Result<Option<Option<usize>>, Failed> {
        let life = (self.job.config.ordering.lease.as_millis() as u64).max(2);
        let [lease, wish] = &self.keys;
        let mut request = Request::new();
        request.begin(6).word(b"EVAL").word(TAKE.as_bytes()).word(b"1").word(lease);
        request.word(self.job.token.as_bytes()).number(life);
        // Not in one step: while a slot is on its way, commands of two keys want both to be there.
        match self.holds() {
            true => request.command(&[b"GET", wish]),
            false => {
                let has = self.job.leases.load(Relaxed) as u64;
                request.begin(5).word(b"SET").word(wish).number(has).word(b"PX").number(life / 2)
            }
        };
        let replies = line.call(&request).await?;
        let mut replies = replies.iter();
        let is_ours = replies.next().unwrap_or(Reply::Nil).ok()?.integer() == Some(1);
        let wish = replies.next().and_then(|wish| std::str::from_utf8(wish.text()?).ok()?.parse().ok());
        Ok(is_ours.then_some(wish))
    }

    /// Gives it back: what was read is settled, and Redis knows.
    pub async fn give_back(&self, line: &mut Line) -> Result<(), Unreachable> {
        if self.until().is_some() {
            self.lose();
            let token = self.job.token.as_bytes();
            line.call(&Request::of(&[b"EVAL", GIVE.as_bytes(), b"1", &self.keys[0], token])).await?;
        }
        Ok(())
    }

    /// What a fenced command answered.
    pub fn answer<'a>(&self, reply: Reply<'a>) -> Result<Option<Reply<'a>>, Refusal> {
        match reply.ok()? {
            Reply::Integer(0) => {
                self.lose();
                Ok(None)
            }
            reply => Ok(Some(reply)),
        }
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.lose();
    }
}

/// When a stream was let go last, so that they go one by one.
#[derive(Debug, Default)]
pub(super) struct Left(std::sync::Mutex<Option<Instant>>);

impl Left {
    /// Whether one more may go; then it does.
    pub fn may(&self, after: Duration) -> bool {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let may = last.is_none_or(|last| last.elapsed() >= after);
        if may {
            *last = Some(Instant::now());
        }
        may
    }
}
