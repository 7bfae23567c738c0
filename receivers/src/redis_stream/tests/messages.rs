//! OpsConductor's messages.

use std::time::Duration;

use streamgauge_component::testkit::Behaviour;
use streamgauge_component::{Outcome, Reason};
use streamgauge_harness::Redis;
use streamgauge_streams::encoding::opsconductor::EVENT_TYPES;

use super::rig::*;

const MESSAGES: &str = "encoding: opsconductor, streams: [identity]";
const STREAM: &str = "opsconductor:identity:events";

fn publish(redis: &Redis, event_type: &str, more: &str) -> String {
    redis.run(&format!("XADD {STREAM} * event_type {event_type} data {{}} priority HIGH {more}"))
}

fn not_now() -> Outcome {
    Outcome::Retry {
        reason: Reason::RetriesExhausted,
        after: None,
        answered: true,
        detail: Some("500 broken".into()),
    }
}

/// The letters' values of a field.
fn letters(redis: &Redis, field: &str) -> Vec<String> {
    let all: Vec<(String, Vec<String>)> = redis.run(&format!("XRANGE {STREAM}:dlq - +"));
    let value = |fields: &[String]| {
        let pair = fields.chunks(2).find(|pair| pair[0] == field);
        pair.unwrap_or_else(|| panic!("{field} in {fields:?}"))[1].clone()
    };
    all.iter().map(|(_, fields)| value(fields)).collect()
}

#[tokio::test]
async fn a_message_fails_as_often_as_it_says_before_it_is_a_letter_that_tells_how_often() {
    let redis = Redis::start();
    let rig = Rig::with(&redis.addr(), MESSAGES, Behaviour::Settle(not_now())).await;
    for (more, offers, told) in [
        ("retry_count 0 max_retries 3", 3, "3"),
        // Two of its three tries were elsewhere.
        ("retry_count 2 max_retries 3", 1, "3"),
        ("retry_count 0 max_retries 7", 7, "7"),
        // What it does not say, the settings do.
        ("retry_count 1", 4, "5"),
        // Sent again by hand: it begins anew.
        ("retry_count 3 max_retries 3 dlq.requeued_from x", 3, "3"),
        // Given up elsewhere, and yet here: it is tried once.
        ("retry_count 3 max_retries 3", 1, "4"),
    ] {
        let before = rig.sink.received().len();
        redis.run::<()>(&format!("DEL {STREAM}:dlq"));
        publish(&redis, "user_login", more);
        rig.until("it is a letter", |_| redis.run::<i64>(&format!("XLEN {STREAM}:dlq")) == 1).await;
        assert_eq!(rig.sink.received().len() - before, offers, "{more}");
        assert_eq!(letters(&redis, "retry_count"), [told], "{more}");
        assert_eq!(letters(&redis, "dlq.error.type"), ["max_deliveries"]);
    }
    settled(&redis, STREAM).await;
    rig.stop().await;
}

#[tokio::test]
async fn each_type_is_counted_and_one_that_nobody_knows_is_acknowledged_too() {
    let redis = Redis::start();
    let types: Vec<_> = EVENT_TYPES.iter().flat_map(|(_, types)| *types).collect();
    types.iter().for_each(|event_type| drop(publish(&redis, event_type, "")));
    publish(&redis, "user_login", "");
    publish(&redis, "user_danced", "");
    let rig = Rig::start(&redis, MESSAGES).await;
    rig.arrived(types.len() + 2).await;
    settled(&redis, STREAM).await;
    assert_eq!(types.len(), 22);
    for event_type in types {
        let expected = if *event_type == "user_login" { 2 } else { 1 };
        assert_eq!(rig.count_of("events", event_type), expected, "{event_type}");
    }
    assert_eq!((rig.count("events"), rig.count("unknown_events")), (23, 1));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_its_priority_a_message_passes_others_that_came_before_it() {
    let redis = Redis::start();
    let yaml = format!("{MESSAGES}, priority: {{field: priority}}, read: {{workers: 1, count: 10}}");
    let rig = Rig::picky(&redis, &yaml, Duration::from_millis(20), |_| None).await;
    for n in 0..500 {
        redis.run::<()>(&format!("XADD {STREAM} * event_type user_login data {{}} priority low n {n}"));
    }
    let urgent: String =
        redis.run(&format!("XADD {STREAM} * event_type user_login data {{}} priority CRITICAL"));
    rig.arrived(501).await;
    let ids = rig.ids();
    assert!(ids.iter().position(|id| *id == urgent).unwrap() < 500, "it passed some");
    let low: Vec<_> = rig.records().iter().filter_map(|record| record.get("n").cloned()).collect();
    assert!(low.iter().enumerate().all(|(at, n)| *n == at.to_string()), "of one level the order is kept");
    rig.stop().await;
}
