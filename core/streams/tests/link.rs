//! Links and owners against real servers.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use streamgauge_harness::{Cluster, Redis, Server, poll_until_async};
use streamgauge_redis::{Connect, Deployment, EndpointKeys, Monitor, SentinelOptions, Target};
use streamgauge_streams::{Entries, Item, Kind, Link, Owners, Reply, Request};
use tokio::time::Instant;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn monitor(endpoint: &str) -> Arc<Monitor> {
    let target = Target::new(&EndpointKeys { endpoint, ..EndpointKeys::default() }).unwrap();
    Arc::new(Monitor::new(target, None, None))
}

fn owners(endpoint: &str) -> Owners {
    let seed = monitor(endpoint);
    let connect: Connect = Arc::new(|target| Arc::new(Monitor::new(target, None, None)));
    let target = seed.target().clone();
    let deployment = Deployment::new(seed, target, SentinelOptions::default(), true, connect);
    Owners::new(Arc::new(deployment))
}

async fn link(redis: &Redis) -> Link {
    Link::open(&monitor(&redis.addr()), "streamgauge-test", soon()).await.unwrap()
}

async fn blocked(redis: &Redis) {
    poll_until_async("a reader is blocked", Duration::from_secs(5), async || {
        (redis.info("blocked_clients").as_deref() == Some("1")).then_some(())
    })
    .await;
}

fn read() -> Request {
    Request::of(&[b"XREADGROUP", b"GROUP", b"g", b"c", b"BLOCK", b"0", b"STREAMS", b"s", b">"])
}

