//! A processor at handed-in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::batch::Batch;
use crate::clock::Now;
use crate::processor::{Collected, Out, Processor, Tally};

/// Runs a processor at simulated time: wakes it when it asked for it, collects what it sends.
pub struct Bench {
    processor: Arc<dyn Processor>,
    now: Now,
    wake_at: Option<Instant>,
    tallies: Vec<Tally>,
    /// The lasting state as it was written last.
    remembered: Option<Bytes>,
}

impl Bench {
    /// Starts at a wall clock of `unix_secs`.
    pub fn new(processor: Arc<dyn Processor>, unix_secs: u64) -> Self {
        let now = Now { instant: Instant::now(), unix_nanos: unix_secs * 1_000_000_000 };
        Bench { processor, now, wake_at: None, tallies: Vec::new(), remembered: None }
    }

    /// The simulated time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Hands it a batch; what it sends at once.
    pub fn process(&mut self, batch: Batch) -> Vec<Batch> {
        let mut out = Out::new(self.now);
        self.processor.process(batch, &mut out);
        self.collect(out)
    }

    /// Hands it a batch; what it sends by its routes at once, with their numbers.
    pub fn route(&mut self, batch: Batch) -> Vec<(usize, Batch)> {
        let mut out = Out::new(self.now);
        self.processor.process(batch, &mut out);
        let mut collected = out.into_collected();
        let routed = std::mem::take(&mut collected.routed);
        assert!(self.keep(collected).is_empty(), "sent without a route");
        routed
    }

    /// Lets time pass, with every wake the processor asks for on the way; what it sends.
    pub fn advance(&mut self, by: Duration) -> Vec<Batch> {
        let end = self.now.after(by);
        let mut sent = Vec::new();
        while let Some(at) = self.wake_at.filter(|at| *at <= end.instant) {
            self.now = self.now.after(at.saturating_duration_since(self.now.instant));
            self.wake_at = None;
            let mut out = Out::new(self.now);
            self.processor.wake(&mut out);
            sent.extend(self.collect(out));
        }
        self.now = end;
        sent
    }

    /// Stops it; what it sends at last.
    pub fn flush(&mut self) -> Vec<Batch> {
        let mut out = Out::new(self.now);
        self.processor.flush(&mut out);
        self.collect(out)
    }

    /// A kill and a restart: `fresh` takes its place, with the lasting state that was written last and nothing else.
    ///
    /// # Errors
    /// What `fresh` says of that state.
    pub fn restart(&mut self, fresh: Arc<dyn Processor>) -> Result<(), String> {
        (self.processor, self.wake_at) = (fresh.clone(), None);
        let (Some(state), Some(lasting)) = (self.remembered.clone(), fresh.lasting()) else { return Ok(()) };
        let mut out = Out::new(self.now);
        lasting.restore(&state, &mut out)?;
        self.collect(out);
        Ok(())
    }

    /// What its calls counted, added up.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in &self.tallies {
            sum.created.extend(&tally.created);
            sum.delivered += tally.delivered;
            sum.dropped.extend(&tally.dropped);
            sum.returned.extend(&tally.returned);
        }
        sum
    }

    fn collect(&mut self, out: Out) -> Vec<Batch> {
        if out.remembers() {
            self.remembered = self.processor.lasting().map(|lasting| lasting.state());
        }
        self.keep(out.into_collected())
    }

    fn keep(&mut self, collected: Collected) -> Vec<Batch> {
        self.wake_at = match (self.wake_at, collected.wake_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.tallies.push(collected.tally);
        collected.batches.into_iter().chain(collected.routed.into_iter().map(|(_, batch)| batch)).collect()
    }
}
