//! Bounds of streams.

use streamgauge_component::Exporter as _;

use super::*;

/// What XREADGROUP answers.
type Read = Vec<(String, Vec<(String, Vec<Value>)>)>;

fn length(redis: &Redis, stream: &str) -> usize {
    redis.run(&format!("XLEN {stream}"))
}

#[tokio::test]
async fn a_stream_keeps_its_bound_and_one_node_at_most() {
    let redis = Redis::start();
    let exporter = to(&redis, "stream: s\nencoding: fields\nmax_len: 10000");
    for batch in 0..30 {
        exporter.export(&logs(batch * 1000..batch * 1000 + 1000)).await.unwrap();
    }
    assert!((10_000..=10_100).contains(&length(&redis, "s")), "{}", length(&redis, "s"));
    let exact = to(&redis, "stream: e\nencoding: fields\nmax_len: 50\ntrim: exact");
    exact.export(&logs(0..500)).await.unwrap();
    assert_eq!(length(&redis, "e"), 50);
}

#[tokio::test]
async fn entries_older_than_the_bound_go_and_younger_ones_stay() {
    let redis = Redis::start();
    redis.run::<()>("XADD s 1000-1 old 1");
    let exporter = to(&redis, "stream: s\nencoding: fields\nmax_age: 1h\ntrim: exact");
    exporter.export(&logs(0..5)).await.unwrap();
    assert_eq!(values(&redis, "s", "body"), ["0", "1", "2", "3", "4"]);
}

/// A group has acknowledged entries 0 to 299 and holds 300; 301 and on are not delivered.
fn half_read(redis: &Redis) {
    redis.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
    redis.fill("s", 1000);
    let read: Read = redis.run("XREADGROUP GROUP g c COUNT 301 STREAMS s >");
    let ids: Vec<String> = read.into_iter().flat_map(|(_, all)| all).map(|(id, _)| id).collect();
    assert_eq!(redis.run::<usize>(&format!("XACK s g {}", ids[..300].join(" "))), 300);
}

#[tokio::test]
async fn safe_trimming_passes_nothing_that_a_group_has_not_acknowledged() {
    for server in [newest(), Server::find("redis-7.0").unwrap()] {
        let redis = server.start();
        half_read(&redis);
        let exporter = to(&redis, "stream: s\nencoding: json\nmax_len: 100\ntrim: safe");
        exporter.export(&logs(0..50)).await.unwrap();
        exporter.trim_now().await;
        let left = length(&redis, "s");
        // 750 are wanted, and nodes of 100 are removed as a whole.
        assert!((750..=850).contains(&left), "{}: {left}", server.name);
        let pending: Vec<Value> = redis.run("XPENDING s g");
        assert_eq!(redis::from_redis_value_ref::<usize>(&pending[0]).unwrap(), 1);
        let held: Read = redis.run("XREADGROUP GROUP g c COUNT 1 STREAMS s 0");
        assert_eq!(held[0].1[0].1.len(), 2, "what is pending is there");
    }
}

#[tokio::test]
async fn safe_trimming_keeps_the_bound_where_nobody_reads() {
    for server in [newest(), Server::find("redis-7.0").unwrap()] {
        let redis = server.start();
        let exporter = to(&redis, "stream: s\nencoding: fields\nmax_len: 100\ntrim: safe");
        exporter.export(&logs(0..1000)).await.unwrap();
        exporter.trim_now().await;
        let left = length(&redis, "s");
        assert!((100..=200).contains(&left), "{}: {left}", server.name);
    }
}
