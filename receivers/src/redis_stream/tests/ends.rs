//! Stops and reloads.

use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{Outcome, Reason};
use streamgauge_harness::{Redis, Server};

use super::rig::*;

#[tokio::test]
async fn an_orderly_stop_acknowledges_what_was_delivered_and_hands_the_rest_back() {
    for server in Server::matrix() {
        let redis = server.start();
        redis.fill("s", 4);
        let yaml = "read: {count: 1}, ack: {interval: 1h}, claim: {min_idle: 1h, interval: 100ms}, consumer: {name: NAME}";
        let rig = Rig::with(&redis.addr(), &yaml.replace("NAME", "first"), Behaviour::Hold).await;
        rig.arrived(4).await;
        rig.receiver.stop_intake().await;
        // One is delivered, three come back as everything stops.
        let mut held = 0;
        rig.sink.release_each(|| {
            held += 1;
            if held == 1 { Outcome::Delivered } else { Outcome::retry(Reason::Stopping) }
        });
        rig.receiver.shutdown().await;
        assert_eq!((rig.count("acknowledged"), rig.count("handed_back")), (1, 3), "{}", server.name);
        assert_eq!(pending(&redis, "s"), 3);
        assert_eq!(redis.cli(&["keys", "streamgauge:*"]), "", "the heartbeat is gone");
        let other = Rig::start(&redis, &yaml.replace("NAME", "other")).await;
        other.arrived(3).await;
        assert!(
            other.records().iter().all(|record| !record.contains_key("redis.stream.deliveries")),
            "{}: it is no try: {:?}",
            server.name,
            other.records()
        );
        other.stop().await;
        assert_eq!(pending(&redis, "s"), 0);
    }
}

#[tokio::test]
async fn what_holds_nothing_leaves_no_consumer_behind() {
    let redis = Redis::start();
    redis.fill("s", 4);
    let rig = Rig::start(&redis, "").await;
    rig.arrived(4).await;
    rig.stop().await;
    assert_eq!(redis.cli(&["xinfo", "consumers", "s", "g"]), "");
    assert_eq!(pending(&redis, "s"), 0);
}

#[tokio::test]
async fn told_to_keep_a_stop_leaves_the_rest_to_its_next_start() {
    let redis = Redis::start();
    redis.fill("s", 2);
    let yaml = "shutdown: {release: keep}";
    let rig = Rig::with(&redis.addr(), yaml, Behaviour::Hold).await;
    rig.arrived(2).await;
    rig.receiver.stop_intake().await;
    rig.sink.release(&Outcome::retry(Reason::Stopping));
    rig.receiver.shutdown().await;
    assert!(redis.cli(&["xpending", "s", "g"]).contains("me"));
    let rig = Rig::start(&redis, yaml).await;
    rig.arrived(2).await;
    assert_eq!(rig.count("recovered"), 2);
    rig.stop().await;
}

#[tokio::test]
async fn an_instance_that_takes_over_leaves_alone_what_the_one_before_has_in_hand() {
    let redis = Redis::start();
    redis.fill("s", 6);
    let old = Rig::with(&redis.addr(), "", Behaviour::Hold).await;
    old.arrived(6).await;
    let new = Rig::on(old.host.clone(), &redis.addr(), "", Sink::delivering()).await;
    redis.fill("s", 2);
    old.receiver.stop_intake().await;
    old.sink.release(&Outcome::Delivered);
    old.receiver.shutdown().await;
    redis.fill("s", 2);
    settled(&redis, "s").await;
    let (before, after) = (old.ids(), new.ids());
    assert!(before.iter().all(|id| !after.contains(id)), "{before:?} {after:?}");
    new.until("all are there", |new| new.ids().len() + before.len() == 10).await;
    assert_eq!(
        redis.cli(&["keys", "streamgauge:*"]),
        "streamgauge:heartbeat:{s}:g:me",
        "the other one lives"
    );
    new.stop().await;
}

#[tokio::test]
async fn without_a_server_a_stop_ends_in_time() {
    let mut redis = Redis::start();
    redis.fill("s", 3);
    let rig = Rig::with(&redis.addr(), "shutdown: {drain_timeout: 300ms}", Behaviour::Hold).await;
    rig.arrived(3).await;
    redis.stop();
    let began = std::time::Instant::now();
    rig.receiver.stop_intake().await;
    rig.sink.release(&Outcome::Delivered);
    rig.receiver.shutdown().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "{:?}", began.elapsed());
}
