//! What is not taken now, and what is refused.

use std::time::Duration;

use streamgauge_component::testkit::Behaviour;
use streamgauge_component::{Outcome, Reason};
use streamgauge_harness::Redis;

use super::rig::*;

fn answered() -> Outcome {
    Outcome::Retry {
        reason: Reason::RetriesExhausted,
        after: None,
        answered: true,
        detail: Some("503 not now".into()),
    }
}

fn has_poison(records: &[std::collections::BTreeMap<String, String>]) -> bool {
    records.iter().any(|record| record.contains_key("poison"))
}

#[tokio::test]
async fn a_dead_sink_burns_no_delivery_fills_no_dead_letter_and_nothing_is_read_twice() {
    let redis = Redis::start();
    redis.fill("s", 20);
    let behaviour = Behaviour::Settle(Outcome::retry(Reason::RetriesExhausted));
    let rig = Rig::with(&redis.addr(), "retry: {max_deliveries: 2}", behaviour).await;
    rig.until("it is offered ten times", |rig| rig.sink.received().len() >= 10).await;
    let held = redis.cli(&["xpending", "s", "g", "-", "+", "100"]);
    let deliveries: Vec<_> = held.lines().skip(3).step_by(4).collect();
    assert_eq!(deliveries, ["1"; 20]);
    rig.sink.behave(Behaviour::Settle(Outcome::Delivered));
    settled(&redis, "s").await;
    assert_eq!((rig.count("read"), rig.count("recovered"), rig.count("dead_lettered")), (20, 0, 0));
    assert!(rig.count("offered_again") >= 180);
    assert_eq!(redis.run::<i64>("EXISTS s:dlq"), 0);
    rig.stop().await;
}

#[tokio::test]
async fn an_entry_that_the_peer_itself_puts_off_too_often_goes_to_the_dead_letter_with_its_tries() {
    let redis = Redis::start();
    redis.fill("s", 1);
    let rig = Rig::with(&redis.addr(), "retry: {max_deliveries: 3}", Behaviour::Settle(answered())).await;
    rig.until("it is given up", |rig| rig.count_of("dead_lettered", "max_deliveries") == 1).await;
    settled(&redis, "s").await;
    assert_eq!(rig.sink.received().len(), 3);
    let letter = redis.cli(&["xrange", "s:dlq", "-", "+"]);
    let after = |name: &str| letter.lines().skip_while(|line| *line != name).nth(1).unwrap().to_owned();
    assert_eq!((after("dlq.deliveries").as_str(), after("dlq.error.type").as_str()), ("3", "max_deliveries"));
    assert_eq!(after("dlq.attempts_json").matches("503 not now").count(), 3);
    rig.stop().await;
}

#[tokio::test]
async fn tries_of_many_are_not_held_against_the_others_when_one_is_the_cause() {
    let redis = Redis::start();
    redis.fill("s", 16);
    let _: String = redis.run("XADD s * poison 1");
    redis.fill("s", 16);
    let rig = Rig::picky(&redis, "retry: {max_deliveries: 2}", Duration::ZERO, |records| {
        has_poison(records).then(answered)
    })
    .await;
    rig.arrived(32).await;
    settled(&redis, "s").await;
    assert_eq!((rig.ids().len(), rig.count("dead_lettered")), (32, 1));
    rig.stop().await;
}

#[tokio::test]
async fn one_poison_in_a_thousand_is_found_and_the_others_arrive_once() {
    let redis = Redis::start();
    redis.fill("s", 600);
    let id: String = redis.run("XADD s * poison 1 traceparent 00-1-2-01");
    redis.fill("s", 399);
    for outcome in
        [Outcome::rejected_with(Reason::PeerRefused, "400 bad record"), Outcome::rejected(Reason::Panic)]
    {
        let reason = outcome.reason().unwrap().as_str();
        let _: i64 = redis.run("DEL s:dlq");
        let rig = Rig::picky(&redis, &format!("group: {{name: {reason}}}"), Duration::ZERO, move |records| {
            has_poison(records).then(|| outcome.clone())
        })
        .await;
        rig.arrived(999).await;
        rig.until("the poison is put aside", |rig| rig.count_of("dead_lettered", reason) == 1).await;
        rig.until("all are acknowledged", |rig| rig.count("acknowledged") == 999).await;
        assert_eq!(rig.ids().len(), 999, "none twice");
        let letter = redis.cli(&["xrange", "s:dlq", "-", "+"]);
        for word in
            ["poison", "00-1-2-01", "dlq.traceparent", "dlq.stream", "dlq.group", "dlq.consumer", &id, reason]
        {
            assert!(letter.contains(word), "{word}: {letter}");
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_peer_that_refuses_everything_for_its_own_reason_is_not_asked_about_halves() {
    let redis = Redis::start();
    redis.fill("s", 8);
    let behaviour = Behaviour::Settle(Outcome::rejected_with(Reason::PeerError, "401"));
    let rig = Rig::with(&redis.addr(), "", behaviour).await;
    rig.until("all are put aside", |rig| rig.count("dead_lettered") == 8).await;
    settled(&redis, "s").await;
    let offered: usize = rig.sink.received().iter().map(|batch| batch.items).sum();
    assert_eq!(offered, 8);
    assert_eq!(redis.run::<i64>("XLEN s:dlq"), 8);
    rig.stop().await;
}

#[tokio::test]
async fn whatever_a_component_does_with_a_part_its_entries_are_settled_in_the_end() {
    let redis = Redis::start();
    redis.fill("s", 3);
    let rig = Rig::with(&redis.addr(), "", Behaviour::Drop).await;
    rig.until("what was dropped is offered again", |rig| rig.sink.received().len() >= 3).await;
    rig.sink.behave(Behaviour::Panic);
    rig.until("what makes a component fall is put aside", |rig| rig.count_of("dead_lettered", "panic") == 3)
        .await;
    settled(&redis, "s").await;
    rig.stop().await;
}
