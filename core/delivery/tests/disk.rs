//! A queue that is kept on the disk.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests: what is not as it should be fails the test at its place"
)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Answer, Peer, settings};
use streamgauge_component::storage::{Settings, Storage};
use streamgauge_component::testkit::{Disk, Source};
use streamgauge_component::{
    Batch, Consumer as _, DeliverySettings, Exporter, Extension, Host, Kind, Node, Outcome, QueueSettings,
    Reason, RetrySettings, Signal, Sizer, State, WhenFull,
};
use streamgauge_delivery::{Delivery, Elsewhere};
use tokio::sync::watch;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(20);

struct Rig {
    delivery: Arc<Delivery>,
    source: Source,
    node: Arc<Node>,
    host: Host,
    disk: Arc<dyn Extension>,
    instance: watch::Sender<Option<Arc<dyn Exporter>>>,
}

fn on_disk(change: impl FnOnce(&mut QueueSettings)) -> DeliverySettings {
    let mut settings = settings();
    settings.queue.storage = Some("file_storage".to_owned());
    change(&mut settings.queue);
    settings
}

async fn storage(at: &Path) -> Storage {
    Storage::open(Settings { quota: 1 << 20, ..Settings::new(at) }).await.unwrap()
}

fn deliver(
    settings: DeliverySettings,
    host: &Host,
    instance: &watch::Sender<Option<Arc<dyn Exporter>>>,
) -> Arc<Delivery> {
    let node = host.node(Signal::Logs);
    Delivery::start(
        Signal::Logs,
        settings,
        instance.subscribe(),
        Arc::new(|_| {}),
        host.clone(),
        node,
        Elsewhere::default(),
    )
}

impl Rig {
    async fn new(at: &Path, settings: DeliverySettings, peer: &Arc<Peer>) -> Rig {
        let rig = Rig::without_storage(settings, peer, Disk::new(storage(at).await));
        rig.delivery.open();
        rig
    }

    fn without_storage(settings: DeliverySettings, peer: &Arc<Peer>, disk: Disk) -> Rig {
        let extension = Host::for_test(Kind::Extension, "file_storage");
        let disk: Arc<dyn Extension> = Arc::new(disk);
        extension.offer(&disk);
        let host = extension.for_component(Kind::Exporter, "otlp/test");
        let node = host.node(Signal::Logs);
        let peer: Arc<dyn Exporter> = peer.clone();
        let instance = watch::Sender::new(Some(peer));
        let delivery = deliver(settings, &host, &instance);
        Rig { delivery, source: Source::new(), node, host, disk, instance }
    }

    async fn send(&self, text: &str) {
        let part = self.source.part(Bytes::copy_from_slice(text.as_bytes()), 10);
        let context = self.source.context();
        self.delivery.consume(Batch { signal: Signal::Logs, context, parts: vec![part] }).await;
    }

    fn reasons(&self) -> Vec<Option<Reason>> {
        self.source.outcomes().iter().map(|outcome| outcome.as_ref().unwrap().reason()).collect()
    }

    async fn stop(self) -> u64 {
        let undelivered = self.delivery.drain(Instant::now() + Duration::from_millis(300)).await;
        drop(self.disk);
        undelivered
    }

    fn assert_ledger_adds_up(&self, offered: u64) {
        let n = &self.node;
        let ends = n.held_items.get() + n.delivered.get() + n.dropped.total() + n.returned.total();
        assert_eq!(ends, offered + n.created.get(), "{n:?}");
    }
}

async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !look() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_peer_that_is_down() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::new(dir.path(), on_disk(|_| {}), &Peer::always(Answer::Unreachable)).await;
    rig.send("a").await;
    until("an attempt", || rig.host.node(Signal::Logs).held_items.get() == 10).await;
    let drained = tokio::time::timeout(SOON, rig.delivery.drain(Instant::now() + Duration::from_secs(3600)));
    assert_eq!(drained.await.ok(), Some(0), "it stays on the disk");
}

