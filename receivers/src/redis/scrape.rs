//! One round: every node of the deployment at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use streamgauge_redis::{Address, View};
use tokio::time::Instant;

use super::config::RedisConfig;
use super::node::NodeScrape;
use crate::scrape::poll::{Found, Scrape};
use crate::scrape::redis::{Fleet, Joined};

/// What lasts from round to round.
pub(crate) struct RedisScrape {
    config: Arc<RedisConfig>,
    fleet: Fleet,
    nodes: BTreeMap<Address, NodeScrape>,
}

impl RedisScrape {
    pub(crate) fn new(config: Arc<RedisConfig>, fleet: Fleet) -> Self {
        RedisScrape { config, fleet, nodes: BTreeMap::new() }
    }

    async fn one_round(&mut self) -> Option<(Bytes, usize)> {
        let deadline = self.fleet.deadline();
        let (view, problem) = self.fleet.view(deadline).await;
        let mut joined = Joined::default();
        self.settle(&view, &mut joined);
        let clock = self.fleet.host().clock();
        let rounds = self.nodes.values_mut().map(|node| node.round(deadline, clock));
        let mut problems: Vec<_> = problem.into_iter().collect();
        for (points, seen) in join_all(rounds).await {
            joined.add(points);
            if seen.is_suspect {
                self.fleet.suspect();
            }
            if let Some(problem) = seen.problem.filter(|problem| !problems.contains(problem)) {
                problems.push(problem);
            }
        }
        self.fleet.report(&problems);
        joined.finish()
    }

    /// The nodes of the view and no others; the series of those that are gone end.
    fn settle(&mut self, view: &View, joined: &mut Joined) {
        let now = self.fleet.host().clock().now().unix_nanos;
        let gone: Vec<_> = self.nodes.keys().filter(|address| view.at(address).is_none()).cloned().collect();
        for address in gone {
            joined.add(self.nodes.remove(&address).and_then(|node| node.end(now)));
        }
        for node in &view.nodes {
            let server = self.fleet.server(node);
            match self.nodes.get_mut(node.address()) {
                Some(known) => known.server = server,
                None => {
                    self.nodes.insert(node.address().clone(), NodeScrape::new(&self.config, server));
                }
            }
        }
    }
}

impl Scrape for RedisScrape {
    fn round<'a>(&'a mut self, found: &'a Found) -> BoxFuture<'a, ()> {
        Box::pin(async move { found.send(self.one_round().await).await })
    }

    fn is_unfinished(&self) -> bool {
        self.nodes.values().any(NodeScrape::is_unfinished)
    }

    fn go_on(&mut self, deadline: Instant) -> BoxFuture<'_, ()> {
        let now = self.fleet.host().clock().now().unix_nanos;
        let nodes = self.nodes.values_mut().filter(|node| node.is_unfinished());
        let all = join_all(nodes.map(|node| node.go_on((deadline, now))));
        Box::pin(async move {
            all.await;
        })
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.fleet.leave())
    }
}
