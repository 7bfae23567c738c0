//! Who gets the room of a full queue, and what is lost for it.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{
    Batch, Consumer as _, Context, DeliverySettings, Outcome, QueueSettings, Reason, Sizer, WhenFull,
};
use tokio::time::Instant;

fn queue(change: impl FnOnce(&mut QueueSettings)) -> DeliverySettings {
    let mut settings = settings();
    change(&mut settings.queue);
    settings
}

fn context(rig: &Rig, identity: Option<&str>, peer: &str) -> Arc<Context> {
    let mut context = (*rig.source.context()).clone();
    context.identity = identity.map(Into::into);
    context.peer = Some(peer.into());
    Arc::new(context)
}

async fn send(rig: &Rig, context: &Arc<Context>, part: &str) {
    rig.delivery.consume(Batch { context: context.clone(), ..rig.batch(&[part]) }).await;
}

fn reasons(rig: &Rig) -> Vec<Option<Reason>> {
    rig.source.outcomes().iter().map(|o| o.as_ref().and_then(Outcome::reason)).collect()
}

fn old() -> Option<Reason> {
    Some(Reason::DropOldest)
}

/// The peer takes 20 requests a second; nine clients send one, and one sends a hundred.
async fn one_floods(settings: DeliverySettings, client: impl Fn(usize) -> (Option<String>, String)) {
    let peer = Peer::always(Answer::Slow(Duration::from_millis(50)));
    let rig = Rig::new(settings, &peer);
    let clients: Vec<_> = (0..10).map(client).collect();
    let contexts: Vec<_> =
        clients.iter().map(|(identity, peer)| context(&rig, identity.as_deref(), peer)).collect();
    let mut modest = Vec::new();
    for _ in 0..60 {
        for client in 1..10 {
            modest.push(rig.source.outcomes().len());
            send(&rig, &contexts[client], "modest").await;
            for _ in 0..11 {
                send(&rig, &contexts[0], "flood").await;
            }
        }
        send(&rig, &contexts[0], "flood").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    rig.settled().await;
    let outcomes = rig.source.outcomes();
    for index in modest {
        assert_eq!(outcomes[index], Some(Outcome::Delivered), "part {index}");
    }
    let floods = peer.requests().iter().filter(|part| *part == "flood").count();
    assert!(floods > 60 * 8, "what the others leave is the flood's: {floods}");
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_client_with_a_hundred_times_the_rate_costs_nine_others_nothing() {
    for sizer in [Sizer::Requests, Sizer::Items] {
        let size = if sizer == Sizer::Items { 1000 } else { 100 };
        let settings = || queue(|q| (q.queue_size, q.sizer) = (size, sizer));
        one_floods(settings(), |n| (None, format!("10.0.0.{n}:4711"))).await;
        one_floods(settings(), |n| (Some(format!("client {n}")), "10.0.0.1:4711".to_owned())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_drop_oldest_the_flood_loses_its_own() {
    let settings = || queue(|q| (q.queue_size, q.when_full) = (100, Some(WhenFull::DropOldest)));
    one_floods(settings(), |n| (None, format!("10.0.0.{n}:4711"))).await;
}

#[tokio::test(start_paused = true)]
async fn sources_take_turns_and_each_keeps_its_order() {
    let peer = Peer::always(Answer::Slow(Duration::from_secs(1)));
    let rig = Rig::new(settings(), &peer);
    let (a, b) = (context(&rig, None, "10.0.0.1:1"), context(&rig, None, "10.0.0.2:1"));
    for part in ["a1", "a2", "a3", "a4"] {
        send(&rig, &a, part).await;
    }
    for part in ["b1", "b2"] {
        send(&rig, &b, part).await;
    }
    rig.settled().await;
    assert_eq!(peer.requests(), ["a1", "b1", "a2", "b2", "a3", "a4"]);
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_loses_what_has_waited_longest_and_nobody_waits() {
    let peer = Peer::new([Answer::Hang], Answer::Ok);
    let rig = Rig::new(queue(|q| (q.queue_size, q.when_full) = (3, Some(WhenFull::DropOldest))), &peer);
    let start = Instant::now();
    rig.send(&["in flight"]).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    for part in ["b", "c", "d", "e"] {
        rig.send(&[part, part]).await;
    }
    assert_eq!(start.elapsed(), Duration::from_millis(1));
    assert_eq!(reasons(&rig), [None, old(), old(), old(), old(), None, None, None, None]);
    assert_eq!(rig.gauge("otelcol_exporter_queue_size"), 3);
    rig.settled().await;
    assert_eq!(peer.requests(), ["in flight", "in flight", "d+d", "e+e"]);
    assert_eq!(rig.node.dropped.counts().collect::<Vec<_>>(), [(Reason::DropOldest, 40)]);
    assert!(matches!(rig.source.outcomes()[1], Some(Outcome::Rejected { .. })), "nobody sends it again");
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_makes_as_much_room_as_is_needed_and_refuses_when_nothing_waits() {
    let peer = Peer::always(Answer::Hang);
    let full = |q: &mut QueueSettings| {
        (q.queue_size, q.sizer, q.when_full) = (50, Sizer::Items, Some(WhenFull::DropOldest));
    };
    let rig = Rig::new(queue(full), &peer);
    rig.send(&["a"]).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    for part in ["b", "c", "d", "e"] {
        rig.send(&[part]).await;
    }
    rig.send(&["f", "f", "f"]).await;
    assert_eq!(reasons(&rig)[..6], [None, old(), old(), old(), None, None]);
    rig.send(&["g", "g", "g", "g", "g"]).await; // the whole queue, and one is in flight
    let outcomes = reasons(&rig);
    assert_eq!(outcomes[4..8], [old(); 4]);
    assert_eq!(outcomes[8..], [Some(Reason::QueueFull); 5]);
    rig.assert_ledger_adds_up();
}

#[tokio::test(start_paused = true)]
async fn a_dead_exporter_with_drop_oldest_takes_no_time_from_its_senders_even_behind_a_batcher() {
    let peer = Peer::always(Answer::Unreachable);
    let rig = Rig::new(queue(|q| (q.queue_size, q.when_full) = (10, Some(WhenFull::DropOldest))), &peer);
    let answered = Arc::new(Context { answered: true, ..(*rig.source.context()).clone() });
    let start = Instant::now();
    for _ in 0..1000 {
        send(&rig, &answered, "x").await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(rig.node.held_items.get(), 100);
    rig.assert_ledger_adds_up();
}