#[tokio::test]
async fn what_is_acknowledged_and_not_delivered_is_sent_in_order_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let down = Peer::always(Answer::Unreachable);
    let rig = Rig::new(dir.path(), on_disk(|_| {}), &down).await;
    for text in ["a", "b", "c"] {
        rig.send(text).await;
    }
    assert_eq!(rig.reasons(), [None, None, None], "durable is delivered");
    rig.assert_ledger_adds_up(30);
    assert_eq!(rig.stop().await, 0, "nothing is lost or given back");

    let peer = Peer::always(Answer::Ok);
    let rig = Rig::new(dir.path(), on_disk(|_| {}), &peer).await;
    rig.send("d").await;
    until("all four", || rig.node.delivered.get() == 40).await;
    assert_eq!(peer.requests(), ["a", "b", "c", "d"]);
    rig.assert_ledger_adds_up(10);
    assert_eq!((rig.node.created.get(), rig.node.held_items.get()), (30, 0));
    rig.stop().await;

    let again = Peer::always(Answer::Ok);
    let rig = Rig::new(dir.path(), on_disk(|_| {}), &again).await;
    rig.send("e").await;
    until("the last", || rig.node.delivered.get() == 10).await;
    assert_eq!(again.requests(), ["e"], "what was delivered is gone");
}

#[tokio::test]
async fn what_ran_out_of_retries_comes_again_and_what_is_refused_for_good_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::new([Answer::Unreachable, Answer::PeerError], Answer::Ok);
    let retry = RetrySettings { enabled: false, ..RetrySettings::default() };
    let rig = Rig::new(dir.path(), DeliverySettings { retry, ..on_disk(|_| {}) }, &peer).await;
    for text in ["again", "refused", "third"] {
        rig.send(text).await;
    }
    until("two delivered", || rig.node.delivered.get() == 20).await;
    let requests = peer.requests();
    assert_eq!(requests.iter().filter(|r| *r == "again").count(), 2, "{requests:?}");
    assert_eq!(requests.iter().filter(|r| *r == "refused").count(), 1, "{requests:?}");
    assert_eq!(rig.node.dropped.total(), 10);
    until("nothing held", || rig.node.held_items.get() == 0).await;
    rig.assert_ledger_adds_up(30);
}

#[tokio::test]
async fn a_full_queue_refuses_or_drops_its_oldest_or_lets_the_sender_wait() {
    for sizer in [Sizer::Requests, Sizer::Items] {
        let size = if sizer == Sizer::Requests { 3 } else { 30 };
        for when_full in [WhenFull::Refuse, WhenFull::DropOldest, WhenFull::Block] {
            let dir = tempfile::tempdir().unwrap();
            let peer = Peer::always(Answer::Hang);
            let queue = |queue: &mut QueueSettings| {
                (queue.queue_size, queue.sizer, queue.when_full) = (size, sizer, Some(when_full));
            };
            let rig = Rig::new(dir.path(), on_disk(queue), &peer).await;
            rig.send("a").await;
            until("the first is under way", || peer.requests() == ["a"]).await;
            rig.send("b").await;
            rig.send("c").await;
            let fourth = tokio::time::timeout(Duration::from_millis(200), rig.send("d")).await;
            let (waited, reasons) = (fourth.is_err(), rig.source.outcomes());
            let last = reasons[3].clone().and_then(|outcome: Outcome| outcome.reason());
            let n = &rig.node;
            match when_full {
                WhenFull::Refuse => assert_eq!((waited, last), (false, Some(Reason::QueueFull))),
                WhenFull::DropOldest => {
                    assert_eq!((waited, last, n.dropped.total(), n.held_items.get()), (false, None, 10, 30));
                }
                WhenFull::Block => assert!(waited),
            }
            rig.assert_ledger_adds_up(40);
            rig.stop().await;

            let peer = Peer::always(Answer::Ok);
            let rig = Rig::new(dir.path(), on_disk(queue), &peer).await;
            let left: &[&str] =
                if when_full == WhenFull::DropOldest { &["a", "c", "d"] } else { &["a", "b", "c"] };
            until("what was left", || peer.requests() == left).await;
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn a_log_with_no_room_left_drops_its_oldest_where_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let down = Peer::always(Answer::Hang);
    let queue = |queue: &mut QueueSettings| {
        (queue.queue_size, queue.when_full) = (1_000_000, Some(WhenFull::DropOldest));
    };
    let rig = Rig::new(dir.path(), on_disk(queue), &down).await;
    for n in 0..30 {
        rig.send(&format!("{n} {}", "x".repeat(60_000))).await;
    }
    assert!(rig.reasons().iter().all(Option::is_none));
    assert!(rig.node.dropped.total() > 100, "1.8 MB do not fit into 1 MiB: {:?}", rig.node);
    rig.assert_ledger_adds_up(300);
}

#[tokio::test]
async fn a_storage_that_is_not_there_refuses_and_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::always(Answer::Ok);
    let disk = Arc::new(Disk::default());
    let rig = Rig::without_storage(on_disk(|_| {}), &peer, Disk::default());
    let late: Arc<dyn Extension> = disk.clone();
    rig.host.for_component(Kind::Extension, "file_storage").offer(&late);
    rig.delivery.open();
    rig.send("early").await;
    assert_eq!(rig.reasons(), [Some(Reason::StorageUnavailable)]);
    let status = rig.host.board().components().into_iter().find(|c| c.id == "otlp/test").unwrap();
    assert_eq!(status.state, State::Recoverable);
    assert!(status.message.unwrap().contains("failed to resolve storage"));
    disk.set(storage(dir.path()).await);
    until("well again", || rig.host.board().state(Kind::Exporter, "otlp/test") == Some(State::Ok)).await;
    rig.send("late").await;
    until("delivered", || peer.requests() == ["late"]).await;
}

#[tokio::test]
async fn the_delivery_that_follows_goes_on_with_what_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(dir.path(), on_disk(|_| {}), &peer).await;
    for text in ["a", "b", "c"] {
        rig.send(text).await;
    }
    let follower = deliver(on_disk(|queue| queue.num_consumers = 2), &rig.host, &rig.instance);
    follower.open();
    rig.delivery.hand_over(&follower);
    peer.becomes(Answer::Ok);
    rig.send("d").await;
    let old = rig.delivery.drain(Instant::now() + SOON).await;
    assert_eq!(old, 0);
    until("all delivered", || rig.node.delivered.get() == 40).await;
    until("nothing held", || rig.node.held_items.get() == 0).await;
    rig.assert_ledger_adds_up(40);
}

