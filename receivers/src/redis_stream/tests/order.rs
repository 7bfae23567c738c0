//! Streams in order, over replicas that come and go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamgauge_component::testkit::{Behaviour, Sink};
use streamgauge_component::{Outcome, Reason};
use streamgauge_harness::{Cluster, Redis, Server};

use super::rig::*;

const SHARDS: [&str; 4] = ["o:{0}", "o:{1}", "o:{2}", "o:{3}"];

/// A replica of the given name, in order.
fn replica(name: &str) -> String {
    format!(
        "streams: ['o:{{0}}', 'o:{{1}}', 'o:{{2}}', 'o:{{3}}'], consumer: {{name: {name}}}, read: {{count: 20}}, \
         ordering: {{enabled: true, lease: 600ms}}"
    )
}

/// What was delivered: by stream, the numbers in the order in which they came.
type Delivered = Arc<Mutex<BTreeMap<String, Vec<usize>>>>;

/// Puts off every fifth part, refuses parts with the poison, and remembers what it lets through.
fn moody(
    delivered: &Delivered,
) -> impl Fn(&[BTreeMap<String, String>]) -> Option<Outcome> + Send + Sync + 'static {
    let (delivered, calls) = (delivered.clone(), Mutex::new(0));
    move |records| {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if *calls % 5 == 0 {
            return Some(Outcome::retry(Reason::QueueFull));
        }
        if records.iter().any(|record| record["n"] == "77") {
            return Some(Outcome::rejected_with(Reason::PeerRefused, "400"));
        }
        let mut delivered = delivered.lock().unwrap();
        for record in records {
            let of = delivered.entry(record["redis.stream.name"].clone()).or_default();
            of.push(record["n"].parse().unwrap());
        }
        None
    }
}

fn add(redis: &Redis, stream: &str, numbers: std::ops::Range<usize>) {
    let mut pipe = redis::pipe();
    for n in numbers {
        pipe.cmd("XADD").arg(stream).arg("*").arg("n").arg(n).ignore();
    }
    pipe.query::<()>(&mut redis.connection()).unwrap();
}

/// Each number once, where it came first.
fn firsts(delivered: &Delivered, stream: &str) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    let all = delivered.lock().unwrap();
    all.get(stream).into_iter().flatten().copied().filter(|n| seen.insert(*n)).collect()
}

/// All in order, none lost, the poison among the dead letters.
fn is_in_order(redis: &Redis, delivered: &Delivered, stream: &str, count: usize) {
    let expected: Vec<_> = (0..count).filter(|n| *n != 77).collect();
    assert_eq!(firsts(delivered, stream), expected, "{stream}");
    let letters: Vec<(String, Vec<String>)> = redis.run(&format!("XRANGE {stream}:dlq - +"));
    assert!(
        !letters.is_empty() && letters.iter().all(|(_, fields)| fields[..2] == ["n", "77"]),
        "{letters:?}"
    );
}

/// A replica in a runtime of its own, which ends as a process does that is killed.
struct Killable {
    runtime: Option<tokio::runtime::Runtime>,
    rig: Rig,
}

impl Killable {
    async fn start(redis: &Redis, yaml: &str, delivered: &Delivered) -> Killable {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let rig = Rig::picky(redis, yaml, Duration::from_millis(5), moody(delivered));
        let rig = tokio::task::unconstrained(rig).await;
        drop(_inside);
        Killable { runtime: Some(runtime), rig }
    }

    fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
        // The receiver is not told.
        std::mem::forget(self.rig);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stream_is_in_order_also_when_the_replica_that_read_it_is_killed() {
    let (redis, delivered) = (Redis::start(), Delivered::default());
    let killable = Killable::start(&redis, &replica("first"), &delivered).await;
    killable.rig.until("it reads all streams", |rig| rig.count("leases") == 4).await;
    let other = Rig::picky(&redis, &replica("second"), Duration::from_millis(5), moody(&delivered)).await;
    for part in 0..4 {
        SHARDS.iter().for_each(|stream| add(&redis, stream, part * 100..part * 100 + 100));
        if part == 1 {
            let total = || SHARDS.iter().map(|stream| firsts(&delivered, stream).len()).sum::<usize>();
            other.until("some is delivered", |_| total() > 150).await;
        }
    }
    assert!(SHARDS.iter().any(|stream| pending(&redis, stream) > 0), "something is on its way");
    killable.kill();
    for stream in SHARDS {
        other.until("all is delivered", |_| firsts(&delivered, stream).len() == 399).await;
        settled(&redis, stream).await;
        is_in_order(&redis, &delivered, stream, 400);
    }
    assert_eq!(other.count("leases"), 4);
    assert!(other.count("recovered") > 0, "what the other one had was finished first");
    other.stop().await;
    assert_eq!(redis.cli(&["keys", "streamgauge:lease:*"]), "", "leases are given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_comes_gets_its_share_of_the_streams_and_order_is_kept() {
    let (redis, delivered) = (Redis::start(), Delivered::default());
    let first = Rig::picky(&redis, &replica("first"), Duration::from_millis(2), moody(&delivered)).await;
    first.until("it reads all streams", |rig| rig.count("leases") == 4).await;
    SHARDS.iter().for_each(|stream| add(&redis, stream, 0..300));
    let second = Rig::picky(&redis, &replica("second"), Duration::from_millis(2), moody(&delivered)).await;
    second.until("each has two", |rig| (first.count("leases"), rig.count("leases")) == (2, 2)).await;
    SHARDS.iter().for_each(|stream| add(&redis, stream, 300..400));
    for stream in SHARDS {
        first.until("all is delivered", |_| firsts(&delivered, stream).len() == 399).await;
        is_in_order(&redis, &delivered, stream, 400);
    }
    assert!(first.ids().len() > 300 && second.ids().len() > 100, "both have worked");
    first.stop().await;
    second.until("the other one's are its own at once", |rig| rig.count("leases") == 4).await;
    second.stop().await;
}

#[tokio::test]
async fn an_entry_that_is_put_off_holds_up_those_behind_it_and_no_other_stream() {
    let redis = Redis::start();
    let sink = Arc::new(Mutex::new(Vec::new()));
    let into = sink.clone();
    let rig = Rig::picky(&redis, &replica("one"), Duration::ZERO, move |records| {
        let held = records[0]["redis.stream.name"] == "o:{0}" && into.lock().unwrap().len() < 20;
        into.lock().unwrap().push(records[0]["redis.stream.name"].clone());
        held.then(|| Outcome::retry(Reason::RetriesExhausted))
    })
    .await;
    add(&redis, "o:{0}", 0..5);
    rig.until("it is put off", |_| !sink.lock().unwrap().is_empty()).await;
    add(&redis, "o:{0}", 5..10);
    add(&redis, "o:{1}", 0..5);
    rig.arrived(15).await;
    let numbers: Vec<_> =
        rig.records().iter().filter(|r| r["redis.stream.name"] == "o:{0}").map(|r| r["n"].clone()).collect();
    assert!(numbers.iter().enumerate().all(|(at, n)| *n == at.to_string()), "{numbers:?}");
    rig.stop().await;
}

#[tokio::test]
async fn without_its_lease_a_replica_takes_nothing_even_before_it_knows() {
    let redis = Redis::start();
    let yaml = "ordering: {enabled: true, lease: 3s}";
    let rig = Rig::with(&redis.addr(), yaml, Behaviour::Settle(Outcome::Delivered)).await;
    add(&redis, "s", 0..5);
    rig.arrived(5).await;
    redis.run::<()>("SET streamgauge:lease:{s}:g another PX 100000");
    add(&redis, "s", 5..10);
    rig.until("it knows", |rig| rig.count("leases") == 0).await;
    assert_eq!((rig.ids().len(), pending(&redis, "s")), (5, 0), "nothing was read");
    assert_eq!(redis.run::<String>("GET streamgauge:lease:{s}:g"), "another");
    redis.run::<()>("DEL streamgauge:lease:{s}:g");
    rig.arrived(10).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_replica_that_cannot_renew_its_lease_stops_before_that_has_run_out_and_goes_on_later() {
    let redis = Redis::start();
    let rig = Rig::start(&redis, "ordering: {enabled: true, lease: 2s}").await;
    add(&redis, "s", 0..5);
    rig.arrived(5).await;
    redis.freeze();
    let began = std::time::Instant::now();
    rig.until("it knows", |rig| rig.count("leases") == 0).await;
    let took = began.elapsed();
    redis.thaw();
    assert!(took < Duration::from_secs(2), "{took:?}");
    add(&redis, "s", 5..10);
    rig.arrived(10).await;
    assert!(rig.records().iter().enumerate().all(|(at, record)| record["n"] == at.to_string()));
    rig.until("it is well", |rig| rig.trouble().is_none()).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_group_that_is_moved_past_entries_is_waited_for_and_not_asked_all_the_time() {
    let redis = Redis::start();
    let rig = Rig::start(&redis, "ordering: {enabled: true}").await;
    add(&redis, "s", 0..5);
    rig.arrived(5).await;
    settled(&redis, "s").await;
    let mut skip = redis::pipe();
    skip.atomic().cmd("XADD").arg("s").arg("*").arg("n").arg("skipped").ignore();
    skip.cmd("XGROUP").arg("SETID").arg("s").arg("g").arg("$").ignore();
    skip.query::<()>(&mut redis.connection()).unwrap();
    let reads = || -> u64 {
        let stats: String = redis.run("INFO commandstats");
        let line = stats.lines().find(|line| line.starts_with("cmdstat_xreadgroup:")).unwrap();
        line.split(['=', ',']).nth(1).unwrap().parse().unwrap()
    };
    let (before, began) = (reads(), std::time::Instant::now());
    rig.until("it has asked some more", |_| reads() >= before + 10).await;
    // It asks each time that it has waited for 50 ms.
    assert!(began.elapsed() > Duration::from_millis(300), "{:?}", began.elapsed());
    add(&redis, "s", 5..8);
    rig.arrived(8).await;
    assert!(rig.records().iter().all(|record| record["n"] != "skipped"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_every_server_and_over_a_cluster_streams_are_read_in_order() {
    for server in Server::matrix() {
        let redis = server.start();
        let rig = Rig::start(&redis, "ordering: {enabled: true}, read: {count: 30}").await;
        add(&redis, "s", 0..500);
        rig.arrived(500).await;
        let numbers: Vec<usize> = rig.records().iter().map(|record| record["n"].parse().unwrap()).collect();
        assert!(numbers.iter().copied().eq(0..500), "{}", server.name);
        settled(&redis, "s").await;
        assert_eq!(rig.trouble(), None, "{}", server.name);
        rig.stop().await;
    }
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let sink = Sink::new(Behaviour::Settle(Outcome::Delivered));
    let host = streamgauge_component::Host::for_test(streamgauge_component::Kind::Receiver, "redis_stream");
    let rig = Rig::on(host, &cluster.nodes[0].addr(), &replica("one"), sink).await;
    for stream in SHARDS {
        add(&cluster.nodes[cluster.owner(stream)], stream, 0..100);
    }
    rig.arrived(400).await;
    for stream in SHARDS {
        settled(&cluster.nodes[cluster.owner(stream)], stream).await;
    }
    rig.stop().await;
}
