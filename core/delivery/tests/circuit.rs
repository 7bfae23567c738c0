//! The circuit breaker.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{
    BreakerSettings, DeliverySettings, Outcome, QueueSettings, Reason, RetrySettings,
};
use tokio::time::{Instant, sleep};

/// Five workers; retries that alone would come every second.
fn eager() -> DeliverySettings {
    let second = Duration::from_secs(1);
    let retry = RetrySettings { initial_interval: second, multiplier: 1.0, ..settings().retry };
    let queue = QueueSettings { num_consumers: 5, ..settings().queue };
    DeliverySettings { retry, queue, ..settings() }
}

async fn send(rig: &Rig, parts: usize) {
    for _ in 0..parts {
        rig.send(&["x"]).await;
    }
}

fn circuit(rig: &Rig) -> u64 {
    rig.gauge("streamgauge.exporter.circuit")
}

fn health(rig: &Rig) -> String {
    rig.host.board().components()[0].message.clone().unwrap_or_default()
}

const CLOSED: u64 = 0;
const HALF_OPEN: u64 = 1;
const OPEN: u64 = 2;

#[tokio::test(start_paused = true)]
async fn after_five_failures_in_a_row_nobody_asks_until_one_probe_decides() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(eager(), &peer);
    assert_eq!(circuit(&rig), CLOSED);
    send(&rig, 20).await;
    sleep(Duration::from_millis(4900)).await;
    assert_eq!(peer.times(), [0.0; 5]);
    assert_eq!((circuit(&rig), &*health(&rig)), (OPEN, "circuit open: connection refused"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.times()[5..], [5.0]);
    assert_eq!((circuit(&rig), &*health(&rig)), (OPEN, "circuit open: connection refused"));

    peer.becomes(Answer::Slow(Duration::from_secs(1)));
    sleep(Duration::from_millis(4600)).await;
    assert_eq!((circuit(&rig), rig.gauge("otelcol_exporter_in_flight_requests")), (HALF_OPEN, 1));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((circuit(&rig), health(&rig)), (CLOSED, String::new()));
    assert_eq!(peer.times()[6..], [10.0, 11.0, 11.0, 11.0, 11.0, 11.0]);
    assert_eq!(rig.gauge("streamgauge.exporter.circuit.opened"), 2);
    rig.settled().await;
    assert!(rig.source.all_delivered());
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_an_open_circuit_is_no_failed_attempt_and_its_time_does_not_run() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(eager(), &peer);
    send(&rig, 500).await;
    sleep(Duration::from_secs(600)).await;
    let (asked, lost) = (peer.times().len(), rig.node.returned.total() / 10);
    assert!(asked <= 5 + 600 / 5, "{asked} attempts");
    assert!((5..=10).contains(&lost), "only those that were tried may run out of time: {lost}");
    peer.becomes(Answer::Ok);
    rig.settled().await;
    assert_eq!(rig.node.delivered.get() / 10 + lost, 500);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_not_in_a_row_do_not_open_it() {
    let unwell = [Answer::Unreachable, Answer::Unreachable, Answer::Unreachable, Answer::Unreachable];
    let script = unwell.iter().cloned().chain([Answer::RefuseWith("x")]).chain(unwell.iter().cloned());
    let peer = Peer::new(script, Answer::Ok);
    let rig = Rig::new(eager(), &peer);
    send(&rig, 5).await;
    rig.settled().await;
    assert_eq!(rig.gauge("streamgauge.exporter.circuit.opened"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_when_to_come_back_is_not_down_and_one_that_cannot_say_is() {
    for (after, opened) in [(Some(Duration::from_secs(2)), 0), (None, 1)] {
        let peer = Peer::new(vec![Answer::Busy(after); 5], Answer::Ok);
        let rig = Rig::new(eager(), &peer);
        send(&rig, 10).await;
        rig.settled().await;
        assert_eq!(rig.gauge("streamgauge.exporter.circuit.opened"), opened, "{after:?}");
        assert!(rig.source.all_delivered());
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_without_a_word_leaves_its_place_to_the_next() {
    let script = vec![Answer::Unreachable; 5].into_iter().chain([Answer::Panic]);
    let peer = Peer::new(script, Answer::Ok);
    let rig = Rig::new(eager(), &peer);
    send(&rig, 6).await;
    sleep(Duration::from_millis(5100)).await;
    assert_eq!(peer.times(), [0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]);
    assert_eq!(circuit(&rig), CLOSED);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_sender_waits_behind_it_as_long_as_retries_last() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(DeliverySettings { queue: QueueSettings::disabled(), ..eager() }, &peer);
    let calls: Vec<_> = (0..20).map(|_| rig.send_beside(&["x"])).collect();
    let start = Instant::now();
    for call in calls {
        call.await.unwrap();
    }
    assert!(start.elapsed() <= Duration::from_secs(301), "{:?}", start.elapsed());
    let reasons = rig.source.outcomes().into_iter().map(|o| o.as_ref().and_then(Outcome::reason));
    assert!(reasons.into_iter().all(|reason| reason == Some(Reason::RetriesExhausted)));
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_behind_it() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(eager(), &peer);
    send(&rig, 10).await;
    sleep(Duration::from_secs(2)).await;
    let start = Instant::now();
    assert_eq!(rig.delivery.drain(start + Duration::from_secs(1)).await, 100);
    assert!(start.elapsed() <= Duration::from_secs(1));
    assert_eq!(peer.times().len(), 5);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn switched_off_everybody_asks_for_himself() {
    let peer = Peer::always(Answer::Unreachable);
    let breaker = BreakerSettings { enabled: false, ..BreakerSettings::default() };
    let rig = Rig::new(DeliverySettings { breaker, ..eager() }, &peer);
    send(&rig, 5).await;
    sleep(Duration::from_millis(4500)).await;
    assert_eq!(peer.times().len(), 25);
    assert_eq!(rig.gauge_or_none("streamgauge.exporter.circuit"), None);
}
