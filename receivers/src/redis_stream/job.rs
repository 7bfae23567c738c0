//! What all tasks of one receiver share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, UNIX_EPOCH};

use streamgauge_component::{Host, Outlets};
use streamgauge_streams::Owners;
use streamgauge_streams::encoding::Format;
use tokio::sync::watch;
use tokio::time::Instant;

use super::bound::{Bound, Hands};
use super::config::RedisStreamConfig;
use super::counters::Counters;
use super::events::Strangers;
use super::gate::Gate;
use super::shard::Left;
use super::troubles::Troubles;

/// How long a command that does not block may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What the receiver is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Reads.
    Running,
    /// Reads nothing more, and acknowledges.
    Ending,
    /// Sends the last acknowledgements until then.
    Closing(Instant),
}

/// This member of the group.
#[derive(Debug)]
pub(super) struct Member {
    /// The consumer's name.
    pub name: String,
    /// Whether heartbeats can be written: false once the user turned out not to be allowed to.
    pub beats: AtomicBool,
    /// Whether consumers that are gone can be removed; false once that was refused.
    pub cleans: AtomicBool,
}

pub(super) struct Job {
    pub host: Host,
    pub outlets: Outlets,
    pub config: Arc<RedisStreamConfig>,
    pub format: Format,
    pub owners: Owners,
    pub bound: Arc<Bound>,
    pub hands: Arc<Hands>,
    pub gate: Arc<Gate>,
    pub strangers: Strangers,
    /// What stands at the leases of this instance: another one in each.
    pub token: String,
    /// How many leases it has, and when it let one go.
    pub leases: AtomicUsize,
    pub left: Left,
    pub member: Member,
    pub counters: Counters,
    pub troubles: Troubles,
    pub phase: watch::Sender<Phase>,
    /// How many readers there are.
    pub readers: watch::Sender<usize>,
}

/// A reader, as long as it reads.
pub(super) struct Reads(Arc<Job>);

impl Reads {
    pub fn new(job: &Arc<Job>) -> Self {
        job.readers.send_modify(|readers| *readers += 1);
        Reads(job.clone())
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.0.readers.send_modify(|readers| *readers -= 1);
    }
}

impl Job {
    /// The wall clock in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.host.clock().wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the receiver is at another phase than this one.
    pub async fn phase_after(&self, phase: Phase) {
        let _ = self.phase.subscribe().wait_for(|now| *now != phase).await;
    }

    /// Waits until nobody reads.
    pub async fn nobody_reads(&self) {
        let _ = self.readers.subscribe().wait_for(|readers| *readers == 0).await;
    }

    /// Shows what is in flight.
    pub fn show(&self) {
        self.counters.in_flight.value.set(self.bound.entries() as u64);
        self.counters.in_flight_bytes.value.set(self.bound.bytes() as u64);
    }
}
