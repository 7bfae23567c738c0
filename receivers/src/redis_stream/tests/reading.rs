//! Groups, reads and acknowledgements.

use std::time::Duration;

use streamgauge_component::testkit::Behaviour;
use streamgauge_component::{Outcome, Reason};
use streamgauge_harness::{Redis, Server, poll_until_async};

use super::rig::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_every_server_all_entries_arrive_once_in_order_and_are_acknowledged() {
    for server in Server::matrix() {
        let redis = server.start();
        redis.fill("s", 1200);
        let rig = Rig::start(&redis, "read: {workers: 1}").await;
        rig.arrived(1200).await;
        redis.fill("s", 3);
        rig.arrived(1203).await;
        settled(&redis, "s").await;
        let ids = rig.ids();
        assert_eq!(ids.len(), 1203, "{}: none came twice", server.name);
        let number =
            |record: &std::collections::BTreeMap<String, String>| record["n"].parse::<usize>().unwrap();
        let numbers: Vec<_> = rig.records().iter().map(number).collect();
        assert!(numbers[..1200].iter().copied().eq(0..1200), "{}", server.name);
        assert_eq!(rig.sink.received()[0].items, 500, "one read is one part");
        assert_eq!((rig.count("read"), rig.count("acknowledged"), rig.count("not_pending")), (1203, 1203, 0));
        rig.until("nothing is in flight", |rig| rig.count("in_flight") == 0).await;
        rig.stop().await;
        assert_eq!(rig.trouble(), None);
    }
}

#[tokio::test]
async fn a_group_begins_at_the_oldest_or_the_latest_entry_or_behind_an_id_and_is_made_with_its_stream() {
    let redis = Redis::start();
    ["1-0", "2-0", "3-0"].iter().for_each(|id| redis.run::<()>(&format!("XADD s {id} a 1")));
    for (group, start, old) in [("a", "oldest", 3), ("b", "latest", 0), ("c", "2-0", 1)] {
        let rig = Rig::start(&redis, &format!("group: {{name: {group}, start: {start}}}")).await;
        rig.until("a consumer has asked", |_| {
            redis.run::<String>("INFO clients").contains("blocked_clients:1")
                && redis.cli(&["xinfo", "groups", "s"]).contains(group)
        })
        .await;
        let new: String = redis.run("XADD s * a new");
        rig.arrived(old + 1).await;
        assert_eq!(rig.ids().last(), Some(&new), "{start}");
        assert_eq!(rig.ids().len(), old + 1, "{start}");
        rig.stop().await;
        let _: i64 = redis.run(&format!("XDEL s {new}"));
    }
    let rig = Rig::start(&redis, "streams: [fresh]").await;
    rig.until("the stream is there", |_| redis.run::<String>("TYPE fresh") == "stream").await;
    rig.stop().await;
}

#[tokio::test]
async fn what_is_not_delivered_stays_pending_and_what_is_accepted_can_be_enough() {
    let redis = Redis::start();
    redis.fill("s", 5);
    let rig = Rig::with(&redis.addr(), "", Behaviour::Hold).await;
    rig.arrived(5).await;
    assert_eq!(pending(&redis, "s"), 5);
    rig.sink.release(&Outcome::Delivered);
    settled(&redis, "s").await;
    rig.stop().await;

    let rig = Rig::with(&redis.addr(), "group: {name: g2}, ack: {on: accepted}", Behaviour::Hold).await;
    poll_until_async("acknowledged as it was accepted", SOON, async || {
        (rig.count("acknowledged") == 5).then_some(())
    })
    .await;
    rig.sink.release(&Outcome::rejected(Reason::PeerRefused));
    rig.until("the loss is counted", |rig| rig.count("lost_after_accept") == 5).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_refusal_while_the_pipelines_take_it_is_no_acceptance() {
    let redis = Redis::start();
    redis.fill("s", 1);
    let behaviour = Behaviour::Settle(Outcome::retry(Reason::QueueFull));
    let rig = Rig::with(&redis.addr(), "ack: {on: accepted}", behaviour).await;
    rig.until("it is offered again and again", |rig| rig.ids().len() >= 3).await;
    assert_eq!((pending(&redis, "s"), rig.count("acknowledged")), (1, 0));
    rig.sink.behave(Behaviour::Settle(Outcome::Delivered));
    settled(&redis, "s").await;
    rig.stop().await;
}

#[tokio::test]
async fn reading_stops_at_the_bound_in_entries_and_in_bytes_and_goes_on_when_there_is_room() {
    let redis = Redis::start();
    redis.fill("s", 100);
    let rig =
        Rig::with(&redis.addr(), "read: {count: 10, max_in_flight: 25, workers: 100}", Behaviour::Hold).await;
    rig.arrived(25).await;
    rig.until("reading stands still", |rig| rig.count("blocked") > 200).await;
    assert_eq!((rig.ids().len(), pending(&redis, "s"), rig.count("in_flight")), (25, 25, 25));
    rig.sink.behave(Behaviour::Settle(Outcome::Delivered));
    rig.sink.release(&Outcome::Delivered);
    rig.arrived(100).await;
    settled(&redis, "s").await;
    rig.stop().await;

    let body = "x".repeat(10_000);
    for _ in 0..50 {
        let _: String = redis.run(&format!("XADD big * body {body}"));
    }
    let yaml = "streams: [big], read: {count: 1, max_in_flight_bytes: 64KiB, workers: 100}";
    let rig = Rig::with(&redis.addr(), yaml, Behaviour::Hold).await;
    rig.arrived(5).await;
    rig.until("reading stands still", |rig| rig.count("blocked") > 200).await;
    let (entries, bytes) = (rig.ids().len(), rig.count("in_flight_bytes"));
    assert!((5..=8).contains(&entries) && bytes <= 80 << 10, "{entries} entries, {bytes} bytes");
    rig.sink.behave(Behaviour::Settle(Outcome::Delivered));
    rig.sink.release(&Outcome::Delivered);
    rig.arrived(50).await;
    rig.stop().await;
}

#[tokio::test]
async fn short_of_memory_reading_waits() {
    let redis = Redis::start();
    let host = streamgauge_component::Host::for_test(streamgauge_component::Kind::Receiver, "redis_stream");
    host.budget().set_limit(1000);
    assert!(host.budget().take(1000));
    redis.fill("s", 3);
    let sink = streamgauge_component::testkit::Sink::delivering();
    let rig = Rig::on(host, &redis.addr(), "", sink).await;
    rig.until("an entry was read and waits", |_| redis.cli(&["xinfo", "groups", "s"]).contains('g')).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.ids().len(), 0);
    rig.host.budget().give_back(1000);
    rig.arrived(3).await;
    assert!(rig.host.budget().charged() <= 1000);
    rig.stop().await;
}

