//! What becomes of a request: success, refusal, retries, panic.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{
    DeliverySettings, Exporter, Outcome, QueueSettings, Reason, RetrySettings, State,
};

fn retry(reason: Reason, after: u64, answered: bool, detail: &str) -> Option<Outcome> {
    let after = Some(Duration::from_secs(after));
    Some(Outcome::Retry { reason, after, answered, detail: Some(detail.into()) })
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_takes_is_delivered_in_order() {
    let peer = Peer::always(Answer::Ok);
    let rig = Rig::new(settings(), &peer);
    for part in ["a", "b", "c"] {
        rig.send(&[part]).await;
    }
    rig.settled().await;
    assert_eq!(peer.requests(), ["a", "b", "c"]);
    assert!(rig.source.all_delivered());
    assert_eq!((rig.node.delivered.get(), rig.node.held_items.get(), rig.node.held_bytes.get()), (30, 0, 0));
    assert_eq!(rig.gauge("otelcol_exporter_queue_size"), 0);
    assert_eq!(rig.gauge("otelcol_exporter_queue_capacity"), 1000);
    assert_eq!(rig.gauge("otelcol_exporter_in_flight_requests"), 0);
}

#[tokio::test(start_paused = true)]
async fn items_that_the_peer_left_out_are_counted_and_the_part_is_delivered() {
    let peer = Peer::always(Answer::Partial(3));
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    assert!(rig.source.all_delivered());
    assert_eq!(rig.node.delivered.get(), 7);
    assert_eq!(rig.node.dropped.counts().collect::<Vec<_>>(), [(Reason::PeerRefused, 3)]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn waits_between_attempts_grow_and_the_state_follows() {
    let peer = Peer::new([Answer::Unreachable, Answer::Busy(None), Answer::Unreachable], Answer::Ok);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let states = rig.host.board().components();
    assert_eq!(
        (states[0].state, states[0].message.as_deref()),
        (State::Recoverable, Some("connection refused"))
    );
    rig.settled().await;
    assert_eq!(peer.times(), [0.0, 5.0, 12.5, 23.75]);
    assert!(rig.source.all_delivered());
    assert_eq!(rig.host.board().components()[0].state, State::Ok);
}

#[tokio::test(start_paused = true)]
async fn the_peers_wish_is_the_least_wait() {
    let asks = |seconds| Answer::Busy(Some(Duration::from_secs(seconds)));
    let peer = Peer::new([asks(20), asks(1)], Answer::Ok);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    assert_eq!(peer.times(), [0.0, 20.0, 27.5]);
}

#[tokio::test(start_paused = true)]
async fn jitter_stays_within_its_factor_and_repeats() {
    let run = async || {
        let peer = Peer::new([Answer::Unreachable, Answer::Unreachable], Answer::Ok);
        let retry = RetrySettings { multiplier: 1.0, ..RetrySettings::default() };
        let rig = Rig::new(DeliverySettings { retry, ..settings() }, &peer);
        rig.send(&["a"]).await;
        rig.settled().await;
        peer.times()
    };
    let times = run().await;
    for wait in [times[1] - times[0], times[2] - times[1]] {
        assert!((2.5..=7.501).contains(&wait), "{times:?}");
    }
    assert_eq!(times, run().await);
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_elapsed_time_and_the_source_hears_it() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    let text = "no more retries left: connection refused";
    assert_eq!(rig.source.outcomes(), [retry(Reason::RetriesExhausted, 30, false, text)]);
    let last = *peer.times().last().unwrap();
    assert!(last <= 300.0 && last > 260.0, "{last}");
    assert_eq!(rig.node.returned.counts().collect::<Vec<_>>(), [(Reason::RetriesExhausted, 10)]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn an_elapsed_time_of_zero_never_gives_up() {
    let peer = Peer::always(Answer::Unreachable);
    let retry = RetrySettings { max_elapsed_time: Duration::ZERO, ..settings().retry };
    let rig = Rig::new(DeliverySettings { retry, ..settings() }, &peer);
    rig.send(&["a"]).await;
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(rig.source.outcomes(), [None]);
    peer.becomes(Answer::Ok);
    rig.settled().await;
    assert!(rig.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn switched_off_there_is_one_attempt() {
    let peer = Peer::always(Answer::Busy(Some(Duration::from_secs(7))));
    let retry = RetrySettings { enabled: false, ..settings().retry };
    let rig = Rig::new(DeliverySettings { retry, ..settings() }, &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    assert_eq!(peer.times(), [0.0]);
    let heard = rig.source.outcomes();
    assert_eq!(heard, [self::retry(Reason::RetriesExhausted, 7, true, "no more retries left: busy")]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_ends_at_the_timeout_and_is_tried_again() {
    let peer = Peer::new([Answer::Hang], Answer::Ok);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    assert_eq!(peer.times(), [0.0, 10.0]); // 5 s timeout, 5 s back-off
    assert!(rig.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_zero_waits_for_ever() {
    let peer = Peer::always(Answer::Slow(Duration::from_secs(3000)));
    let rig = Rig::new(DeliverySettings { timeout: Duration::ZERO, ..settings() }, &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    assert_eq!(peer.requests(), ["a"]);
    assert!(rig.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn a_joined_request_is_halved_until_the_part_at_fault_stands_alone() {
    let peer = Peer::always(Answer::RefuseWith("bad"));
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a", "b", "c", "bad", "e"]).await;
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+b+c+bad+e", "a+b", "c+bad+e", "c", "bad+e", "bad", "e"]);
    let refused = Outcome::rejected_with(Reason::PeerRefused, "not retryable error: bad data");
    let ok = Outcome::Delivered;
    let expected = [ok.clone(), ok.clone(), ok.clone(), refused, ok].map(Some);
    assert_eq!(rig.source.outcomes(), expected);
    assert_eq!(rig.node.dropped.counts().collect::<Vec<_>>(), [(Reason::PeerRefused, 10)]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_peer_itself_rejects_without_halving_or_retry() {
    let peer = Peer::always(Answer::PeerError);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a", "b"]).await;
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+b"]);
    let refused = Some(Outcome::rejected_with(Reason::PeerError, "not retryable error: wrong password"));
    assert_eq!(rig.source.outcomes(), [refused.clone(), refused]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_panic_rejects_what_was_in_hand_and_the_rest_goes_to_the_next_instance() {
    let peer = Peer::always(Answer::Panic);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    rig.settled().await;
    let text = "the peer's client was told to panic";
    assert_eq!(rig.source.outcomes(), [Some(Outcome::rejected_with(Reason::Panic, text))]);
    assert_eq!(*rig.panics.lock().unwrap(), [text]);
    assert_eq!(rig.gauge("otelcol_exporter_in_flight_requests"), 0);

    rig.instance.send_replace(None); // the supervisor takes it down: the queue goes on taking
    rig.send(&["b"]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(rig.source.outcomes()[1], None);
    let next = Peer::always(Answer::Ok);
    rig.instance.send_replace(Some(next.clone() as Arc<dyn Exporter>));
    rig.settled().await;
    assert_eq!(rig.source.outcomes()[1], Some(Outcome::Delivered));
    assert_eq!(next.requests(), ["b"]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_caller_waits_for_the_attempts() {
    let peer = Peer::new([Answer::Unreachable], Answer::Slow(Duration::from_secs(1)));
    let queue = QueueSettings::disabled();
    let rig = Rig::new(DeliverySettings { queue, ..settings() }, &peer);
    rig.send(&["a"]).await;
    assert!(rig.source.all_delivered());
    assert_eq!(peer.times(), [0.0, 5.0]);
    rig.instance.send_replace(None);
    rig.send(&["b"]).await;
    assert_eq!(rig.source.outcomes()[1], Some(Outcome::retry(Reason::ComponentDown)));
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_caller_leaves_nothing_behind() {
    let peer = Peer::always(Answer::Hang);
    let queue = QueueSettings::disabled();
    let rig = Rig::new(DeliverySettings { queue, ..settings() }, &peer);
    let call = rig.send_beside(&["a"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    call.abort();
    rig.settled().await;
    assert_eq!(rig.source.outcomes(), [Some(Outcome::retry(Reason::Abandoned))]);
    assert_eq!(rig.node.held_items.get(), 0);
    assert_eq!(rig.gauge("otelcol_exporter_in_flight_requests"), 0);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_waiting_leaves_its_place_to_the_next() {
    let peer = Peer::always(Answer::Slow(Duration::from_secs(1)));
    let queue = QueueSettings { queue_size: 1, block_on_overflow: true, ..settings().queue };
    let rig = Rig::new(DeliverySettings { queue, ..settings() }, &peer);
    rig.send(&["a"]).await;
    let gives_up = rig.send_beside(&["b"]);
    tokio::task::yield_now().await;
    let waits = rig.send_beside(&["c"]);
    tokio::task::yield_now().await;
    gives_up.abort();
    waits.await.unwrap();
    rig.settled().await;
    assert_eq!(peer.requests(), ["a", "c"]);
    assert_eq!(rig.source.outcomes()[1], Some(Outcome::retry(Reason::Abandoned)));
    assert_eq!(rig.gauge("otelcol_exporter_queue_size"), 0);
    rig.assert_ledger_adds_up();
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_wish_that_no_clock_can_hold_ends_the_retries_and_nothing_else() {
    let peer = Peer::new([Answer::Busy(Some(Duration::MAX))], Answer::Ok);
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a", "b"]).await;
    rig.settled().await;
    let heard = retry(Reason::RetriesExhausted, YEAR.as_secs(), true, "no more retries left: busy");
    assert_eq!(rig.source.outcomes(), [heard.clone(), heard]);
    rig.send(&["c"]).await;
    rig.settled().await;
    assert_eq!(rig.source.outcomes()[2], Some(Outcome::Delivered));
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn settings_that_no_clock_can_hold_wait_for_a_year() {
    let peer = Peer::new([Answer::Unreachable, Answer::Unreachable], Answer::Ok);
    let retry = RetrySettings {
        initial_interval: Duration::MAX,
        max_interval: Duration::MAX,
        max_elapsed_time: Duration::MAX,
        ..settings().retry
    };
    let rig = Rig::new(DeliverySettings { retry, timeout: Duration::MAX, ..settings() }, &peer);
    rig.send(&["a"]).await;
    tokio::time::sleep(2 * YEAR + Duration::from_secs(1)).await;
    assert!(rig.source.all_delivered());
    let waits: Vec<f64> = peer.times().windows(2).map(|t| t[1] - t[0]).collect();
    assert!(waits.iter().all(|wait| (wait - YEAR.as_secs_f64()).abs() < 0.01), "{waits:?}");
    assert_eq!(waits.len(), 2);
}
