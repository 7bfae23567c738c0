//! Room, waiting, stopping.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{
    Batch, Consumer as _, Context, DeliverySettings, Outcome, QueueSettings, Reason, Sizer,
};
use tokio::time::Instant;

fn queue(change: impl FnOnce(&mut QueueSettings)) -> DeliverySettings {
    let mut settings = settings();
    change(&mut settings.queue);
    settings
}

fn full() -> Option<Outcome> {
    let (reason, after) = (Reason::QueueFull, Some(Duration::from_secs(1)));
    Some(Outcome::Retry { reason, after, answered: false, detail: Some("sending queue is full".into()) })
}

const SLOW: Answer = Answer::Slow(Duration::from_secs(1));

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once_with_a_delay() {
    for (sizer, queue_size) in [(Sizer::Requests, 2), (Sizer::Items, 20), (Sizer::Bytes, 2)] {
        let peer = Peer::always(SLOW);
        let rig = Rig::new(queue(|q| (q.sizer, q.queue_size) = (sizer, queue_size)), &peer);
        let start = Instant::now();
        for part in ["a", "b", "c"] {
            rig.send(&[part]).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(rig.source.outcomes(), [None, None, full()], "{sizer:?}");
        assert_eq!(rig.gauge("otelcol_exporter_queue_size"), queue_size as u64);
        rig.settled().await;
        rig.send(&["d"]).await;
        rig.settled().await;
        assert_eq!(peer.requests(), ["a", "b", "d"]);
        assert_eq!(rig.node.returned.counts().collect::<Vec<_>>(), [(Reason::QueueFull, 10)]);
        rig.assert_ledger_adds_up();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_queue_is_taken_when_the_queue_is_empty() {
    let peer = Peer::always(SLOW);
    let rig = Rig::new(queue(|q| (q.sizer, q.queue_size) = (Sizer::Items, 5)), &peer);
    rig.send(&["a"]).await;
    rig.send(&["b"]).await;
    assert_eq!(rig.source.outcomes(), [None, full()]);
    rig.settled().await;
    assert_eq!(rig.source.outcomes()[0], Some(Outcome::Delivered));
}

#[tokio::test(start_paused = true)]
async fn block_on_overflow_lets_callers_wait_and_serves_them_in_order() {
    let peer = Peer::always(SLOW);
    let rig = Rig::new(queue(|q| (q.queue_size, q.block_on_overflow) = (1, true)), &peer);
    let start = Instant::now();
    let mut calls = Vec::new();
    for part in ["a", "b", "c", "d"] {
        calls.push(rig.send_beside(&[part]));
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_secs(3)); // the last was taken when the third had gone
    rig.settled().await;
    assert_eq!(peer.requests(), ["a", "b", "c", "d"]);
    assert!(rig.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn parts_whose_senders_had_their_answer_wait_where_others_are_refused() {
    let peer = Peer::always(SLOW);
    let rig = Rig::new(queue(|q| q.queue_size = 1), &peer);
    rig.send(&["a"]).await;
    let context = Arc::new(Context { answered: true, ..(*rig.source.context()).clone() });
    rig.delivery.consume(Batch { context, ..rig.batch(&["b"]) }).await;
    rig.settled().await;
    assert_eq!(peer.requests(), ["a", "b"]);
    assert!(rig.source.all_delivered());
}

#[tokio::test(start_paused = true)]
async fn wait_for_result_returns_when_the_parts_are_settled() {
    let peer = Peer::new([Answer::Unreachable], SLOW);
    let rig = Rig::new(queue(|q| q.wait_for_result = true), &peer);
    let start = Instant::now();
    rig.send(&["a", "b"]).await;
    assert!(rig.source.all_delivered());
    assert_eq!(start.elapsed(), Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_are_under_way_as_there_are_consumers() {
    let peer = Peer::always(SLOW);
    let rig = Rig::new(queue(|q| q.num_consumers = 3), &peer);
    for _ in 0..6 {
        rig.send(&["x"]).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.gauge("otelcol_exporter_in_flight_requests"), 3);
    rig.settled().await;
    assert_eq!(peer.times(), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_exports_what_is_held_and_takes_nothing_new() {
    let peer = Peer::always(SLOW);
    let rig = Rig::new(settings(), &peer);
    for part in ["a", "b", "c"] {
        rig.send(&[part]).await;
    }
    let start = Instant::now();
    let delivery = rig.delivery.clone();
    let drain = tokio::spawn(async move { delivery.drain(Instant::now() + Duration::from_secs(30)).await });
    tokio::task::yield_now().await;
    rig.send(&["late"]).await;
    assert_eq!(drain.await.unwrap(), 10); // the late one
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(peer.requests(), ["a", "b", "c"]);
    assert_eq!(rig.source.outcomes()[3], Some(Outcome::retry(Reason::Stopping)));
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_of_a_drain_the_rest_is_given_back() {
    let peer = Peer::new([Answer::Ok], Answer::Hang);
    let rig = Rig::new(queue(|q| (q.queue_size, q.block_on_overflow) = (3, true)), &peer);
    for part in ["a", "b", "c"] {
        rig.send(&[part]).await;
    }
    tokio::task::yield_now().await;
    let waiting = rig.send_beside(&["d"]);
    let waiting_too = rig.send_beside(&["e"]);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let lost = rig.delivery.drain(start + Duration::from_secs(3)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    waiting.await.unwrap();
    waiting_too.await.unwrap();
    assert_eq!(rig.source.outcomes()[0], Some(Outcome::Delivered));
    for outcome in &rig.source.outcomes()[1..] {
        assert_eq!(outcome.as_ref().and_then(Outcome::reason), Some(Reason::Stopping));
    }
    assert_eq!(lost, 40);
    assert_eq!(peer.requests(), ["a", "b"]); // no attempt was begun after the deadline
    assert_eq!(rig.node.held_items.get(), 0);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_an_attempt_that_would_come_too_late() {
    let peer = Peer::always(Answer::Busy(Some(Duration::from_secs(60))));
    let rig = Rig::new(settings(), &peer);
    rig.send(&["a"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Instant::now();
    assert_eq!(rig.delivery.drain(start + Duration::from_secs(30)).await, 10);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(rig.source.outcomes()[0].as_ref().and_then(Outcome::reason), Some(Reason::Stopping));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_the_wait_for_an_instance_and_can_be_hastened() {
    let peer = Peer::always(Answer::Ok);
    let rig = Rig::new(settings(), &peer);
    rig.instance.send_replace(None);
    rig.send(&["a"]).await;
    let start = Instant::now();
    let delivery = rig.delivery.clone();
    let drain = tokio::spawn(async move { delivery.drain(start + Duration::from_secs(30)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.delivery.drain(start + Duration::from_secs(2)).await;
    assert_eq!(drain.await.unwrap(), 10);
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!(peer.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_room_beyond_the_deadline_of_a_stop() {
    let peer = Peer::always(Answer::Hang);
    let rig = Rig::new(queue(|q| (q.queue_size, q.block_on_overflow) = (1, true)), &peer);
    rig.send(&["a"]).await;
    let waits = rig.send_beside(&["b"]);
    tokio::task::yield_now().await;
    let start = Instant::now();
    rig.delivery.stop_by(start + Duration::from_secs(3));
    waits.await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(rig.source.outcomes()[1], Some(Outcome::retry(Reason::Stopping)));
}
