//! What the servers have written down and what happened to them, as log records: the half of the receiver that a logs
//! pipeline gets.
//!
//! - [`config`]: the section `logs`.
//! - `round`: one round over all servers; `node`: one server's part of it.
//! - `commands`: the slow log and Valkey's other logs of commands; `mask`, `keys`: a command without what it holds.
//! - `latency`, `acl`: what else they write down; `changes`, `failover`: what became another.
//! - `flight`: how a server was before and after something went wrong.
//! - `book`: what has been told so far; `outbox`: what is not delivered yet.
//! - `record`: from there to bytes.
//!
//! An entry is told once: the book moves on when it is delivered, and goes over a restart where there is a storage.

mod acl;
mod book;
mod changes;
mod commands;
pub mod config;
mod failover;
mod flight;
mod keys;
mod latency;
mod mask;
mod node;
mod outbox;
mod record;
mod round;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamgauge_component::{ComponentError, Host, Outlet};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::config::RedisConfig;
use crate::scrape::redis::fleet;
use book::Book;
use outbox::Outbox;
use round::Rounds;

/// What the instance of an id does at the moment; in its turn it leaves its book to the next.
type Turn = tokio::sync::Mutex<Option<Book>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Asks,
    /// Reads nothing more, and waits for acks.
    Waits,
    Ends,
}

/// The rounds for the logs pipelines.
pub(super) struct Logs {
    config: Arc<RedisConfig>,
    task: Mutex<Option<(watch::Sender<Phase>, JoinHandle<()>)>>,
}

impl Logs {
    pub(super) fn new(config: Arc<RedisConfig>) -> Self {
        Logs { config, task: Mutex::default() }
    }

    /// `is_alone`: no metrics pipeline has this receiver, so nobody else tells how it is.
    pub(super) fn start(&self, host: &Host, outlet: Outlet, is_alone: bool) -> Result<(), ComponentError> {
        let fleet = fleet(&self.config.keys(), self.config.limits(), host, self.config.rhythm())?;
        let rounds = Rounds::new(self.config.clone(), fleet, is_alone);
        let (phase, phases) = watch::channel(Phase::Asks);
        let task = tokio::spawn(run(host.clone(), outlet, self.config.clone(), rounds, phases));
        *self.lock() = Some((phase, task));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(watch::Sender<Phase>, JoinHandle<()>)>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop_intake(&self) {
        if let Some((phase, _)) = &*self.lock() {
            phase.send_replace(Phase::Waits);
        }
    }

    /// Takes in the last acks.
    pub(super) async fn shutdown(&self) {
        let task = self.lock().take();
        if let Some((phase, task)) = task {
            phase.send_replace(Phase::Ends);
            let _ = task.await; // a panic has been told by the panic hook
        }
    }
}

async fn run(
    host: Host,
    outlet: Outlet,
    config: Arc<RedisConfig>,
    mut rounds: Rounds,
    mut phases: watch::Receiver<Phase>,
) {
    let rhythm = config.rhythm();
    let mut ticks = interval_at(Instant::now() + rhythm.initial_delay, rhythm.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // After a reload the instance before is still waiting for acks: what it has told is not told again.
    let turn = host.shared(&format!("{} logs", host.id()), Turn::default);
    let mut turn = tokio::select! {
        turn = turn.lock() => turn,
        _ = over(&mut phases, Phase::Waits) => return,
    };
    let mut outbox = loop {
        match Outbox::open(&host, &outlet, config.logs.storage.clone(), &turn).await {
            Ok(outbox) => break outbox,
            Err(error) => rounds.report(Some(error), Vec::new()),
        }
        tokio::select! {
            _ = ticks.tick() => {}
            _ = over(&mut phases, Phase::Waits) => return,
        }
    };
    let settled = outbox.settled.clone();
    let mut trouble = None;
    loop {
        tokio::select! {
            biased;
            _ = over(&mut phases, Phase::Waits) => break,
            _ = settled.notified() => {
                trouble = outbox.commit().await.err();
                continue;
            }
            _ = ticks.tick() => {}
        }
        outbox.send_again().await;
        if outbox.is_full() {
            continue;
        }
        let told = tokio::select! {
            biased;
            _ = over(&mut phases, Phase::Waits) => break,
            told = rounds.round(outbox.book()) => told,
        };
        rounds.report(trouble.clone(), told.problems);
        told.lost.iter().for_each(|(log, count)| commands::count_lost(*log, *count, &host));
        outbox.send(told.request, told.book).await;
        trouble = outbox.commit().await.err();
    }
    rounds.leave().await;
    loop {
        tokio::select! {
            _ = over(&mut phases, Phase::Ends) => break,
            _ = settled.notified() => {}
        }
        let _ = outbox.commit().await; // tried once more below
    }
    if let Err(error) = outbox.commit().await {
        let id = &**host.id();
        tracing::error!(
            id,
            "how far the logs were told is not stored, the next run tells some of it again: {error}"
        );
    }
    *turn = Some(outbox.delivered().clone());
}

/// Waits until the phase is this one, or a later one.
async fn over(phases: &mut watch::Receiver<Phase>, phase: Phase) {
    // An error is a receiver that is gone without a word.
    let _ = phases.wait_for(|now| *now >= phase).await;
}