#[tokio::test]
async fn the_delivery_that_follows_may_open_when_the_old_one_has_ended() {
    for opens_meanwhile in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let peer = Peer::always(Answer::Unreachable);
        let rig = Rig::new(dir.path(), on_disk(|_| {}), &peer).await;
        for text in ["a", "b", "c"] {
            rig.send(text).await;
        }
        let follower = deliver(on_disk(|queue| queue.num_consumers = 2), &rig.host, &rig.instance);
        rig.delivery.hand_over(&follower);
        let drained = rig.delivery.drain(Instant::now() + SOON);
        if opens_meanwhile {
            tokio::join!(drained, async { follower.open() });
        } else {
            drained.await;
            follower.open();
        }
        peer.becomes(Answer::Ok);
        rig.send("d").await;
        until("all delivered", || rig.node.delivered.get() == 40).await;
        assert_eq!(rig.reasons(), [None; 4]);
        until("nothing held", || rig.node.held_items.get() == 0).await;
        rig.assert_ledger_adds_up(40);
    }
}

#[tokio::test]
async fn more_than_fits_into_memory_is_read_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let down = Peer::always(Answer::Hang);
    let disk = Storage::open(Settings::new(dir.path())).await.unwrap();
    let rig = Rig::without_storage(on_disk(|_| {}), &down, Disk::new(disk));
    rig.delivery.open();
    let body = |n: usize| format!("{n:03} {}", "x".repeat(200_000));
    for n in 0..100 {
        rig.send(&body(n)).await;
    }
    let up = Peer::always(Answer::Ok);
    let upper: Arc<dyn Exporter> = up.clone();
    down.becomes(Answer::Ok);
    rig.instance.send_replace(Some(upper));
    // The one under way hangs with the old instance until its timeout.
    until("all of them", || up.requests().len() == 100).await;
    let numbers: Vec<String> = up.requests().iter().map(|request| request[..3].to_owned()).collect();
    let expected: Vec<String> = (0..100).map(|n| format!("{n:03}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn a_purge_drops_what_waits_at_once_and_what_is_under_way_when_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::always(Answer::Slow(Duration::from_millis(300)));
    let retry = RetrySettings { enabled: false, ..RetrySettings::default() };
    let rig = Rig::new(dir.path(), DeliverySettings { retry, ..on_disk(|_| {}) }, &peer).await;
    rig.send("a").await;
    until("the first is under way", || peer.requests() == ["a"]).await;
    peer.becomes(Answer::Unreachable);
    for text in ["b", "c"] {
        rig.send(text).await;
    }
    let [queue] = &rig.host.stored_queues()[..] else { panic!("one queue") };
    let status = queue.status();
    assert_eq!((status.queue.as_str(), &*status.directory), ("otlp/test/logs", dir.path()));
    assert_eq!((status.records, status.items, status.under_way), (3, Some(30), 1));
    let purged = queue.purge().await.unwrap();
    assert_eq!((purged.records, purged.items, purged.under_way), (2, 20, 1));
    until("the first is delivered", || rig.node.delivered.get() == 10).await;
    until("nothing is left", || queue.status().records == 0).await;
    // One that comes back after a purge goes then.
    let failing = Peer::new([Answer::Hang], Answer::Ok);
    let other: Arc<dyn Exporter> = failing.clone();
    rig.instance.send_replace(Some(other));
    rig.send("d").await;
    until("it is under way", || failing.requests() == ["d"]).await;
    assert_eq!(queue.purge().await.unwrap().under_way, 1);
    rig.send("e").await;
    assert_eq!(rig.node.dropped.total(), 20);
    rig.assert_ledger_adds_up(50);
    rig.delivery.drain(Instant::now()).await;
    assert_eq!((rig.node.dropped.total(), queue.status().records), (30, 1), "what came later stays");
    rig.assert_ledger_adds_up(50);
}

/// Sends as one of several clients; whether it was taken within a moment.
async fn send_from(rig: &Rig, client: usize, text: String) -> bool {
    let mut context = (*rig.source.context()).clone();
    context.peer = Some(format!("10.0.0.{client}:4317").into());
    let part = rig.source.part(text, 10);
    let before = rig.source.outcomes().len() - 1;
    let batch = Batch { signal: Signal::Logs, context: context.into(), parts: vec![part] };
    let sent = rig.delivery.consume(batch);
    let in_time = tokio::time::timeout(Duration::from_secs(1), sent).await.is_ok();
    in_time && rig.source.outcomes()[before] == Some(Outcome::Delivered)
}

#[tokio::test]
async fn one_client_at_a_hundred_times_the_rate_of_nine_others_costs_them_nothing_on_the_disk() {
    for when_full in [WhenFull::Refuse, WhenFull::DropOldest, WhenFull::Block] {
        let dir = tempfile::tempdir().unwrap();
        let peer = Peer::always(Answer::Hang);
        let queue = |queue: &mut QueueSettings| {
            (queue.queue_size, queue.num_consumers, queue.when_full) = (100, 1, Some(when_full));
        };
        let rig = Rig::new(dir.path(), on_disk(queue), &peer).await;
        // Who waits for room does not come with more meanwhile.
        let flood = if when_full == WhenFull::Block { 60 } else { 100 };
        let mut of_flood = 0;
        for round in 0..4 {
            for client in 1..=9 {
                assert!(send_from(&rig, client, format!("{client} {round}")).await, "{when_full:?} {round}");
            }
            for n in 0..flood {
                let taken = send_from(&rig, 0, format!("0 {round} {n}")).await;
                of_flood += usize::from(taken);
                if !taken && when_full == WhenFull::Block {
                    break;
                }
            }
        }
        assert!(of_flood >= 40, "{when_full:?}: {of_flood}");
        assert_eq!(rig.node.dropped.total() > 0, when_full == WhenFull::DropOldest);
        rig.stop().await;

        let up = Peer::always(Answer::Ok);
        let rig = Rig::new(dir.path(), on_disk(queue), &up).await;
        let of = |client: usize| {
            let own = format!("{client} ");
            up.requests().into_iter().filter(|text| text.starts_with(&own)).collect::<Vec<_>>()
        };
        for client in 1..=9 {
            let all: Vec<String> = (0..4).map(|round| format!("{client} {round}")).collect();
            until("all of the others, in order", || of(client) == all).await;
        }
        until("the rest", || rig.node.held_items.get() == 0 && of(0).len() >= 40).await;
        rig.stop().await;
    }
}
