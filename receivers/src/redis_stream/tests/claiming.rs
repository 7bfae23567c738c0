//! Entries of consumers that are gone, and of this one before.

use std::time::{Duration, Instant};

use streamgauge_component::Outcome;
use streamgauge_component::testkit::Behaviour;
use streamgauge_harness::{Redis, Server};
use streamgauge_streams::encoding::DELIVERIES;

use super::rig::*;

/// Entries that a consumer has read and left.
fn left_by(redis: &Redis, consumer: &str, count: usize) {
    redis.fill("s", count);
    redis.cli(&["xgroup", "create", "s", "g", "0"]);
    let read =
        redis.cli(&["xreadgroup", "group", "g", consumer, "count", &count.to_string(), "streams", "s", ">"]);
    assert!(!read.is_empty());
}

#[tokio::test]
async fn idle_entries_are_taken_over_when_their_consumers_heartbeat_is_gone_and_not_before() {
    for server in Server::matrix() {
        let redis = server.start();
        left_by(&redis, "slow", 5);
        // A slow one lives for longer than entries may lie.
        let _: () = redis.run("SET streamgauge:heartbeat:{s}:g:slow x PX 1500");
        let began = Instant::now();
        let rig = Rig::start(&redis, "").await;
        rig.arrived(5).await;
        let took = began.elapsed();
        assert!(took > Duration::from_millis(1400), "{}: {took:?}", server.name);
        settled(&redis, "s").await;
        assert_eq!((rig.count("claimed"), rig.count("read")), (5, 0));
        assert!(rig.records().iter().all(|record| record[DELIVERIES].contains('2')), "{:?}", rig.records());
        rig.stop().await;
    }
}

#[tokio::test]
async fn work_that_takes_longer_than_entries_may_lie_is_not_done_twice() {
    let redis = Redis::start();
    redis.fill("s", 5);
    let slow = Rig::with(&redis.addr(), "", Behaviour::Hold).await;
    slow.arrived(5).await;
    let other = Rig::start(&redis, "consumer: {name: other}").await;
    slow.until("it has lain for three times as long", |_| {
        redis.cli(&["xpending", "s", "g", "IDLE", "1800", "-", "+", "5"]).lines().count() == 20
    })
    .await;
    assert_eq!(other.ids().len() + other.count("claimed") as usize, 0);
    slow.sink.release(&Outcome::Delivered);
    settled(&redis, "s").await;
    assert_eq!((slow.ids().len(), other.ids().len()), (5, 0));
    slow.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn entries_that_lie_for_less_than_the_time_are_left_alone() {
    let redis = Redis::start();
    left_by(&redis, "gone", 3);
    let began = Instant::now();
    let rig = Rig::start(&redis, "claim: {min_idle: 2s}").await;
    rig.arrived(3).await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1800) && took < Duration::from_secs(5), "{took:?}");
    rig.stop().await;
}

#[tokio::test]
async fn with_the_usual_settings_59_seconds_are_too_short_and_61_long_enough() {
    let redis = Redis::start();
    left_by(&redis, "gone", 2);
    let held = redis.cli(&["xpending", "s", "g", "-", "+", "2"]);
    let ids: Vec<_> = held.lines().step_by(4).collect();
    for (id, idle) in [(ids[0], 61_000), (ids[1], 50_000)] {
        redis.run::<redis::Value>(&format!("XCLAIM s g gone 0 {id} IDLE {idle} JUSTID"));
    }
    let rig = Rig::start(&redis, "claim: {min_idle: 1m}").await;
    rig.arrived(1).await;
    let began = Instant::now();
    redis.run::<redis::Value>(&format!("XCLAIM s g gone 0 {} IDLE 59000 JUSTID", ids[1]));
    rig.until("the other one lies for a minute", |rig| rig.ids().len() == 2).await;
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(rig.ids(), ids);
    rig.stop().await;
}

#[tokio::test]
async fn an_entry_that_was_delivered_too_often_goes_to_the_dead_letter_unoffered() {
    let redis = Redis::start();
    left_by(&redis, "gone", 2);
    let id = redis.cli(&["xpending", "s", "g", "-", "+", "1"]).lines().next().unwrap().to_owned();
    let _: redis::Value = redis.run(&format!("XCLAIM s g gone 0 {id} RETRYCOUNT 5 JUSTID"));
    let rig = Rig::start(&redis, "").await;
    rig.arrived(1).await;
    rig.until("it is put aside", |rig| rig.count_of("dead_lettered", "max_deliveries") == 1).await;
    settled(&redis, "s").await;
    assert_eq!(rig.ids().len(), 1);
    assert!(redis.cli(&["xrange", "s:dlq", "-", "+"]).contains(&id));
    rig.stop().await;
}

