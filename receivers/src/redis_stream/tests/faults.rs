//! Servers and streams that are not well.

use std::time::Duration;

use streamgauge_component::Outcome;
use streamgauge_component::testkit::Behaviour;
use streamgauge_harness::{Redis, free_port, poll_until_async};

use super::rig::*;

async fn blocked(redis: &Redis) {
    poll_until_async("a reader is blocked", SOON, async || {
        (redis.info("blocked_clients").as_deref() == Some("1")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn after_del_of_the_key_and_destroy_of_the_group_everything_that_comes_arrives_once() {
    let redis = Redis::start();
    redis.fill("s", 5);
    let rig = Rig::start(&redis, "read: {block: 5s}").await;
    rig.arrived(5).await;
    settled(&redis, "s").await;
    for (n, command) in ["DEL s", "XGROUP DESTROY s g"].into_iter().enumerate() {
        blocked(&redis).await;
        let _: i64 = redis.run(command);
        redis.fill("s", 10);
        rig.arrived(5 + 10 * (n + 1)).await;
        settled(&redis, "s").await;
    }
    assert_eq!(rig.ids().len(), 25, "none twice: the group goes on where it was");
    rig.until("it is well again", |rig| rig.trouble().is_none()).await;
    assert!(rig.count_of("errors", "unblocked") >= 1 && rig.count_of("errors", "no_group") >= 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_stream_made_anew_with_older_ids_is_read_from_its_beginning() {
    let redis = Redis::start();
    let _: String = redis.run("XADD s 1000-0 a 1");
    let rig = Rig::start(&redis, "").await;
    rig.arrived(1).await;
    blocked(&redis).await;
    let _: () = redis.run(
        "EVAL redis.call('del','s');redis.call('xadd','s','5-0','a',1);redis.call('xadd','s','6-0','a',1) 0",
    );
    rig.arrived(3).await;
    assert_eq!(rig.ids(), ["1000-0", "5-0", "6-0"]);
    rig.stop().await;
}

#[tokio::test]
async fn a_key_that_is_no_stream_costs_no_other_stream_anything() {
    let redis = Redis::start();
    redis.fill("good", 3);
    let _: () = redis.run("SET bad x");
    let rig = Rig::start(&redis, "streams: [good, bad]").await;
    rig.arrived(3).await;
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("stream bad: WRONGTYPE")))
        .await;
    // The same under way.
    let _: i64 = redis.run("DEL good bad");
    redis.fill("bad", 2);
    rig.arrived(5).await;
    let _: () = redis.run("SET bad x");
    redis.fill("good", 2);
    rig.arrived(7).await;
    rig.stop().await;
}

#[tokio::test]
async fn killed_connections_and_a_restarted_server_cost_nothing_that_redis_kept() {
    let mut redis = Redis::builder().config("appendonly yes").config("appendfsync always").start();
    let rig = Rig::start(&redis, "read: {count: 20}").await;
    for round in 1..=5 {
        redis.fill("s", 50);
        let _: i64 = redis.run("CLIENT KILL TYPE normal SKIPME yes");
        redis.fill("s", 50);
        rig.arrived(100 * round).await;
    }
    redis.restart();
    rig.until("the server has read its data", |_| redis.info("loading").as_deref() == Some("0")).await;
    redis.fill("s", 100);
    rig.arrived(600).await;
    settled(&redis, "s").await;
    assert!(rig.count("reconnects") >= 5);
    rig.until("it is well again", |rig| rig.trouble().is_none()).await;
    rig.stop().await;
}

#[tokio::test]
async fn what_a_lost_connection_takes_late_arrives_although_nothing_newer_comes() {
    let redis = Redis::start();
    redis.fill("s", 5);
    let rig = Rig::start(&redis, "").await;
    rig.arrived(5).await;
    settled(&redis, "s").await;
    // A request that was held on its way is carried out for a connection that has gone.
    let _: redis::Value = redis.run(
        "EVAL redis.call('xadd','s','*','a',1);redis.call('xreadgroup','group','g','me','streams','s','>') 0",
    );
    rig.arrived(6).await;
    settled(&redis, "s").await;
    assert_eq!((rig.ids().len(), rig.count("claimed")), (6, 1), "none twice");
    rig.stop().await;
}

#[tokio::test]
async fn a_reader_that_waits_on_a_master_that_is_demoted_for_a_while_moves_within_seconds() {
    let redis = Redis::start();
    redis.fill("s", 2);
    let rig = Rig::start(&redis, "topology: single, read: {block: 5s}").await;
    rig.arrived(2).await;
    blocked(&redis).await;
    let _: () = redis.run(&format!("REPLICAOF 127.0.0.1 {}", free_port()));
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("READONLY"))).await;
    assert!(rig.count_of("errors", "unblocked") >= 1);
    let _: () = redis.run("REPLICAOF NO ONE");
    redis.fill("s", 3);
    let began = std::time::Instant::now();
    rig.arrived(5).await;
    // Five seconds, and what a busy machine takes.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    settled(&redis, "s").await;
    assert_eq!(rig.ids().len(), 5, "none twice");
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_comes_later_is_waited_for_and_one_that_hangs_is_let_go() {
    let port = free_port();
    let settle = Behaviour::Settle(Outcome::Delivered);
    let rig = Rig::with(&format!("127.0.0.1:{port}"), "", settle).await;
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("connect"))).await;
    let redis = Redis::builder().port(port).start();
    redis.fill("s", 2);
    rig.arrived(2).await;
    rig.until("it is well", |rig| rig.trouble().is_none()).await;
    redis.freeze();
    rig.until("the watchdog lets go", |rig| rig.count("overdue") >= 1).await;
    redis.thaw();
    redis.fill("s", 2);
    rig.arrived(4).await;
    rig.stop().await;
}

#[tokio::test]
async fn without_memory_on_the_server_reading_goes_on_and_a_group_is_made_when_there_is_some() {
    let redis = Redis::start();
    redis.fill("s", 3);
    let rig = Rig::start(&redis, "").await;
    rig.arrived(3).await;
    redis.fill("s", 2);
    let _: () = redis.run("CONFIG SET maxmemory 1");
    rig.arrived(5).await;
    settled(&redis, "s").await;
    let late = Rig::start(&redis, "group: {name: g2}").await;
    late.until("it is told", |rig| rig.trouble().is_some()).await;
    let _: () = redis.run("CONFIG SET maxmemory 0");
    late.arrived(5).await;
    late.until("it is well again", |rig| rig.trouble().is_none()).await;
    rig.stop().await;
    late.stop().await;
}

#[tokio::test]
async fn a_user_without_rights_is_told_which_and_goes_on_when_it_gets_them() {
    let redis =
        Redis::builder().user("job on nopass ~s ~streamgauge:* -@all +client +xgroup +info +ping").start();
    redis.fill("s", 3);
    let endpoint = format!("redis://job:x@{}", redis.addr());
    let rig = Rig::with(&endpoint, "", Behaviour::Settle(Outcome::Delivered)).await;
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("NOPERM"))).await;
    let _: () = redis.run("ACL SETUSER job +@all");
    rig.arrived(3).await;
    settled(&redis, "s").await;
    rig.stop().await;
}

#[tokio::test]
async fn entries_that_are_trimmed_past_the_group_do_not_hold_up_the_others() {
    let redis = Redis::start();
    redis.fill("s", 100);
    let rig =
        Rig::with(&redis.addr(), "read: {count: 10, max_in_flight: 20, workers: 100}", Behaviour::Hold).await;
    rig.arrived(20).await;
    let _: i64 = redis.run("XTRIM s MAXLEN 5");
    rig.sink.behave(Behaviour::Settle(Outcome::Delivered));
    rig.sink.release(&Outcome::Delivered);
    rig.arrived(25).await;
    tokio::time::timeout(Duration::from_secs(10), settled(&redis, "s")).await.unwrap();
    assert_eq!(rig.ids().len(), 25);
    rig.stop().await;
}
