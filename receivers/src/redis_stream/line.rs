//! A link that is made again when it is lost, to whoever has a key now.

use std::sync::Arc;
use std::time::Duration;

use streamgauge_redis::{Monitor, Unreachable};
use streamgauge_streams::{Link, Refusal, Replies, Request};
use tokio::time::Instant;

use super::job::{Job, PATIENCE};

/// Waits that grow, with jitter.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    multiplier: f64,
    failures: u32,
}

impl Backoff {
    pub const fn new(first: Duration, most: Duration, multiplier: f64) -> Self {
        Backoff { first, most, multiplier, failures: 0 }
    }

    /// For a server that is not there.
    pub const fn of_connecting() -> Self {
        Backoff::new(Duration::from_millis(50), Duration::from_secs(5), 2.0)
    }

    /// The next wait: between half of it and all of it. `random` is in [0, 1).
    pub fn next(&mut self, random: f64) -> Duration {
        let wait = self.at(self.failures);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.5 + random / 2.0)
    }

    /// The wait after so many failures, without jitter.
    fn at(&self, failures: u32) -> Duration {
        let factor = self.multiplier.powi(failures.min(1000) as i32);
        let seconds = (self.first.as_secs_f64() * factor).min(self.most.as_secs_f64());
        Duration::try_from_secs_f64(seconds).unwrap_or(self.most)
    }

    /// The wait before the offer after so many.
    pub fn after(&self, offers: u32, random: f64) -> Duration {
        self.at(offers.saturating_sub(1)).mul_f64(0.5 + random / 2.0)
    }

    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A link to the owner of a key.
pub(super) struct Line {
    job: Arc<Job>,
    key: Vec<u8>,
    link: Option<Link>,
    /// Where ASK sent us: the node that is about to have the key.
    asks: Option<Arc<Monitor>>,
    /// How many links there have been.
    pub made: u64,
}

impl Line {
    pub fn new(job: &Arc<Job>, key: &[u8]) -> Self {
        Line { job: job.clone(), key: key.to_vec(), link: None, asks: None, made: 0 }
    }

    /// The link; made when there is none.
    pub async fn link(&mut self) -> Result<&mut Link, Unreachable> {
        let deadline = Instant::now() + PATIENCE;
        if let Some(asked) = &self.asks
            && let Ok(owner) = self.job.owners.of(&self.key, deadline).await
            && Arc::ptr_eq(&owner, asked)
        {
            // It has the slot now.
            self.asks = None;
            self.link.iter_mut().for_each(|link| link.ask(false));
        }
        let link = match self.link.take() {
            Some(link) => link,
            None => {
                let owner = match &self.asks {
                    Some(asked) => asked.clone(),
                    None => self.job.owners.of(&self.key, deadline).await?,
                };
                let name = format!("streamgauge:{}", self.job.host.id());
                let link = Link::open(&owner, &name, deadline).await;
                if link.is_err() {
                    self.asks = None;
                    self.job.owners.suspect();
                }
                self.made += 1;
                let mut link = link?;
                link.ask(self.asks.is_some());
                link
            }
        };
        Ok(self.link.insert(link))
    }

    /// The link, if there is one.
    pub fn open(&mut self) -> Option<&mut Link> {
        self.link.as_mut()
    }

    /// Sends and waits. A link that failed is let go.
    pub async fn call(&mut self, request: &Request) -> Result<Replies, Unreachable> {
        let deadline = Instant::now() + PATIENCE;
        let replies = self.link().await?.call(request, deadline).await;
        if replies.is_err() {
            self.lose();
        }
        replies
    }

    /// The link is of no use any more.
    pub fn lose(&mut self) {
        self.asks = None;
        if self.link.take().is_some() {
            self.job.counters.reconnects.value.add(1);
            self.job.owners.suspect();
        }
    }

    /// A command was refused: where that is about the node, another one is looked for.
    pub async fn heed(&mut self, refusal: &Refusal) {
        if refusal.kind.is_about_the_node() || refusal.kind == streamgauge_streams::Kind::NoAuth {
            self.link = None;
            let found = self.job.owners.redirected(refusal, Instant::now() + PATIENCE).await;
            self.asks = found.filter(|(_, asking)| *asking).map(|(node, _)| node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5), 2.0);
        let waits: Vec<_> = (0..5).map(|_| backoff.next(0.999_999).as_secs_f64().round() as u64).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(500));
        assert_eq!(backoff.after(u32::MAX, 0.0), Duration::from_millis(2500));
    }
}
