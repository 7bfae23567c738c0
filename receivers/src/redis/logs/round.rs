//! One round: every server of the deployment at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use streamgauge_redis::{Address, View};

use super::book::Book;
use super::commands::Log;
use super::failover::failovers;
use super::flight::Alarm;
use super::node::NodeLogs;
use crate::redis::config::RedisConfig;
use crate::scrape::redis::{Fleet, Joined};

/// What lasts from round to round.
pub(super) struct Rounds {
    config: Arc<RedisConfig>,
    fleet: Fleet,
    /// Whether this half tells how the receiver is.
    is_alone: bool,
    nodes: BTreeMap<Address, NodeLogs>,
    /// What was wrong with the storage, for telling it once.
    trouble: Option<String>,
}

/// What a round has found.
pub(super) struct RoundTold {
    pub(super) request: Option<(Bytes, usize)>,
    /// Entries that nobody will see.
    pub(super) lost: Vec<(Log, u64)>,
    /// The book after it.
    pub(super) book: Book,
    pub(super) problems: Vec<String>,
}

impl Rounds {
    pub(super) fn new(config: Arc<RedisConfig>, fleet: Fleet, is_alone: bool) -> Self {
        Rounds { config, fleet, is_alone, nodes: BTreeMap::new(), trouble: None }
    }

    /// No round follows.
    pub(super) async fn leave(&mut self) {
        self.fleet.leave().await;
    }

    /// Asks all servers for what has come since `book` was written.
    pub(super) async fn round(&mut self, book: &Book) -> RoundTold {
        let deadline = self.fleet.deadline();
        let (view, problem) = self.fleet.view(deadline).await;
        self.settle(&view);
        let mut after = book.clone();
        // There is nobody while another collector watches: where it begins, if it ever does, stays known.
        if !view.nodes.is_empty() {
            after.prune(&view);
        }
        let host = self.fleet.host();
        let rounds = self.nodes.iter_mut().map(|(address, node)| async move {
            let address = address.to_string();
            let told = node.round(book.nodes.get(&address).cloned(), deadline, host).await;
            (address, told)
        });
        let mut problems: Vec<_> = problem.into_iter().collect();
        let mut lost = Vec::new();
        let (mut records, mut roles, mut alarms) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (address, told) in join_all(rounds).await {
            if let Some(book) = told.book {
                after.nodes.insert(address.clone(), book);
            }
            roles.extend(told.role.map(|role| (address.clone(), role)));
            alarms.extend(told.alarm.map(|alarm| (address.clone(), alarm)));
            records.insert(address, told.records);
            lost.extend(told.lost);
            if told.is_suspect {
                self.fleet.suspect();
            }
            problems.extend(told.problem.filter(|problem| !problems.contains(problem)));
        }
        if self.config.logs.changes {
            for failover in failovers(&mut after.primaries, &view, &roles) {
                let node = self.nodes.iter().find(|(address, _)| address.to_string() == failover.to);
                let run_id = node.map_or("", |(_, node)| node.run_id());
                records.entry(failover.to.clone()).or_default().insert(0, failover.record(run_id));
                // Of the lost one is told how it was last.
                alarms.extend([(failover.to, Alarm::Failover), (failover.from, Alarm::Failover)]);
            }
        }
        let now = host.clock().now().unix_nanos;
        for (address, alarm) in alarms {
            let node = self.nodes.iter_mut().find(|(known, _)| known.to_string() == address);
            let Some((_, node)) = node else { continue };
            let record = node.flight_record(alarm, deadline, now).await;
            records.entry(address).or_default().extend(record);
        }
        let mut joined = Joined::default();
        for (address, node) in &self.nodes {
            let records = records.remove(&address.to_string()).unwrap_or_default();
            joined.add(node.request(&records, self.fleet.host()));
        }
        RoundTold { request: joined.finish(), lost, book: after, problems }
    }

    /// The servers of the view and no others.
    fn settle(&mut self, view: &View) {
        self.nodes.retain(|address, _| view.at(address).is_some());
        for node in &view.nodes {
            let server = self.fleet.server(node);
            match self.nodes.get_mut(node.address()) {
                Some(known) => known.server = server,
                None => {
                    self.nodes.insert(node.address().clone(), NodeLogs::new(self.config.clone(), server));
                }
            }
        }
    }

    /// Tells how it goes. Where the metrics' half does so, only what is wrong with the storage is said, when it changes.
    pub(super) fn report(&mut self, trouble: Option<String>, mut problems: Vec<String>) {
        if self.is_alone {
            problems.extend(trouble);
            self.fleet.report(&problems);
            return;
        }
        if let Some(error) = trouble.as_ref().filter(|_| self.trouble != trouble) {
            let id = &**self.fleet.host().id();
            tracing::warn!(id, "how far the logs were told cannot be stored or read: {error}");
        }
        self.trouble = trouble;
    }
}