#[tokio::test]
async fn entries_of_every_server_come_whole_with_their_order_duplicates_and_bytes() {
    for server in Server::matrix() {
        let redis = server.start();
        let mut link = link(&redis).await;
        let mut request = Request::new();
        request.command(&[b"XGROUP", b"CREATE", b"s", b"g", b"0", b"MKSTREAM"]);
        request.command(&[b"XADD", b"s", b"1-1", b"b", b"\xff\r\n", b"a", b"", b"b", b"2"]);
        request.command(&[b"XADD", b"s", b"1-1", b"a", b"1"]);
        request.command(&[b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", b"s", b">"]);
        let replies = link.call(&request, soon()).await.unwrap();
        let all: Vec<_> = replies.iter().collect();
        assert!(matches!(&all[2], Reply::Error(refusal) if refusal.kind == Kind::Other), "{all:?}");
        let mut entries = Entries::of_streams(&all[3]);
        assert_eq!(entries.next_stream(), Ok(Some(&b"s"[..])));
        let Ok(Some(Item::Entry(entry))) = entries.next_entry() else { panic!("{all:?}") };
        let fields: [(&[u8], &[u8]); 3] = [(b"b", b"\xff\r\n"), (b"a", b""), (b"b", b"2")];
        assert_eq!((entry.id.to_string().as_str(), entry.fields), ("1-1", &fields[..]), "{}", server.name);
    }
}

#[tokio::test]
async fn a_reply_of_many_megabytes_is_read_while_the_next_request_is_under_way() {
    let redis = Redis::start();
    let mut link = link(&redis).await;
    let body = vec![b'x'; 5 << 20];
    let mut request = Request::new();
    request.command(&[b"XADD", b"s", b"1-1", b"body", &body]);
    request.command(&[b"XRANGE", b"s", b"-", b"+"]);
    link.send(&request, soon()).await.unwrap();
    link.send(&Request::of(&[b"PING"]), soon()).await.unwrap();
    assert_eq!(link.under_way(), 2);
    let replies = link.receive(soon()).await.unwrap();
    let list = replies.last().list();
    let mut entries = Entries::of_one(list);
    let Ok(Some(Item::Entry(entry))) = entries.next_entry() else { panic!("no entry") };
    assert_eq!(entry.fields[0].1.len(), body.len());
    assert_eq!(link.receive(soon()).await.unwrap().last().text(), Some(&b"PONG"[..]));
}

#[tokio::test]
async fn a_passed_deadline_ends_a_wait_and_a_blocked_read_goes_on_after_it() {
    let redis = Redis::start();
    let _: () = redis.run("XGROUP CREATE s g $ MKSTREAM");
    let mut link = link(&redis).await;
    link.send(&read(), soon()).await.unwrap();
    let late = link.receive(Instant::now() + Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late.stage, "timeout");
    redis.fill("s", 1);
    let replies = link.receive(soon()).await.unwrap();
    assert_eq!(Entries::of_streams(&replies.last()).next_stream(), Ok(Some(&b"s"[..])));
    // A call is another thing: after it nobody knows whose reply comes next.
    link.call(&read(), Instant::now() + Duration::from_millis(20)).await.unwrap_err();
    let error = link.call(&Request::of(&[b"PING"]), soon()).await.unwrap_err();
    assert!(error.message.contains("given up"), "{error}");
}

#[tokio::test]
async fn a_blocked_reader_hears_why_it_was_let_go_and_a_killed_one_that_it_is_lost() {
    let redis = Redis::start();
    for (command, kind) in [("DEL s", Kind::Unblocked), ("XGROUP DESTROY s g", Kind::NoGroup)] {
        let _: () = redis.run("XGROUP CREATE s g $ MKSTREAM");
        let mut link = link(&redis).await;
        link.send(&read(), soon()).await.unwrap();
        blocked(&redis).await;
        let _: i64 = redis.run(command);
        let replies = link.receive(soon()).await.unwrap();
        assert_eq!(replies.last().ok().unwrap_err().kind, kind, "{command}");
    }
    let _: () = redis.run("XGROUP CREATE s g $");
    let mut link = link(&redis).await;
    link.send(&read(), soon()).await.unwrap();
    blocked(&redis).await;
    let _: i64 = redis.run("CLIENT KILL TYPE normal SKIPME yes");
    assert_eq!(link.receive(soon()).await.unwrap_err().stage, "call");
}

#[tokio::test]
async fn a_wrong_password_and_none_at_all_are_told_apart_and_never_shown() {
    let redis = Redis::builder().password("hunter2").user("job on >word ~* +@all").start();
    let open = async |endpoint: String| Link::open(&monitor(&endpoint), "x", soon()).await;
    let at = redis.addr();
    assert!(open(format!("redis://:hunter2@{at}")).await.is_ok());
    assert!(open(format!("redis://job:word@{at}/3")).await.is_ok());
    let error = open(at.clone()).await.unwrap_err();
    assert!(error.stage == "auth" && error.message.contains("set password"), "{error}");
    let error = open(format!("redis://job:hunter3@{at}")).await.unwrap_err();
    assert!(error.stage == "auth" && !error.message.contains("hunter3"), "{error}");
    let error = open(format!("redis://job:word@{at}/99")).await.unwrap_err();
    assert_eq!(error.stage, "connect", "{error}");
}

#[tokio::test]
async fn a_link_says_its_name() {
    let redis = Redis::start();
    let _link = link(&redis).await;
    assert!(redis.cli(&["client", "list"]).contains("name=streamgauge-test"));
}

#[tokio::test]
async fn the_owner_of_a_key_is_found_in_a_cluster_and_moved_and_ask_lead_to_it() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let owners = owners(&cluster.nodes[0].addr());
    assert!(owners.has_slots(soon()).await.unwrap());
    assert_eq!(owners.all(soon()).await.unwrap().len(), 3);
    let key = "orders";
    let (from, slot) = (cluster.owner(key), cluster.slot(key));
    let to = (from + 1) % 3;
    let owner = owners.of(key.as_bytes(), soon()).await.unwrap();
    assert_eq!(owner.target().address.to_string(), cluster.nodes[from].addr());
    let add = Request::of(&[b"XADD", key.as_bytes(), b"*", b"a", b"1"]);
    let refused = async |at: usize| {
        let mut link = link(&cluster.nodes[at]).await;
        link.call(&add, soon()).await.unwrap().last().ok().err()
    };
    // The wrong node tells.
    let moved = refused(to).await.unwrap();
    assert_eq!(moved.kind, Kind::Moved);
    let (node, asking) = owners.redirected(&moved, soon()).await.unwrap();
    assert_eq!((node.target().address.to_string(), asking), (cluster.nodes[from].addr(), false));
    // So does the one whose slot is on its way.
    cluster.begin_migration(slot, from, to);
    let ask = refused(from).await.unwrap();
    assert_eq!(ask.kind, Kind::Ask);
    let (node, asking) = owners.redirected(&ask, soon()).await.unwrap();
    assert_eq!((node.target().address.to_string(), asking), (cluster.nodes[to].addr(), true));
    let mut link = Link::open(&node, "x", soon()).await.unwrap();
    let mut request = Request::of(&[b"ASKING"]);
    request.command(&[b"XADD", key.as_bytes(), b"*", b"a", b"1"]);
    assert!(link.call(&request, soon()).await.unwrap().last().ok().is_ok());
    cluster.end_migration(slot, to);
    owners.suspect();
    let owner = owners.of(key.as_bytes(), soon()).await.unwrap();
    assert_eq!(owner.target().address.to_string(), cluster.nodes[to].addr());
}
