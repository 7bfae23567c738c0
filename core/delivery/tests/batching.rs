//! `sending_queue.batch` before a peer.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{
    Batch, BatchSettings, Consumer as _, Context, DeliverySettings, Optional, Outcome, Partition, Reason,
    Sizer,
};
use tokio::time::Instant;

fn batching(batch: BatchSettings) -> DeliverySettings {
    let mut settings = settings();
    settings.queue.batch = Optional::some(batch);
    settings
}

fn of_30_items() -> BatchSettings {
    BatchSettings { min_size: 30, ..BatchSettings::default() }
}

#[tokio::test(start_paused = true)]
async fn small_batches_leave_together_when_there_are_enough_or_when_they_waited_long_enough() {
    let peer = Peer::always(Answer::Ok);
    let rig = Rig::new(batching(of_30_items()), &peer);
    for part in ["a", "b", "c", "d"] {
        rig.send(&[part]).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((rig.node.held_items.get(), rig.node.held_bytes.get()), (10, 1));
    rig.assert_ledger_adds_up();
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+b+c", "d"]);
    let times = peer.times();
    assert!(times[0] == 0.0 && (0.2..0.202).contains(&times[1]), "{times:?}"); // tokio's timer ticks in milliseconds
    assert!(rig.source.all_delivered());
    assert_eq!(rig.node.held_bytes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_spoils_its_batch_alone_is_refused() {
    let peer = Peer::always(Answer::RefuseWith("bad"));
    let rig = Rig::new(batching(of_30_items()), &peer);
    for part in ["a", "bad", "c"] {
        rig.send(&[part]).await;
    }
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+bad+c", "a", "bad+c", "bad", "c"]);
    let reasons: Vec<_> = rig.source.outcomes().iter().map(|o| o.as_ref().unwrap().reason()).collect();
    assert_eq!(reasons, [None, Some(Reason::PeerRefused), None]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn no_request_is_larger_than_the_largest_size() {
    let peer = Peer::always(Answer::Ok);
    let batch =
        BatchSettings { min_size: 4, max_size: 5, sizer: Some(Sizer::Bytes), ..BatchSettings::default() };
    let rig = Rig::new(batching(batch), &peer);
    for part in ["aa", "bb", "ccc", "d"] {
        rig.send(&[part]).await;
    }
    rig.settled().await;
    assert_eq!(peer.requests(), ["aa+bb", "ccc+d"]);
}

#[tokio::test(start_paused = true)]
async fn partitions_stay_apart() {
    let peer = Peer::always(Answer::Ok);
    let partition = Partition { metadata_keys: vec!["X-Tenant".to_owned()] };
    let rig =
        Rig::new(batching(BatchSettings { partition, min_size: 20, ..BatchSettings::default() }), &peer);
    for (part, tenant) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")] {
        let headers = vec![("x-tenant".into(), tenant.into())];
        let context = Arc::new(Context { headers, ..(*rig.source.context()).clone() });
        rig.delivery.consume(Batch { context, ..rig.batch(&[part]) }).await;
    }
    rig.settled().await;
    assert_eq!(peer.requests(), ["a+c", "b+d"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_a_batch_still_takes_its_room_in_the_queue() {
    let peer = Peer::always(Answer::Ok);
    let mut settings = batching(of_30_items());
    settings.queue.queue_size = 2;
    let rig = Rig::new(settings, &peer);
    for part in ["a", "b", "c"] {
        rig.send(&[part]).await;
    }
    let reason = rig.source.outcomes()[2].as_ref().and_then(Outcome::reason);
    assert_eq!(reason, Some(Reason::QueueFull));
    rig.settled().await;
    assert_eq!(rig.gauge("otelcol_exporter_queue_size"), 0);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_drain_sends_an_unfinished_batch_at_once() {
    let peer = Peer::always(Answer::Ok);
    let flush_timeout = Duration::from_secs(60);
    let rig = Rig::new(batching(BatchSettings { flush_timeout, ..of_30_items() }), &peer);
    rig.send(&["a"]).await;
    rig.send(&["b"]).await;
    let start = Instant::now();
    assert_eq!(rig.delivery.drain(start + Duration::from_secs(30)).await, 0);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(peer.requests(), ["a+b"]);
    assert!(rig.source.all_delivered());
    assert_eq!(rig.node.held_items.get(), 0);
}
