//! Whatever the peer does and whenever the stop comes, every ack is settled and the ledger adds up.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{Answer, Peer, Rig, settings};
use streamgauge_component::{
    Batch, BatchSettings, Consumer as _, Context, Edge, Host, Optional, Outcome, QueueSettings, Random,
    Reason, Signal, Sizer, WhenFull,
};
use streamgauge_delivery::{Burial, DeadLetter, Letter};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn any_peer_any_settings_any_stop_settles_everything_and_adds_up() {
    for seed in 0..200 {
        run(&Random::seeded(seed), seed).await;
    }
}

async fn run(random: &Random, seed: u64) {
    let below = |n: usize| (random.next() * n as f64) as usize;
    let answer = || match below(10) {
        0 | 1 => Answer::Ok,
        2 => Answer::Slow(Duration::from_millis(below(2000) as u64)),
        3 => Answer::Partial(below(12) as u64),
        4 => Answer::RefuseWith("bad"),
        5 => Answer::PeerError,
        6 => Answer::Busy(Some(Duration::from_secs(below(10) as u64))),
        7 => Answer::Hang,
        8 => Answer::PanicWith("bad"),
        _ => Answer::Panic,
    };
    let peer = Peer::new((0..100).map(|_| answer()), Answer::Ok);
    let mut settings = settings();
    let sizer = [Sizer::Requests, Sizer::Items, Sizer::Bytes][below(3)];
    settings.retry.enabled = below(4) > 0;
    settings.breaker.enabled = below(4) > 0;
    settings.breaker.failures = 1 + below(6) as u32;
    settings.queue = QueueSettings {
        enabled: below(5) > 0,
        num_consumers: 1 + below(4),
        queue_size: 1 + below(50),
        sizer,
        when_full: Some([WhenFull::Refuse, WhenFull::Block, WhenFull::DropOldest][below(3)]),
        wait_for_result: below(3) == 0,
        ..QueueSettings::default()
    };
    if below(2) == 0 {
        let batch = BatchSettings { min_size: 1 + below(60), ..BatchSettings::default() };
        settings.queue.batch = Optional::some(batch);
    }
    let buries = below(2) == 0;
    let restart = Duration::from_millis(below(3000) as u64);
    let rig = Rig::supervised(settings, &peer, restart, |host| buries.then(|| grave(host, seed)));
    let (mut calls, mut cancelled) = (Vec::new(), Vec::new());
    let mut given_up = 0;
    for _ in 0..60 {
        let parts: Vec<&str> = (0..1 + below(4)).map(|_| ["good", "bad", "fine"][below(3)]).collect();
        let context = Context {
            peer: Some(format!("10.0.0.{}:1", below(4)).into()),
            answered: below(4) == 0,
            ..(*rig.source.context()).clone()
        };
        let (delivery, batch) = (rig.delivery.clone(), rig.batch(&parts));
        let batch = Batch { context: Arc::new(context), ..batch };
        let call = tokio::spawn(async move { delivery.consume(batch).await });
        if below(10) == 0 {
            tokio::time::sleep(Duration::from_millis(1 + below(100) as u64)).await;
            call.abort();
            cancelled.push(call);
            given_up += parts.len();
        } else {
            calls.push(call);
        }
        tokio::time::sleep(Duration::from_millis(below(400) as u64)).await;
    }
    let patience = Duration::from_millis(below(20_000) as u64);
    let stop = Instant::now() + patience;
    rig.delivery.drain(stop).await;
    assert!(
        Instant::now() <= stop + Duration::from_millis(2),
        "seed {seed}: the drain outlived its deadline by {:?}",
        Instant::now() - stop
    );
    for call in calls {
        call.await.unwrap();
    }
    for call in cancelled {
        let _ = call.await;
    }
    assert!(rig.source.all_settled(), "seed {seed}");
    // Only what a sender gave up may have been abandoned.
    let is_abandoned = |o: &&Option<Outcome>| o.as_ref().and_then(Outcome::reason) == Some(Reason::Abandoned);
    let abandoned = rig.source.outcomes().iter().filter(is_abandoned).count();
    assert!(abandoned <= given_up, "seed {seed}: {abandoned} parts abandoned, {given_up} given up");
    assert_eq!(rig.gauge_or_none("otelcol_exporter_queue_size").unwrap_or(0), 0, "seed {seed}");
    assert_eq!((rig.node.held_items.get(), rig.node.held_bytes.get()), (0, 0), "seed {seed}");
    rig.assert_ledger_adds_up();
}

/// A dead letter that takes its time, and holds, returns or refuses.
struct Grave {
    edge: Arc<Edge>,
    random: Random,
}

fn grave(host: &Host, seed: u64) -> Arc<dyn DeadLetter> {
    let edge = host.registry().edge("", "exporter/otlp/test", "grave", Signal::Logs);
    Arc::new(Grave { edge, random: Random::seeded(seed + 1) })
}

#[async_trait]
impl DeadLetter for Grave {
    async fn bury(&self, letter: &Letter) -> Burial {
        let draw = self.random.next();
        if draw < 0.2 {
            tokio::task::yield_now().await;
        }
        match (draw * 30.0) as u64 % 3 {
            0 => return Burial::Refused("no room".to_owned()),
            1 => self.edge.items.add(letter.items() as u64),
            _ => {
                self.edge.items.add(letter.items() as u64);
                return Burial::Returned;
            }
        }
        Burial::Held
    }
}
