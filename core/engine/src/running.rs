//! A running collector: started against the flow, changed while it runs, stopped with the flow.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use streamgauge_component::{ComponentError, Host, Kind, Registry, State};
use streamgauge_delivery::Delivery;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::changes::Changes;
use crate::deadline::Deadline;
use crate::graph::Graph;
use crate::instances::Kept;
use crate::keeper::not_started;
use crate::plan::Plan;
use crate::retiring::Retiring;
use crate::supervisor::Supervisor;
use crate::turn::{discard, turn};

/// How long a component may take to start when the old configuration runs on meanwhile.
const STARTING: Duration = Duration::from_secs(10);
/// How long receivers wait, at the start, for queues that are being opened.
const OPENING: Duration = Duration::from_secs(10);

type Members = BTreeSet<(Kind, Arc<str>)>;

/// A running collector.
pub struct Running {
    graph: Graph,
    host: Host,
    supervisor: Arc<Supervisor>,
    /// Who is in the graph: what is reported of others is forgotten.
    members: watch::Sender<Members>,
    retirements: Vec<Retirement>,
}

/// What a stop left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Items that neither reached their target in time nor stand in a storage. Sources that can replay them do.
    pub undelivered: u64,
}

/// What a reload has replaced, on its way out.
struct Retirement {
    end: End,
    task: JoinHandle<u64>,
}

/// When it must have ended, and who has to know.
struct End {
    deadline: Arc<Deadline>,
    queues: Vec<Arc<Delivery>>,
}

impl Running {
    /// Builds the graph and starts it: extensions, exporters, then against the flow, receivers last. A component that
    /// does not come up is made anew until it does, while the rest runs.
    ///
    /// # Errors
    /// A component that cannot be made of its configuration; with `service.fail_fast` also one that does not come up.
    pub async fn start(plan: &Plan, host: Host) -> Result<Running, ComponentError> {
        let nothing = Graph::default();
        let supervisor = Arc::new(Supervisor::new(plan.settings().fail_fast));
        let mut graph = Graph::build(plan, &host, &supervisor, &nothing)?;
        if supervisor.fail_fast() {
            let failed = start_fresh(&mut graph, Duration::MAX).await;
            if !failed.is_empty() {
                discard(graph, &nothing).run(&Deadline::at(Instant::now())).await;
                return Err(ComponentError(format!("cannot start pipelines: {}", failed.join("; "))));
            }
            turn(&mut graph, &nothing);
        } else {
            start_keepers(&mut graph).await;
        }
        host.board().set_ready(true);
        tracing::info!("Everything is ready. Begin running and processing data.");
        let members = watch::Sender::new(graph.members());
        Ok(Running { graph, host, supervisor, members, retirements: Vec::new() })
    }

    /// The numbers of all components.
    pub fn registry(&self) -> &Arc<Registry> {
        self.host.registry()
    }

    /// Returns when the collector has to end, with the reason: with `service.fail_fast`, when a component fell.
    pub async fn fatal(&self) -> String {
        self.supervisor.fatal().await
    }

    /// Runs another plan from now on. What is configured just as before stays with its state; the rest is made and
    /// started beside the old, then the outlets are turned, then the old is stopped in the background, within `patience`.
    ///
    /// # Errors
    /// What could not be made or started, each in words. The old plan runs on as if nothing had been.
    pub async fn reload(&mut self, plan: &Plan, patience: Duration) -> Result<Changes, Vec<String>> {
        let built = Graph::build(plan, &self.host, &self.supervisor, &self.graph);
        let mut graph = built.map_err(|error| {
            forget_others(&self.members.borrow(), &self.host);
            vec![error.0]
        })?;
        let failed = start_fresh(&mut graph, STARTING).await;
        if !failed.is_empty() {
            let discarded = discard(graph, &self.graph);
            self.retire(discarded, patience);
            return Err(failed);
        }
        let changes = Changes::between(&self.graph, &graph);
        let replaced = turn(&mut graph, &self.graph);
        self.graph = graph;
        self.members.send_replace(self.graph.members());
        self.retire(replaced, patience);
        Ok(changes)
    }

    fn retire(&mut self, retiring: Retiring, patience: Duration) {
        self.retirements.retain(|retirement| !retirement.task.is_finished());
        if !retiring.is_empty() {
            let (host, members) = (self.host.clone(), self.members.subscribe());
            let forget = move || forget_others(&members.borrow(), &host);
            self.retirements.push(Retirement::begin(retiring, Instant::now() + patience, forget));
        }
    }

    /// Intake stops; nodes flush with the flow; exporters drain until `patience` is over; receivers send their last answers
    /// and close; extensions.
    pub async fn stop(self, patience: Duration) -> StopReport {
        self.stop_until(patience, std::future::pending()).await
    }

