//! A real cluster of six nodes.

use std::collections::HashSet;
use std::time::Duration;

use streamgauge_component::Exporter as _;
use streamgauge_harness::{Cluster, SentinelSet, poll_until};

use super::*;

fn all(cluster: &Cluster, streams: &[String]) -> Vec<String> {
    let of = |stream: &String| values(&cluster.nodes[cluster.owner(stream)], stream, "body");
    streams.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_spread_over_the_nodes_and_a_slot_that_moves_and_a_master_that_dies_lose_nothing() {
    let mut cluster = Cluster::start(&newest());
    let exporter = to(&cluster.nodes[0], "stream: s\nshards: 6\nencoding: fields\ntimeout: 2s");
    let streams: Vec<String> = (0..6).map(|n| format!("s:{{{n}}}")).collect();
    exporter.export(&logs(0..600)).await.unwrap();
    let owners: HashSet<usize> = streams.iter().map(|stream| cluster.owner(stream)).collect();
    assert_eq!(owners, HashSet::from([0, 1, 2]), "every node has some");

    let from = cluster.owner(&streams[0]);
    let (slot, to) = (cluster.slot(&streams[0]), (from + 1) % 3);
    cluster.begin_migration(slot, from, to);
    cluster.move_keys(slot, from, to);
    exporter.export(&logs(600..1200)).await.unwrap();
    cluster.end_migration(slot, to);
    exporter.export(&logs(1200..1800)).await.unwrap();
    let seen = all(&cluster, &streams);
    assert_eq!(seen.len(), 1800, "neither lost nor twice");

    let victim = cluster.owner(&streams[1]);
    cluster.kill(victim);
    let last = logs(1800..2400);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while let Err(error) = exporter.export(&last).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
    poll_until("every entry is there", Duration::from_secs(10), || {
        let seen: HashSet<String> = all(&cluster, &streams).into_iter().collect();
        // Redis copies to replicas without waiting: what the dead master took last may be lost by itself.
        (1800..2400).all(|n: usize| seen.contains(&n.to_string())).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels_the_master_is_written_to_and_after_a_failover_the_new_one() {
    let mut set = SentinelSet::start(&Server::find("redis-7.0").unwrap());
    let exporter = to(&set.sentinels[0], "stream: s\nencoding: fields\ntimeout: 2s");
    exporter.export(&logs(0..10)).await.unwrap();
    assert_eq!(set.servers[0].run::<usize>("XLEN s"), 10);
    let new = set.fail_over();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let more = logs(10..20);
    while let Err(error) = exporter.export(&more).await {
        assert!(std::time::Instant::now() < deadline, "{error}");
    }
    let seen: HashSet<String> = values(&set.servers[new], "s", "body").into_iter().collect();
    assert!((10..20).all(|n: usize| seen.contains(&n.to_string())), "{seen:?}");
}