#[tokio::test]
async fn globs_find_streams_now_and_later_and_leave_dead_letters_and_others_out() {
    let redis = Redis::start();
    for stream in ["shop:a:events", "shop:b:events", "shop:secret:events", "other"] {
        redis.fill(stream, 2);
    }
    let _: () = redis.run("SET shop:text:events x");
    redis.fill("shop:a:events:dlq", 1);
    let yaml = "streams: [{pattern: 'shop:*', exclude: ['*secret*']}], group: {name: '{*}-jobs', start: latest}, \
                dead_letter: {stream: '{stream}:dlq'}";
    let rig = Rig::start(&redis, &yaml.replace("start: latest", "start: oldest")).await;
    rig.arrived(4).await;
    redis.fill("shop:c:events", 3);
    rig.arrived(7).await;
    let groups: Vec<_> =
        ["shop:a:events", "shop:c:events"].map(|s| redis.cli(&["xinfo", "groups", s])).into();
    assert!(groups[0].contains("a:events-jobs") && groups[1].contains("c:events-jobs"), "{groups:?}");
    let named =
        "streams: [{name: first, group: named}, {pattern: 'shop:a:*', exclude: ['*:dlq'], group: found}]";
    let other = Rig::start(&redis, named).await;
    other
        .until("each has the group that is meant for it", |_| {
            redis.cli(&["xinfo", "groups", "first"]).contains("named")
                && redis.cli(&["xinfo", "groups", "shop:a:events"]).contains("found")
        })
        .await;
    other.stop().await;
    for left_out in ["shop:secret:events", "shop:a:events:dlq", "other"] {
        assert_eq!(redis.cli(&["xinfo", "groups", left_out]), "", "{left_out}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_read_has_no_more_entries_than_its_count_and_an_idle_one_waits_on_the_server() {
    let redis = Redis::start();
    redis.fill("s", 25);
    let rig = Rig::start(&redis, "read: {count: 10, block: 1s, workers: 1}").await;
    rig.arrived(25).await;
    let sizes: Vec<_> = rig.sink.received().iter().map(|batch| batch.items).collect();
    assert!(sizes.iter().all(|size| *size <= 10), "{sizes:?}");
    let reads = || -> u64 {
        let stats: String = redis.run("INFO commandstats");
        let line =
            stats.lines().find(|line| line.starts_with("cmdstat_xreadgroup")).unwrap_or_default().to_owned();
        line.split(['=', ',']).nth(1).unwrap().parse().unwrap()
    };
    rig.until("the reader is blocked", |_| redis.run::<String>("INFO clients").contains("blocked_clients:1"))
        .await;
    let (before, began) = (reads(), std::time::Instant::now());
    rig.until("it has asked twice more", |_| reads() >= before + 2).await;
    assert!(began.elapsed() > Duration::from_millis(1000), "{:?}", began.elapsed());
    rig.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_that_redis_refuses_is_told_and_sent_until_redis_has_it() {
    let redis = Redis::start();
    redis.fill("s", 5);
    let _: () = redis.run("ACL SETUSER default -xack");
    let rig = Rig::start(&redis, "").await;
    rig.arrived(5).await;
    rig.until("it is told", |rig| rig.trouble().is_some_and(|text| text.contains("NOPERM"))).await;
    rig.until("it is tried again", |rig| rig.count_of("errors", "no_permission") >= 3).await;
    assert_eq!((pending(&redis, "s"), rig.count("acknowledged"), rig.count("in_flight")), (5, 0, 5));
    let _: () = redis.run("ACL SETUSER default +xack");
    settled(&redis, "s").await;
    rig.until("it is well", |rig| rig.trouble().is_none()).await;
    assert_eq!((rig.ids().len(), rig.count("acknowledged")), (5, 5), "none twice");
    rig.stop().await;
}
