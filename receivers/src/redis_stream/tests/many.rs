//! Many streams, many nodes, many members.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{Host, Kind, Outcome, Reason};
use streamgauge_harness::{Cluster, Redis, Server, poll_until_async};

use super::rig::*;

/// What three replicas share.
const ENTRIES: usize = 100_000;
/// Added at once, and the most that are on their way at a time.
const AT_ONCE: usize = 20;
const AHEAD: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_all_over_a_cluster_are_read_and_their_dead_letters_written_wherever_they_lie() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let streams = ["a", "b", "c", "d", "{d}2"];
    streams.iter().for_each(|stream| cluster.fill(stream, 20));
    let owners: BTreeSet<_> = streams.iter().map(|stream| cluster.owner(stream)).collect();
    assert!(owners.len() > 1, "the streams lie on several nodes");
    let settle = Behaviour::Settle(Outcome::Delivered);
    let yaml = "streams: [a, b, c, d, '{d}2'], dead_letter: {stream: 'dead:{stream}'}";
    let rig = Rig::with(&cluster.nodes[0].addr(), yaml, settle).await;
    rig.arrived(100).await;
    for stream in streams {
        settled(&cluster.nodes[cluster.owner(stream)], stream).await;
    }
    rig.sink.behave(Behaviour::Settle(Outcome::rejected(Reason::PeerRefused)));
    streams.iter().for_each(|stream| cluster.fill(stream, 2));
    rig.until("all are put aside", |rig| rig.count("dead_lettered") == 10).await;
    for stream in streams {
        let letters = format!("dead:{stream}");
        let node = &cluster.nodes[cluster.owner(&letters)];
        assert_eq!(node.run::<i64>(&format!("XLEN {letters}")), 2, "{letters}");
        settled(&cluster.nodes[cluster.owner(stream)], stream).await;
    }
    rig.until("it is well", |rig| rig.trouble().is_none()).await;
    rig.stop().await;
}

/// Adds entries on a node that is about to get their slot.
fn add_asking(redis: &Redis, stream: &str, count: usize) {
    let mut pipe = redis::pipe();
    for n in 0..count {
        pipe.cmd("ASKING").ignore().cmd("XADD").arg(stream).arg("*").arg("n").arg(n).ignore();
    }
    pipe.query::<()>(&mut redis.connection()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_slot_is_on_its_way_is_read_and_acknowledged_where_it_is() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    cluster.fill("s", 20);
    let (slot, from) = (cluster.slot("s"), cluster.owner("s"));
    let to = (from + 1) % 3;
    let rig =
        Rig::with(&cluster.nodes[from].addr(), "streams: [s]", Behaviour::Settle(Outcome::Delivered)).await;
    let other = "streams: [s], group: {name: o}, ordering: {enabled: true, lease: 1s}";
    let ordered = Rig::with(&cluster.nodes[from].addr(), other, Behaviour::Settle(Outcome::Delivered)).await;
    rig.arrived(20).await;
    ordered.arrived(20).await;
    cluster.begin_migration(slot, from, to);
    cluster.move_keys(slot, from, to);
    add_asking(&cluster.nodes[to], "s", 30);
    rig.arrived(50).await;
    ordered.arrived(50).await;
    rig.until("all is acknowledged", |rig| rig.count("acknowledged") == 50).await;
    rig.until("it is well", |rig| rig.trouble().is_none()).await;
    cluster.end_migration(slot, to);
    cluster.fill("s", 10);
    rig.arrived(60).await;
    ordered.arrived(60).await;
    settled(&cluster.nodes[to], "s").await;
    let all: Vec<(String, Vec<String>)> = cluster.nodes[to].run("XRANGE s - +");
    assert!(all.iter().map(|(id, _)| id).eq(ordered.ids().iter()), "in order");
    ordered.stop().await;
    assert_eq!((rig.ids().len(), rig.count("lost_by_trim")), (60, 0), "none twice");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_share_what_one_could_carry_and_one_that_ends_leaves_it_to_the_others() {
    let redis = Redis::start();
    let starting = ["a", "b", "c"].map(|name| {
        let yaml = format!("consumer: {{name: {name}}}, read: {{count: 10, block: 1s}}");
        let redis = &redis;
        async move { Rig::start(redis, &yaml).await }
    });
    let mut replicas = join_all(starting).await;
    replicas[0].until("all of them wait", |_| redis.info("blocked_clients").as_deref() == Some("3")).await;
    let total = |replicas: &[Rig]| replicas.iter().map(|rig| rig.sink.items()).sum::<usize>();
    for n in 1..=ENTRIES / AT_ONCE {
        redis.fill("s", AT_ONCE);
        // One of them could carry that: what was offered has arrived, but for what is on its way.
        poll_until_async("they arrive", SOON, async || {
            (total(&replicas) + AHEAD >= AT_ONCE * n).then_some(())
        })
        .await;
    }
    poll_until_async("all have arrived", SOON, async || (total(&replicas) >= ENTRIES).then_some(())).await;
    assert_eq!(total(&replicas), ENTRIES, "none twice");
    let shares: Vec<_> = replicas.iter().map(|rig| rig.sink.items() as f64 / ENTRIES as f64).collect();
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
    each_group_reads_everything_once(10, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_groups_of_five_consumers_each_read_everything_once() {
    each_group_reads_everything_once(100, 5).await;
}

/// All consumers at the same time, each with a connection that waits.
async fn each_group_reads_everything_once(groups: usize, consumers: usize) {
    let redis = Redis::builder().config("maxclients 2000").start();
    // All of one group deliver to one sink.
    let sinks: Vec<_> = (0..groups).map(|_| Sink::delivering()).collect();
    let starting = (0..groups * consumers).map(|n| {
        let (group, name, sink) = (n / consumers, n % consumers, sinks[n / consumers].clone());
        let yaml = format!(
            "group: {{name: g{group}}}, consumer: {{name: c{name}, heartbeat: 5s}}, read: {{count: 10, block: 10s}}, \
             claim: {{min_idle: 1m, interval: 15s}}"
        );
        let host = Host::for_test(Kind::Receiver, "redis_stream");
        let address = redis.addr();
        async move { Rig::on(host, &address, &yaml, sink).await }
    });
    let rigs = join_all(starting).await;
    let all = (groups * consumers).to_string();
    poll_until_async("all of them wait", Duration::from_secs(60), async || {
        (redis.info("blocked_clients").as_deref() == Some(&all)).then_some(())
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
        let told = redis.cli(&["xinfo", "groups", "s"]);
        let left: Vec<_> = told.lines().skip_while(|line| *line != "pending").skip(1).step_by(12).collect();
        (left.len() == groups && left.iter().all(|pending| *pending == "0")).then_some(())
    })
    .await;
    assert!(rigs.iter().all(|rig| rig.trouble().is_none()));
}
