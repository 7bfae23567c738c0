//! What follows from the numbers, on live servers.

use streamgauge_harness::{Redis, Server};

use super::*;

/// The states that the section's times make quick.
const QUICK: &str = "rate_window: 1s\nstates: {stall_after: 100ms, stop_after: 300ms, stuck_after: 200ms, slow_after: 1h, quiet_after: 1h}";

fn run(server: &Redis, command: &str) {
    server.run::<redis::Value>(command);
}

fn is(group: &'static str, state: &'static str) -> impl Fn(&[Point]) -> bool {
    move |points| super::state(points, group) == state
}

#[tokio::test]
async fn every_trouble_of_a_group_has_its_state_on_every_server() {
    for kind in Server::matrix() {
        let server = kind.start();
        for group in ["stops", "stalls", "sticks", "rewinds", "loses"] {
            server.fill(group, 4);
            run(&server, &format!("XGROUP CREATE {group} {group} 0"));
        }
        let receiver = running(&server, QUICK).await;
        receiver.until(is("stops", "STOP")).await;
        // A consumer that asks for other things is there; what waits is not delivered.
        run(&server, "XREADGROUP GROUP stalls c COUNT 1 STREAMS stalls >");
        receiver.until(is("stalls", "STALL")).await;
        receiver.until(is("stalls", "STOP")).await;
        run(&server, "XREADGROUP GROUP sticks c STREAMS sticks >");
        receiver.until(is("sticks", "STUCK_PENDING")).await;
        run(&server, "XACK sticks sticks 0-1");
        run(&server, "XREADGROUP GROUP rewinds c STREAMS rewinds >");
        receiver
            .until(|points| number(points, "redis.stream.group.lag", "group", "rewinds") == Some(0.0))
            .await;
        run(&server, "XGROUP SETID rewinds rewinds 0");
        receiver.until(is("rewinds", "REWIND")).await;
        if kind.version() >= (7, 0) {
            run(&server, "XREADGROUP GROUP loses c COUNT 1 STREAMS loses >");
            receiver
                .until(|points| number(points, "redis.stream.group.lag", "group", "loses") == Some(3.0))
                .await;
            run(&server, "XTRIM loses MAXLEN = 1");
            let points = receiver.until(is("loses", "LOSING")).await;
            assert_eq!(number(&points, "redis.stream.group.skipped", "group", "loses"), Some(2.0));
            assert_eq!(number(&points, "redis.stream.group.lag", "group", "loses"), Some(1.0));
        }
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_group_has_one_state_at_a_time_with_its_reason() {
    let server = Redis::start();
    server.fill("s", 2);
    run(&server, "XGROUP CREATE s g 0");
    let receiver = running(&server, QUICK).await;
    receiver.until(is("g", "STOP")).await;
    run(&server, "XREADGROUP GROUP g c NOACK STREAMS s >");
    let points = receiver.until(is("g", "OK")).await;
    let states = named(&points, "redis.stream.group.state");
    let alive: Vec<_> = states.iter().filter(|point| point.value.is_some()).collect();
    assert_eq!(alive.len(), 1);
    assert_eq!(alive[0].attribute("reason"), "the group has read everything");
    assert_eq!(states.len(), 2, "the state before ends");
    receiver.stop().await;
}

#[tokio::test]
async fn entries_delivered_too_often_are_found_on_every_server() {
    for kind in Server::matrix() {
        let server = kind.start();
        server.fill("s", 5);
        run(&server, "XGROUP CREATE s g 0");
        run(&server, "XREADGROUP GROUP g c COUNT 2 STREAMS s >");
        // Reading one's own pending entries again counts as a delivery.
        (0..3).for_each(|_| run(&server, "XREADGROUP GROUP g c STREAMS s 0"));
        run(&server, "XREADGROUP GROUP g c COUNT 2 STREAMS s >");
        let receiver = running(&server, "").await;
        let points = receiver.next().await;
        assert_eq!(value_of(&points, "redis.stream.group.poison"), Some(2.0), "{}", kind.name);
        let worst: Vec<_> =
            named(&points, "redis.stream.group.poison_deliveries").iter().map(|point| point.value).collect();
        assert_eq!(worst, [Some(4.0); 2]);
        let bands = |name| -> Vec<_> {
            let points = named(&points, name).into_iter();
            points
                .map(|p| (p.attribute("deliveries").to_owned() + p.attribute("idle"), p.value.unwrap()))
                .collect()
        };
        let by_deliveries = bands("redis.stream.group.pending_by_deliveries");
        assert_eq!(by_deliveries, [("1".to_owned(), 2.0), ("3-4".to_owned(), 2.0)]);
        let idle: f64 = bands("redis.stream.group.pending_by_idle").iter().map(|(_, count)| count).sum();
        assert_eq!(idle, 4.0);
        assert_eq!(value_of(&points, "redis.stream.group.dangling"), Some(0.0));
        run(&server, "XTRIM s MAXLEN = 2");
        receiver.until(has("redis.stream.group.dangling", 3.0)).await;
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_long_list_of_pending_entries_is_walked_through_within_the_budget_of_each_round() {
    let server = Redis::start();
    server.fill("s", 1700);
    run(&server, "XGROUP CREATE s g 0");
    run(&server, "XREADGROUP GROUP g c COUNT 1700 STREAMS s >");
    let receiver = running(&server, "pending_entries: 500").await;
    let first = receiver.next().await;
    assert_eq!(value_of(&first, "redis.stream.group.pending_seen"), Some(500.0));
    let all = receiver.until(has("redis.stream.group.pending_seen", 1700.0)).await;
    assert_eq!(value_of(&all, "redis.stream.group.pending_by_deliveries"), Some(1700.0));
    receiver.stop().await;
}

#[tokio::test]
async fn a_user_who_may_not_read_entries_gets_a_bounded_lag_time_and_an_honest_lag() {
    let rule = "m on >p -@all +info +client|setname +xinfo +xpending +xlen +scan resetkeys %R~*";
    let server = Redis::builder().user(rule).start();
    server.fill("s", 10);
    let ids = server.cli(&["xrange", "s", "-", "+"]);
    let third = ids.lines().filter(|line| line.contains('-')).nth(3).unwrap();
    run(&server, &format!("XGROUP CREATE s g {third}"));
    let receiver =
        Running::start(&FACTORY, &format!("endpoint: redis://m:p@{}\n{FAST}", server.addr())).await;
    let points = receiver.until(|points| !named(points, "redis.stream.group.lag_quality").is_empty()).await;
    let quality = lag(&points, "g").1.unwrap();
    assert!((1.0..=2.0).contains(&quality), "{quality}");
    assert_eq!(value_of(&points, "redis.stream.group.lag_time_quality"), Some(2.0));
    assert!(value_of(&points, "redis.stream.group.lag_time").is_some());
    receiver.stop().await;
}

#[tokio::test]
async fn rates_of_a_stream_in_motion_are_those_of_the_producer_and_the_consumer() {
    let server = Redis::start();
    run(&server, "XGROUP CREATE s g 0 MKSTREAM");
    let receiver = running(&server, "rate_window: 2s").await;
    receiver.next().await;
    let begin = std::time::Instant::now();
    let (mut added, mut read) = (0.0, 0.0);
    while begin.elapsed() < Duration::from_secs(1) {
        server.fill("s", 10);
        run(&server, "XREADGROUP GROUP g c COUNT 5 STREAMS s >");
        (added, read) = (added + 10.0, read + 5.0);
    }
    let per_second = |count: f64| count / begin.elapsed().as_secs_f64();
    let (rate_in, rate_out) = (per_second(added), per_second(read));
    let points = receiver.next().await;
    receiver.stop().await;
    let near = |name, expected: f64| {
        let value = value_of(&points, name).unwrap();
        assert!((value - expected).abs() < 0.4 * expected, "{name}: {value}, not {expected}");
    };
    near("redis.stream.rate_in", rate_in);
    near("redis.stream.group.rate_out", rate_out);
    near("redis.stream.group.velocity", rate_in - rate_out);
    assert_eq!(value_of(&points, "redis.stream.group.eta"), Some(f64::INFINITY));
    assert!(value_of(&points, "redis.stream.group.ack_rate").unwrap() < 1.0);
}

#[tokio::test]
async fn how_long_a_consumer_idles_goes_on_though_nothing_moves_and_no_old_value_is_told_again() {
    let server = Redis::start();
    server.fill("s", 5);
    run(&server, "XGROUP CREATE s g 0");
    run(&server, "XREADGROUP GROUP g stalled COUNT 4 STREAMS s >");
    run(&server, "XGROUP CREATECONSUMER s g other");
    let receiver = running(
        &server,
        "states: {stop_after: 400ms}\nmetrics: {redis.stream.consumer.score: {enabled: true}}",
    )
    .await;
    let of = |points: &[Point], name: &str| {
        let found = named(points, name).into_iter().find(|p| p.attribute("consumer") == "stalled");
        found.map(|point| point.value.expect("it goes on"))
    };
    let mut idles = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let score = loop {
        let points = receiver.next().await;
        let Some(idle) = of(&points, "redis.stream.consumer.idle") else { continue };
        idles.push(idle);
        let score = of(&points, "redis.stream.consumer.score").unwrap();
        if idle > 0.5 {
            break score;
        }
        assert!(tokio::time::Instant::now() < deadline, "{idles:?}");
    };
    assert!(idles.len() > 1 && idles.is_sorted_by(|a, b| a < b), "{idles:?}");
    assert_eq!(score, 0.0, "it holds everything, asks for nothing, and an entry waits");
    receiver.stop().await;
}

#[tokio::test]
async fn entries_that_change_hands_are_counted_and_the_batch_in_work_is_told_on_every_server() {
    for kind in Server::matrix() {
        let server = kind.start();
        (1..=40).for_each(|n| run(&server, &format!("XADD s 0-{n} f v")));
        run(&server, "XGROUP CREATE s g 0");
        run(&server, "XREADGROUP GROUP g a COUNT 20 STREAMS s >");
        let on = "metrics: {redis.stream.group.claimed: {enabled: true}, redis.stream.group.batch: {enabled: true}}";
        let receiver = running(&server, on).await;
        let is = |claimed: f64, batch: f64| {
            move |points: &[Point]| {
                value_of(points, "redis.stream.group.claimed") == Some(claimed)
                    && value_of(points, "redis.stream.group.batch") == Some(batch)
            }
        };
        receiver.until(is(0.0, 20.0)).await;
        // Nothing of the group's own numbers moves but that there is one consumer more.
        run(&server, "XCLAIM s g b 0 0-1 0-2 0-3");
        receiver.until(is(3.0, 3.0)).await;
        run(&server, "XREADGROUP GROUP g c COUNT 5 STREAMS s >");
        receiver.until(is(3.0, 5.0)).await;
        run(&server, "XREADGROUP GROUP g c COUNT 10 STREAMS s >");
        receiver.until(is(3.0, 15.0)).await;
        run(&server, "XACK s g 0-1 0-2 0-3");
        receiver
            .until(|points| number(points, "redis.stream.consumer.pending", "consumer", "b") == Some(0.0))
            .await;
        // Between consumers that are known no number of the group moves: the look in rotation finds it.
        run(&server, "XCLAIM s g b 0 0-4 0-5");
        receiver.until(is(5.0, 2.0)).await;
        receiver.stop().await;
    }
}
