//! An exporter that panics: the part at fault is lost, its neighbours are not.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{DeliverySettings, Outcome, QueueSettings, Reason};
use tokio::time::Instant;

const RESTART: Duration = Duration::from_secs(1);
const TEXT: &str = "the peer's client was told to panic";

fn no_queue() -> DeliverySettings {
    DeliverySettings { queue: QueueSettings::disabled(), ..settings() }
}

fn reasons(rig: &Rig) -> Vec<Option<Reason>> {
    rig.source.outcomes().iter().map(|o| o.as_ref().unwrap().reason()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_joined_request_is_halved_over_fresh_instances_until_the_part_that_panics_stands_alone() {
    for settings in [settings(), no_queue()] {
        let peer = Peer::always(Answer::PanicWith("bad"));
        let rig = Rig::supervised(settings, &peer, RESTART, |_| None);
        rig.send(&["a", "b", "c", "bad", "e"]).await;
        rig.settled().await;
        assert_eq!(peer.requests(), ["a+b+c+bad+e", "a+b", "c+bad+e", "c", "bad+e", "bad", "e"]);
        assert_eq!(peer.times(), [0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0]);
        let ok = Outcome::Delivered;
        let poison = Outcome::rejected_with(Reason::Panic, TEXT);
        let expected = [ok.clone(), ok.clone(), ok.clone(), poison, ok].map(Some);
        assert_eq!(rig.source.outcomes(), expected);
        assert_eq!(*rig.panics.lock().unwrap(), [TEXT; 4]);
        assert_eq!(rig.node.dropped.counts().collect::<Vec<_>>(), [(Reason::Panic, 10)]);
        rig.assert_ledger_adds_up();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_does_not_come_again_costs_nothing() {
    let peer = Peer::new([Answer::Panic], Answer::Ok);
    let rig = Rig::supervised(settings(), &peer, RESTART, |_| None);
    rig.send(&["a", "b"]).await;
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+b", "a", "b"]);
    assert!(rig.source.all_delivered());
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn an_exporter_that_panics_over_everything_gives_back_what_is_left_when_retries_end() {
    let peer = Peer::always(Answer::Panic);
    let mut settings = settings();
    settings.retry.max_elapsed_time = Duration::from_secs(60);
    let rig = Rig::supervised(settings, &peer, Duration::from_secs(30), |_| None);
    rig.send(&["a", "b", "c", "d", "e", "f"]).await;
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+b+c+d+e+f", "a+b+c", "a", "b+c", "d+e+f"]);
    let (lost, back) = (Some(Reason::Panic), Some(Reason::RetriesExhausted));
    assert_eq!(reasons(&rig), [lost, back, back, back, back, back]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_wait_for_the_next_instance_ends_with_the_retries_or_the_stop() {
    let never = Duration::from_secs(24 * 3600);
    let peer = Peer::always(Answer::Panic);
    let rig = Rig::supervised(no_queue(), &peer, never, |_| None);
    let start = Instant::now();
    rig.send(&["a", "b"]).await;
    assert_eq!(start.elapsed(), Duration::from_secs(300));
    assert_eq!(reasons(&rig), [Some(Reason::ComponentDown); 2]);
    rig.assert_ledger_adds_up();

    let rig = Rig::supervised(no_queue(), &peer, never, |_| None);
    let waits = rig.send_beside(&["a", "b"]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    rig.delivery.drain(Instant::now() + Duration::from_secs(5)).await;
    waits.await.unwrap();
    assert_eq!(reasons(&rig), [Some(Reason::Stopping); 2]);
    rig.assert_ledger_adds_up();
}