#[tokio::test]
async fn pending_entries_whose_fields_are_gone_are_taken_off_the_list_and_counted_as_lost() {
    for server in Server::matrix() {
        let redis = server.start();
        left_by(&redis, "gone", 4);
        let held = redis.cli(&["xpending", "s", "g", "-", "+", "4"]);
        let ids: Vec<_> = held.lines().step_by(4).collect();
        let _: i64 = redis.run(&format!("XDEL s {} {}", ids[1], ids[3]));
        let rig = Rig::start(&redis, "").await;
        rig.arrived(2).await;
        settled(&redis, "s").await;
        rig.until("the loss is counted", |rig| rig.count("lost_by_trim") == 2).await;
        assert_eq!(rig.ids(), [ids[0], ids[2]], "{}", server.name);
        rig.stop().await;
    }
}

#[tokio::test]
async fn own_pending_entries_come_first_one_by_one_and_then_twice_as_many() {
    let redis = Redis::start();
    left_by(&redis, "me", 10);
    redis.fill("s", 5);
    let rig = Rig::start(&redis, "").await;
    rig.arrived(15).await;
    settled(&redis, "s").await;
    let sizes: Vec<_> = rig.sink.received().iter().map(|batch| batch.items).collect();
    assert_eq!(sizes, [1, 2, 4, 3, 5]);
    assert_eq!((rig.count("recovered"), rig.count("claimed")), (10, 0));
    rig.stop().await;
}

#[tokio::test]
async fn a_consumer_that_is_gone_is_removed_only_when_it_holds_nothing_and_has_no_heartbeat() {
    let redis = Redis::start();
    left_by(&redis, "holds", 2);
    for name in ["empty", "beats"] {
        let _: i64 = redis.run(&format!("XGROUP CREATECONSUMER s g {name}"));
    }
    let _: () = redis.run("SET streamgauge:heartbeat:{s}:g:beats x");
    let yaml = "consumer: {cleanup_after: 500ms}, claim: {enabled: false}";
    let rig = Rig::start(&redis, yaml).await;
    rig.until("it is removed", |rig| rig.count("consumers_removed") >= 1).await;
    let names = redis.cli(&["xinfo", "consumers", "s", "g"]);
    assert!(names.contains("holds") && names.contains("beats") && names.contains("me"), "{names}");
    assert!(!names.contains("empty"), "{names}");
    assert_eq!(pending(&redis, "s"), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_user_who_may_not_write_heartbeats_goes_by_idle_time_alone() {
    let redis = Redis::builder().user("job on nopass ~s ~s:dlq +@all").start();
    left_by(&redis, "gone", 3);
    let _: () = redis.run("SET streamgauge:heartbeat:{s}:g:gone x");
    let rig = Rig::with(
        &format!("redis://job:x@{}", redis.addr()),
        "",
        Behaviour::Settle(streamgauge_component::Outcome::Delivered),
    )
    .await;
    rig.arrived(3).await;
    settled(&redis, "s").await;
    assert_eq!(rig.trouble(), None);
    rig.stop().await;
}

#[tokio::test]
async fn a_consumer_name_that_another_process_uses_is_told_and_its_entries_are_left_alone() {
    let redis = Redis::start();
    left_by(&redis, "me", 3);
    let (url, stop) = (redis.client(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let ended = stop.clone();
    let other = std::thread::spawn(move || {
        let mut connection = url.get_connection().unwrap();
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let key = "streamgauge:heartbeat:{s}:g:me";
            redis::cmd("SET").arg(key).arg("other").exec(&mut connection).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    streamgauge_harness::poll_until_async("the other one beats", SOON, async || {
        (redis.run::<i64>("EXISTS streamgauge:heartbeat:{s}:g:me") == 1).then_some(())
    })
    .await;
    let rig = Rig::start(&redis, "").await;
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("consumer.name"))).await;
    assert_eq!(rig.count("recovered"), 0);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    other.join().unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn what_was_read_and_waits_for_its_turn_is_not_taken_for_left_behind() {
    let redis = Redis::start();
    redis.fill("s", 40);
    // Each read waits for longer than entries may lie.
    let yaml = "read: {count: 10, workers: 1}";
    let rig = Rig::picky(&redis, yaml, Duration::from_millis(1200), |_| None).await;
    rig.arrived(20).await;
    // The same after a lost connection.
    let _: i64 = redis.run("CLIENT KILL TYPE normal SKIPME yes");
    rig.arrived(40).await;
    settled(&redis, "s").await;
    assert_eq!((rig.ids().len(), rig.count("claimed")), (40, 0), "none twice");
    rig.stop().await;
}
