//! An exporter's fall-back gets its share, and at once what fails; nothing is lost or counted twice.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Peer, settings};
use streamgauge_component::testkit::{Sink, Source};
use streamgauge_component::{
    Batch, Consumer as _, DeliverySettings, Exporter, Fallback, FallbackSettings, Host, Kind, Node, Outcome,
    Signal,
};
use streamgauge_delivery::{Delivery, Elsewhere};
use streamgauge_pdata::build::LogsBuilder;
use tokio::sync::watch;
use tokio::time::Instant;

struct Rig {
    delivery: Arc<Delivery>,
    source: Source,
    node: Arc<Node>,
    other: Arc<Sink>,
    _instance: watch::Sender<Option<Arc<dyn Exporter>>>,
}

impl Rig {
    fn new(settings: DeliverySettings, peer: &Arc<Peer>, share: f64, on_failure: bool) -> Rig {
        let host = Host::for_test(Kind::Exporter, "redis_stream/test");
        let (node, other) = (host.node(Signal::Logs), Sink::delivering());
        let fallback = FallbackSettings { exporter: "otlp_http".to_owned(), on_failure };
        let settings =
            DeliverySettings { fallback: Some(Fallback { settings: fallback, share }), ..settings };
        let peer: Arc<dyn Exporter> = peer.clone();
        let instance = watch::Sender::new(Some(peer));
        let elsewhere = Elsewhere { dead_letter: None, fallback: Some(other.outlet(Signal::Logs)) };
        let delivery = Delivery::start(
            Signal::Logs,
            settings,
            instance.subscribe(),
            Arc::new(|_| {}),
            host,
            node.clone(),
            elsewhere,
        );
        Rig { delivery, source: Source::new(), node, other, _instance: instance }
    }

    /// One batch of one part with so many records.
    async fn send(&self, records: usize) {
        let mut logs = LogsBuilder::new();
        let mut resource = logs.resource([("service.name", "shop")]);
        let mut scope = resource.scope("", "");
        for n in 0..records {
            scope.record(1).body(n as i64);
        }
        drop(scope);
        drop(resource);
        let parts = vec![self.source.part(logs.finish(), records)];
        self.delivery.consume(Batch { signal: Signal::Logs, context: self.source.context(), parts }).await;
    }

    /// Waits until every ack is settled; (delivered here, at the other).
    async fn settled(&self) -> (u64, usize) {
        let deadline = Instant::now() + Duration::from_secs(600);
        while !self.source.all_settled() {
            assert!(Instant::now() < deadline, "an ack is open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let node = &self.node;
        assert_eq!((node.held_items.get(), node.held_bytes.get(), node.dropped.total()), (0, 0, 0));
        (node.delivered.get(), self.other.items())
    }
}

#[tokio::test(start_paused = true)]
async fn thirty_percent_are_three_hundred_of_a_thousand_however_they_come() {
    for (batches, records) in [(1000, 1), (1, 1000), (10, 100), (333, 3)] {
        let peer = Peer::always(Answer::Ok);
        let rig = Rig::new(settings(), &peer, 0.7, true);
        for _ in 0..batches {
            rig.send(records).await;
        }
        let all = batches * records;
        let (here, there) = rig.settled().await;
        assert_eq!((here as usize + there, there), (all, all * 7 / 10), "{batches} of {records}");
        assert!(rig.source.all_delivered());
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_peer_the_other_gets_all_at_once_and_the_peer_its_share_when_it_is_back() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(settings(), &peer, 0.0, true);
    let began = Instant::now();
    for _ in 0..20 {
        rig.send(5).await;
    }
    assert_eq!(rig.settled().await, (0, 100));
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for retries or the circuit");
    assert!(peer.seen().len() < 10, "the circuit spares a peer that is down: {}", peer.seen().len());
    peer.becomes(Answer::Ok);
    tokio::time::sleep(Duration::from_secs(6)).await;
    rig.send(5).await;
    assert_eq!(rig.settled().await, (5, 100));
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_refuses_for_good_goes_to_the_other_too() {
    let peer = Peer::always(Answer::PeerError);
    let rig = Rig::new(settings(), &peer, 0.0, true);
    rig.send(5).await;
    assert_eq!(rig.settled().await, (0, 5));
    assert!(rig.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn without_on_failure_only_the_share_goes_there_and_the_rest_is_retried() {
    let peer = Peer::new([Answer::Unreachable, Answer::Unreachable], Answer::Ok);
    let rig = Rig::new(settings(), &peer, 0.5, false);
    rig.send(10).await;
    assert_eq!(rig.settled().await, (5, 5));
    assert_eq!(peer.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_other_gives_back_is_given_back_to_its_source() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(settings(), &peer, 0.0, true);
    rig.other.behave(streamgauge_component::testkit::Behaviour::Settle(Outcome::retry(
        streamgauge_component::Reason::QueueFull,
    )));
    rig.send(5).await;
    assert_eq!(rig.settled().await, (0, 5));
    assert!(matches!(rig.source.outcomes()[0], Some(Outcome::Retry { .. })));
}
