//! One round: every node that serves keys, and then the streams that have moved meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, join_all};
use streamgauge_redis::{Address, View};

use super::config::StreamConfig;
use super::failures::Failures;
use super::node::{Moved, Round, StreamNode};
use crate::scrape::poll::{Found, Scrape};
use crate::scrape::redis::{Fleet, Joined};

/// What lasts from round to round.
pub(crate) struct StreamScrape {
    config: Arc<StreamConfig>,
    fleet: Fleet,
    nodes: BTreeMap<Address, StreamNode>,
    failures: Failures,
}

impl StreamScrape {
    pub(crate) fn new(config: Arc<StreamConfig>, fleet: Fleet) -> Self {
        StreamScrape { failures: Failures::new(fleet.host().clone()), config, fleet, nodes: BTreeMap::new() }
    }

    async fn one_round(&mut self, found: &Found) {
        let deadline = self.fleet.deadline();
        let (view, problem) = self.fleet.view(deadline).await;
        let now = self.fleet.host().clock().now().unix_nanos;
        let mut joined = Joined::default();
        self.settle(&view, &mut joined, now);
        let round = Round { deadline, now, found, told: Mutex::default() };
        join_all(self.nodes.values_mut().map(|node| node.ask(&round))).await;
        self.follow_moved(&view, &round).await;

        let mut problems: Vec<_> = problem.into_iter().collect();
        let mut left_out = Default::default();
        for node in self.nodes.values_mut() {
            let (points, problem) = node.finish(&round, &mut self.failures, &mut left_out);
            joined.add(points);
            found.send(joined.finish_many()).await;
            if let Some(problem) = problem {
                self.fleet.suspect();
                problems.push(problem);
            }
        }
        found.send(joined.finish()).await;
        self.failures.limits(&left_out);
        self.failures.finish();
        problems.dedup();
        self.fleet.report(&problems);
    }

    /// The nodes that serve keys now and no others. One that has taken another's place knows the streams that the other
    /// had found; the series of the other end.
    fn settle(&mut self, view: &View, joined: &mut Joined, now: u64) {
        let serves = |address: &Address| view.at(address).is_some_and(|node| node.serves);
        let gone: Vec<_> = self.nodes.keys().filter(|address| !serves(address)).cloned().collect();
        let gone: Vec<_> = gone.iter().filter_map(|address| self.nodes.remove(address)).collect();
        for node in view.nodes.iter().filter(|node| node.serves) {
            let server = self.fleet.server(node);
            match self.nodes.get_mut(node.address()) {
                Some(known) => known.server = server,
                None => {
                    let mut new = StreamNode::new(&self.config, server);
                    gone.iter()
                        .filter(|old| old.server.node.shard == node.shard)
                        .for_each(|old| new.inherit(old));
                    self.nodes.insert(node.address().clone(), new);
                }
            }
        }
        gone.into_iter().for_each(|node| joined.add(node.end(now)));
    }

    /// Streams that a node has given to another: by MOVED for good, by ASK as long as the slot is on its way.
    async fn follow_moved(&mut self, view: &View, round: &Round<'_>) {
        let moved: Vec<Moved> = self.nodes.values_mut().flat_map(StreamNode::take_moved).collect();
        if moved.is_empty() {
            return;
        }
        self.fleet.suspect();
        let mut at: BTreeMap<Address, Vec<Moved>> = BTreeMap::new();
        for stream in moved {
            let named = view.nodes.iter().find(|node| node.answers_to(&stream.to));
            let Some(node) = named else { continue };
            if !self.nodes.contains_key(node.address()) {
                let new = StreamNode::new(&self.config, self.fleet.server(node));
                self.nodes.insert(node.address().clone(), new);
            }
            at.entry(node.address().clone()).or_default().push(stream);
        }
        let asked = self.nodes.iter_mut().filter_map(|(address, node)| Some((node, at.remove(address)?)));
        join_all(asked.map(|(node, streams)| node.ask_moved(streams, round))).await;
    }
}

impl Scrape for StreamScrape {
    fn round<'a>(&'a mut self, found: &'a Found) -> BoxFuture<'a, ()> {
        Box::pin(self.one_round(found))
    }

    fn end(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.fleet.leave())
    }
}
