//! Two collectors on one deployment with a lease: one watches, nothing is told twice, and the other takes over.

use std::collections::BTreeSet;
use std::time::Duration;

use streamgauge_config::Section;
use streamgauge_harness::{Cluster, Redis, Server};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::testing::{Point, Running, named};
use crate::{redis, redis_stream_metrics};

/// One collector: both receivers, in a runtime that can be killed.
struct Collector {
    runtime: Option<Runtime>,
    info: Running,
    streams: Running,
    /// Times of the rounds that had values, and what they told.
    told: Vec<(u64, BTreeSet<String>)>,
}

impl Collector {
    async fn start(endpoint: &str, duration: &str) -> Collector {
        let yaml = format!(
            "endpoint: {endpoint}\ncollection_interval: 100ms\ninitial_delay: 0s\ntimeout: 2s\n\
             max_server_time: unlimited\nlease: {{key: 'watch', duration: {duration}}}"
        );
        let runtime = Runtime::new().unwrap();
        let start = async move {
            let process = streamgauge_component::Host::for_test(streamgauge_component::Kind::Receiver, "t");
            let info = Running::beside(&process, &redis::FACTORY, &yaml).await;
            (info, Running::beside(&process, &redis_stream_metrics::FACTORY, &yaml).await)
        };
        let (info, streams) = runtime.spawn(start).await.unwrap();
        Collector { runtime: Some(runtime), info, streams, told: Vec::new() }
    }

    fn look(&mut self) {
        let what = |point: &Point| {
            format!("{} {} {}", point.name, point.attribute("stream"), point.resource["server.port"])
        };
        for points in self.info.rounds().into_iter().chain(self.streams.rounds()) {
            let alive: Vec<_> = points.iter().filter(|point| point.value.is_some()).collect();
            if let Some(first) = alive.first() {
                self.told.push((first.time, alive.iter().map(|point| what(point)).collect()));
            }
        }
    }

    fn tells(&mut self, name: &str) -> bool {
        self.look();
        self.told.iter().any(|(_, told)| told.iter().any(|series| series.starts_with(name)))
    }

    fn times(&self) -> (u64, u64) {
        let times = || self.told.iter().map(|(time, _)| *time);
        (times().min().unwrap_or(u64::MAX), times().max().unwrap_or(0))
    }

    /// Nothing of it goes on, and it gives nothing back.
    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        self.look();
    }

    /// Stops as the engine does.
    async fn stop(mut self) -> Vec<(u64, BTreeSet<String>)> {
        self.look();
        self.info.stop().await;
        self.streams.stop().await;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.told
    }
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !is() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn both(collector: &mut Collector) -> bool {
    collector.tells("redis.up") && collector.tells("redis.stream.length")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_collectors_one_watches_and_when_it_is_killed_the_other_takes_over_within_the_lease() {
    for server in Server::matrix() {
        let running = server.start();
        running.fill("s", 3);
        let mut one = Collector::start(&running.url(), "1500ms").await;
        until("the first watches", || both(&mut one)).await;
        let mut two = Collector::start(&running.url(), "1500ms").await;
        let rounds = one.told.len();
        until("it goes on", || {
            one.look();
            one.told.len() > rounds + 30
        })
        .await;
        two.look();
        assert!(two.told.is_empty(), "{}: {:?}", server.name, two.told);
        // The key is all that was written, and it expires.
        let left: i64 = running.run("PTTL watch");
        assert!((1..=1500).contains(&left), "{}: {left}", server.name);
        assert_eq!(running.run::<i64>("DBSIZE"), 2);

        one.kill();
        let killed = Instant::now();
        until("the second watches", || both(&mut two)).await;
        assert!(killed.elapsed() < Duration::from_secs(5), "{}: {:?}", server.name, killed.elapsed());
        assert!(one.times().1 < two.times().0, "{}: nothing is told by both", server.name);
        two.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_stops_gives_the_lease_back_at_once() {
    let server = Redis::start();
    server.fill("s", 3);
    let mut one = Collector::start(&server.url(), "10m").await;
    until("the first watches", || both(&mut one)).await;
    let mut two = Collector::start(&server.url(), "10m").await;
    let first = one.stop().await;
    until("the second watches", || both(&mut two)).await;
    let last = first.iter().map(|(time, _)| *time).max().unwrap();
    assert!(last < two.times().0);
    two.stop().await;
    until("the key is gone", || server.run::<i64>("EXISTS watch") == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_watched_once_by_two_collectors_from_two_of_its_nodes() {
    let server = Server::find("redis-7.0").unwrap();
    let cluster = Cluster::start(&server);
    for n in 0..10 {
        cluster.nodes[cluster.owner(&format!("s{n}"))].fill(&format!("s{n}"), 3);
    }
    let mut one = Collector::start(&cluster.nodes[0].addr(), "1500ms").await;
    until("the first watches", || both(&mut one)).await;
    let mut two = Collector::start(&cluster.nodes[5].addr(), "1500ms").await;
    until("all is told", || {
        one.look();
        one.told
            .iter()
            .any(|(_, told)| told.iter().filter(|s| s.starts_with("redis.stream.length")).count() == 10)
    })
    .await;
    two.look();
    assert!(two.told.is_empty(), "{:?}", two.told);
    one.kill();
    until("the second tells all", || {
        two.look();
        two.told
            .iter()
            .any(|(_, told)| told.iter().filter(|s| s.starts_with("redis.stream.length")).count() == 10)
    })
    .await;
    assert!(one.times().1 < two.times().0);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_key_cannot_be_asked_for_who_watched_goes_on_and_after_that_one_does_again() {
    let mut server = Redis::start();
    server.fill("s", 3);
    let mut one = Collector::start(&server.addr(), "2s").await;
    until("the first watches", || both(&mut one)).await;
    let mut two = Collector::start(&server.addr(), "2s").await;
    let down = |point: &&Point| point.value == Some(0.0);
    server.stop();
    until("the first says that it is down", || {
        one.info.rounds().iter().any(|points| named(points, "redis.up").iter().any(down))
    })
    .await;
    two.look();
    assert!(two.told.is_empty(), "it still waits");
    server.start_again();
    server.fill("s", 3);
    one.told.clear();
    two.told.clear();
    until("one of them watches", || both(&mut one) || both(&mut two)).await;
    // Both may have watched while nobody could be asked; soon it is one.
    until("one alone tells thirty rounds", || {
        one.look();
        two.look();
        if !one.told.is_empty() && !two.told.is_empty() {
            one.told.clear();
            two.told.clear();
        }
        one.told.len() + two.told.len() > 30
    })
    .await;
    one.stop().await;
    two.stop().await;
}

#[test]
fn a_lease_that_would_be_lost_between_two_rounds_is_refused_at_its_place() {
    for factory in [&redis::FACTORY, &redis_stream_metrics::FACTORY] {
        for (lease, place) in [
            (
                "{key: k, duration: 29s}",
                "lease::duration: must be at least three times collection_interval (30s)",
            ),
            ("{key: ''}", "lease::key"),
            ("{duration: 1m}", "key"),
            ("{key: k, time: 1m}", "time"),
        ] {
            let section = Section::from_yaml("test", &format!("endpoint: h\nlease: {lease}")).unwrap();
            let text = format!("{:?}", (factory.config.read)(&section).unwrap_err());
            assert!(text.contains(place), "{lease}: {text}");
        }
        let section = Section::from_yaml("test", "endpoint: h\nlease: {key: k}").unwrap();
        assert!((factory.config.read)(&section).is_ok());
    }
}
