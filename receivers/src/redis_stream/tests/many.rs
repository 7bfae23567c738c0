//! Many streams, many nodes, many members.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{Host, Kind, Outcome, Reason};
use streamgauge_harness::{Cluster, Redis, Server, poll_until_async};

use super::rig::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_all_over_a_cluster_are_read_and_their_dead_letters_written_wherever_they_lie() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let streams = ["a", "b", "c", "d", "{d}2"];
    streams.iter().for_each(|stream| cluster.fill(stream, 20));
    let owners: BTreeSet<_> = streams.iter().map(|stream| cluster.owner(stream)).collect();
    assert!(owners.len() > 1, "the streams lie on several nodes");
    let settle = Behaviour::Settle(Outcome::Delivered);
    let rig = Rig::with(&cluster.nodes[0].addr(), "streams: [a, b, c, d, '{d}2']", settle).await;
    rig.arrived(100).await;
    for stream in streams {
        settled(&cluster.nodes[cluster.owner(stream)], stream).await;
    }
    rig.sink.behave(Behaviour::Settle(Outcome::rejected(Reason::PeerRefused)));
    streams.iter().for_each(|stream| cluster.fill(stream, 2));
    rig.until("all are put aside", |rig| rig.count("dead_lettered") == 10).await;
    for stream in streams {
        let letters = format!("{stream}:dlq");
        let node = &cluster.nodes[cluster.owner(&letters)];
        assert_eq!(node.run::<i64>(&format!("XLEN {letters}")), 2, "{letters}");
        settled(&cluster.nodes[cluster.owner(stream)], stream).await;
    }
    rig.until("it is well", |rig| rig.trouble().is_none()).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_share_what_one_could_carry_and_one_that_ends_leaves_it_to_the_others() {
    let redis = Redis::start();
    let mut replicas = Vec::new();
    for name in ["a", "b", "c"] {
        replicas.push(
            Rig::start(&redis, &format!("consumer: {{name: {name}}}, read: {{count: 10, block: 1s}}")).await,
        );
    }
    replicas[0].until("all of them wait", |_| redis.info("blocked_clients").as_deref() == Some("3")).await;
    let total = |replicas: &[Rig]| replicas.iter().map(|rig| rig.ids().len()).sum::<usize>();
    for n in 1..=300 {
        redis.fill("s", 10);
        poll_until_async("they have arrived", SOON, async || (total(&replicas) >= 10 * n).then_some(()))
            .await;
    }
    let shares: Vec<_> = replicas.iter().map(|rig| rig.ids().len() as f64 / 3000.0).collect();
    assert!(shares.iter().all(|share| (share - 1.0 / 3.0).abs() <= 0.05), "{shares:?}");
    replicas.remove(0).stop().await;
    let before = total(&replicas);
    redis.fill("s", 500);
    poll_until_async("the others go on", SOON, async || (total(&replicas) == before + 500).then_some(()))
        .await;
    settled(&redis, "s").await;
    join_all(replicas.iter().map(Rig::stop)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_groups_of_fifty_consumers_each_read_everything_once() {
    let redis = Redis::builder().config("maxclients 2000").start();
    // All of one group deliver to one sink.
    let sinks: Vec<_> = (0..10).map(|_| Sink::delivering()).collect();
    let starting = (0..500).map(|n| {
        let (group, name, sink) = (n / 50, n % 50, sinks[n / 50].clone());
        let yaml = format!(
            "group: {{name: g{group}}}, consumer: {{name: c{name}, heartbeat: 5s}}, read: {{count: 10, block: 10s}}, \
             claim: {{min_idle: 1m, interval: 15s}}"
        );
        let host = Host::for_test(Kind::Receiver, "redis_stream");
        let address = redis.addr();
        async move { Rig::on(host, &address, &yaml, sink).await }
    });
    let rigs = join_all(starting).await;
    poll_until_async("all of them wait", Duration::from_secs(60), async || {
        (redis.info("blocked_clients").as_deref() == Some("500")).then_some(())
    })
    .await;
    for _ in 0..20 {
        redis.fill("s", 50);
    }
    poll_until_async("every group has everything", Duration::from_secs(60), async || {
        sinks.iter().all(|sink| sink.items() >= 1000).then_some(())
    })
    .await;
    assert!(sinks.iter().all(|sink| sink.items() == 1000), "none twice");
    poll_until_async("nothing is pending", SOON, async || {
        let left = |group| redis.cli(&["xpending", "s", &format!("g{group}")]).starts_with('0');
        (0..10).all(left).then_some(())
    })
    .await;
    assert!(rigs.iter().all(|rig| rig.trouble().is_none()));
}