    /// [`Running::stop`], whose draining ends when `skip` returns.
    pub async fn stop_until(self, patience: Duration, skip: impl Future<Output = ()>) -> StopReport {
        let Running { graph, host, mut retirements, .. } = self;
        tracing::info!("Starting shutdown...");
        host.board().set_ready(false);
        let last = turn(&mut Graph::default(), &graph);
        let by = Instant::now() + patience;
        retirements.iter().for_each(|retirement| retirement.end.bring_closer(by));
        retirements.push(Retirement::begin(last, by, || {}));

        let (ends, tasks): (Vec<_>, Vec<_>) = retirements.into_iter().map(|r| (r.end, r.task)).unzip();
        let skipped = async {
            skip.await;
            tracing::warn!("stopping without draining");
            ends.iter().for_each(|end| end.bring_closer(Instant::now()));
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = join_all(tasks) => ended,
            never = skipped => never,
        };
        let undelivered = ended.into_iter().map(Result::unwrap_or_default).sum();
        for status in host.board().components() {
            host.board().report(status.kind, &status.id, State::Stopped, None);
        }
        tracing::info!("Shutdown complete.");
        StopReport { undelivered }
    }
}

impl Retirement {
    fn begin(retiring: Retiring, by: Instant, then: impl FnOnce() + Send + 'static) -> Self {
        let end = End { deadline: Arc::new(Deadline::at(by)), queues: retiring.queues.clone() };
        let until = end.deadline.clone();
        let task = tokio::spawn(async move {
            let undelivered = retiring.run(&until).await;
            then();
            undelivered
        });
        Retirement { end, task }
    }
}

impl End {
    fn bring_closer(&self, by: Instant) {
        self.deadline.bring_closer(by);
        self.queues.iter().for_each(|queue| queue.stop_by(by));
    }
}

/// Nobody hears any more of components that are not in the graph.
fn forget_others(members: &Members, host: &Host) {
    for status in host.board().components() {
        if !members.contains(&(status.kind, status.id.as_str().into())) {
            host.board().remove(status.kind, &status.id);
        }
    }
}

/// Starts every instance that does not run yet; whoever does not come up is made anew.
async fn start_keepers(graph: &mut Graph) {
    async fn all<'a, T>(kept: impl Iterator<Item = &'a mut Kept<T>>)
    where
        T: ?Sized + Send + Sync + 'static,
    {
        let fresh = kept.filter_map(|kept| Some((kept.keeper.clone(), kept.fresh.take()?)));
        join_all(fresh.map(|(keeper, fresh)| async move { keeper.start(fresh).await })).await;
    }
    all(graph.extensions.iter_mut()).await;
    let queues = graph.queues_beside(&Graph::default());
    queues.iter().for_each(|queue| queue.open());
    all(graph.exporters.iter_mut().map(|e| &mut e.kept)).await;
    // Receivers that start earlier, and whoever believes the health check, would only hear that queues are being opened.
    let _ = tokio::time::timeout(OPENING, join_all(queues.iter().map(|queue| queue.tried()))).await;
    all(graph.receivers.iter_mut().map(|r| &mut r.kept)).await;
}

/// Starts every fresh instance beside what runs. Returns what failed; only what is started is left in the graph then.
async fn start_fresh(graph: &mut Graph, patience: Duration) -> Vec<String> {
    async fn all<'a, T>(
        kept: impl Iterator<Item = &'a mut Kept<T>>,
        patience: Duration,
        failed: &mut Vec<String>,
    ) where
        T: ?Sized + Send + Sync + 'static,
    {
        let fresh = kept.filter(|kept| kept.fresh.is_some()).collect::<Vec<_>>();
        if !failed.is_empty() {
            fresh.into_iter().for_each(|kept| kept.fresh = None);
            return;
        }
        let starts = join_all(fresh.into_iter().map(|kept| async move {
            let instance = kept.fresh.take()?;
            match tokio::time::timeout(patience, instance.start()).await {
                Ok(Ok(())) => {
                    kept.fresh = Some(instance);
                    None
                }
                Ok(Err(why)) => Some(not_started(kept.keeper.host(), &why)),
                Err(_) => Some(not_started(kept.keeper.host(), &format!("not within {patience:?}"))),
            }
        }));
        failed.extend(starts.await.into_iter().flatten());
    }
    let mut failed = Vec::new();
    all(graph.extensions.iter_mut(), patience, &mut failed).await;
    all(graph.exporters.iter_mut().map(|e| &mut e.kept), patience, &mut failed).await;
    all(graph.receivers.iter_mut().map(|r| &mut r.kept), patience, &mut failed).await;
    failed
}
