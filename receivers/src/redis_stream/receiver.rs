//! Its life.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use streamgauge_component::{ComponentError, Host, Outlets, Receiver, State};
use streamgauge_streams::Owners;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::bound::{Bound, Hands};
use super::config::RedisStreamConfig;
use super::counters::Counters;
use super::events::Strangers;
use super::gate::Gate;
use super::job::{Job, Member, PATIENCE, Phase};
use super::roster::{Roster, Wanted};
use super::shard::Left;
use super::troubles::Troubles;

/// How long the last read may take beyond its `block`.
const LAST_READ: Duration = Duration::from_secs(1);

/// Receiver `redis_stream`.
pub(super) struct RedisStreamReceiver {
    config: Arc<RedisStreamConfig>,
    running: Mutex<Option<Running>>,
}

struct Running {
    job: Arc<Job>,
    task: JoinHandle<()>,
}

impl RedisStreamReceiver {
    pub fn new(config: Arc<RedisStreamConfig>) -> Self {
        RedisStreamReceiver { config, running: Mutex::default() }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Receiver for RedisStreamReceiver {
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError> {
        let config = self.config.clone();
        let (deployment, target) = config.keys().deployment(&host)?;
        let name = config.consumer.name.clone().unwrap_or_else(host_name);
        let token = || format!("{}-{:x}", std::process::id(), (host.random().next() * 2f64.powi(52)) as u64);
        let key = format!("{target:?} {name}");
        let hands = host.shared(&key, || Hands::new(token()));
        let read = &config.read;
        let bound =
            Bound::new(read.max_in_flight, usize::try_from(read.max_in_flight_bytes.0).unwrap_or(usize::MAX));
        let job = Arc::new(Job {
            outlets,
            format: config.format(),
            owners: Owners::new(deployment),
            bound: Arc::new(bound),
            hands: hands.clone(),
            gate: Arc::new(Gate::new(read.workers, config.priority.clone())),
            strangers: Strangers::default(),
            token: token(),
            leases: AtomicUsize::new(0),
            left: Left::default(),
            member: Member { name, beats: AtomicBool::new(true), cleans: AtomicBool::new(true) },
            counters: Counters::new(&host),
            troubles: Troubles::new(&host),
            phase: watch::Sender::new(Phase::Running),
            readers: watch::Sender::new(0),
            host,
            config,
        });
        let wanted = Wanted::all(&job)?;
        hands.join();
        job.host.report(State::Ok, None);
        let task = Roster::new(&job, wanted).start();
        *self.running() = Some(Running { job, task });
        Ok(())
    }

    async fn stop_intake(&self) {
        let job = self.running().as_ref().map(|running| running.job.clone());
        let Some(job) = job else { return };
        job.phase.send_replace(Phase::Ending);
        // A read that waits on the server may still bring something.
        let _ = timeout(self.config.read.block + LAST_READ, job.nobody_reads()).await;
    }

    async fn shutdown(&self) {
        let Some(Running { job, mut task }) = self.running().take() else { return };
        let deadline = Instant::now() + self.config.shutdown.drain_timeout;
        job.phase.send_replace(Phase::Closing(deadline));
        // The last words have the whole time, and a reader may still wait for an answer.
        if timeout_at(deadline + PATIENCE, &mut task).await.is_err() {
            task.abort();
        }
        job.hands.leave();
    }
}

/// The host's name.
fn host_name() -> String {
    let set = |name: &String| !name.is_empty();
    let kernel =
        || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    std::env::var("HOSTNAME")
        .ok()
        .filter(set)
        .or_else(kernel)
        .filter(set)
        .unwrap_or_else(|| "streamgauge".to_owned())
}
