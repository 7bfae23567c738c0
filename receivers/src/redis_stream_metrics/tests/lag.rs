//! The cases in which servers do not know the lag, or are wrong about it, on each server of the matrix.

use std::collections::BTreeMap;

use streamgauge_harness::{Redis, Server};

use super::*;

/// The ids of a stream, behind one of them when it is given.
fn ids(server: &Redis, stream: &str, after: Option<&str>) -> Vec<String> {
    let start = after.map_or("-".to_owned(), |id| format!("({id}"));
    let entries: Vec<(String, redis::Value)> = server.run(&format!("XRANGE {stream} {start} +"));
    entries.into_iter().map(|(id, _)| id).collect()
}

fn groups(server: &Redis, stream: &str) -> Vec<BTreeMap<String, redis::Value>> {
    server.run(&format!("XINFO GROUPS {stream}"))
}

fn read(server: &Redis, stream: &str, count: usize) {
    server.run::<redis::Value>(&format!("XREADGROUP GROUP g c COUNT {count} STREAMS {stream} >"));
}

/// Streams of ten entries, each with a group `g`, after what makes lags unknown.
fn scenes(server: &Redis) -> Vec<&'static str> {
    let made = |stream: &'static str, at: &str| {
        server.fill(stream, 10);
        let at = at.parse().map_or(at.to_owned(), |n: usize| ids(server, stream, None)[n].clone());
        server.run::<()>(&format!("XGROUP CREATE {stream} g {at}"));
        stream
    };
    let delete = |stream: &str, n: usize| {
        server.run::<()>(&format!("XDEL {stream} {}", ids(server, stream, None)[n]));
    };
    let run = |command: &str| server.run::<redis::Value>(command);
    let mut all = vec![made("from_0", "0-0"), made("from_end", "$"), made("from_the_middle", "3")];
    all.push(made("from_end_and_more", "$"));
    server.fill("from_end_and_more", 3);
    all.push(made("deleted_unread", "0-0"));
    read(server, "deleted_unread", 3);
    delete("deleted_unread", 6);
    all.push(made("deleted_unread_and_read_on", "0-0"));
    delete("deleted_unread_and_read_on", 6);
    read(server, "deleted_unread_and_read_on", 3);
    all.push(made("trimmed_past", "0-0"));
    read(server, "trimmed_past", 2);
    run("XTRIM trimmed_past MAXLEN = 3");
    all.push(made("trimmed_past_the_middle", "3"));
    run("XTRIM trimmed_past_the_middle MAXLEN = 3");
    all.push(made("deleted_and_read_to_the_end", "0-0"));
    delete("deleted_and_read_to_the_end", 6);
    read(server, "deleted_and_read_to_the_end", 100);
    all.push(made("emptied", "0-0"));
    read(server, "emptied", 2);
    run("XTRIM emptied MAXLEN = 0");
    all.push(made("deleted_as_acknowledgement", "0-0"));
    read(server, "deleted_as_acknowledgement", 4);
    (0..4).for_each(|_| delete("deleted_as_acknowledgement", 0));
    all.push(made("all_unread_deleted", "0-0"));
    read(server, "all_unread_deleted", 8);
    (0..2).for_each(|_| delete("all_unread_deleted", 8));
    all
}

/// The true lag, and the server's own word.
fn truth(server: &Redis, stream: &str) -> (f64, Option<f64>) {
    let group = &groups(server, stream)[0];
    let delivered: String = redis::from_redis_value(group["last-delivered-id"].clone()).unwrap();
    let own = group.get("lag").and_then(|lag| redis::from_redis_value::<Option<i64>>(lag.clone()).unwrap());
    (ids(server, stream, Some(&delivered)).len() as f64, own.map(|lag| lag as f64))
}

#[tokio::test]
async fn on_every_server_the_lag_is_right_where_the_server_says_nil_or_a_wrong_number() {
    for kind in Server::matrix() {
        let server = kind.start();
        let scenes = scenes(&server);
        let receiver = running(&server, "").await;
        let points = receiver.next().await;
        receiver.stop().await;
        let (mut nil, mut wrong) = (0, 0);
        for stream in scenes {
            let (truth, own) = truth(&server, stream);
            let place = format!("{stream} on {}: the server says {own:?}", kind.name);
            let of = |name| number(&points, name, "stream", stream);
            let quality = of("redis.stream.group.lag_quality").unwrap();
            assert_eq!(of("redis.stream.group.lag"), Some(truth), "{place}, quality {quality}");
            assert_eq!(quality, if own == Some(truth) { 4.0 } else { 3.0 }, "{place}");
            nil += usize::from(own.is_none());
            wrong += usize::from(own.is_some_and(|own| own != truth));
        }
        let expected = if kind.version() < (7, 0) { 12 } else { 3 };
        assert!(nil >= expected, "{}: {nil} lags are nil, {wrong} wrong", kind.name);
    }
}

#[tokio::test]
async fn without_leave_to_count_a_lag_is_bounded_estimated_or_unknown_and_says_so() {
    for kind in Server::matrix() {
        let server = kind.start();
        let scenes = scenes(&server);
        let receiver = running(&server, "count_entries: 0").await;
        let points = receiver.next().await;
        receiver.stop().await;
        for stream in scenes {
            let (truth, own) = truth(&server, stream);
            let place = format!("{stream} on {}: the server says {own:?}", kind.name);
            let of = |name| number(&points, name, "stream", stream);
            let (lag, quality) =
                (of("redis.stream.group.lag"), of("redis.stream.group.lag_quality").unwrap());
            match quality as u64 {
                3 | 4 => assert_eq!(lag, Some(truth), "{place}"),
                2 => assert!(
                    lag >= Some(truth) && of("redis.stream.group.lag_least") <= Some(truth),
                    "{place}"
                ),
                1 => assert!(lag > Some(0.0) && lag <= Some(12.0) && truth > 0.0, "{place}: {lag:?}"),
                _ => assert_eq!(lag, None, "{place}"),
            }
        }
    }
}

#[tokio::test]
async fn a_lag_that_was_known_before_an_entry_was_deleted_stays_within_bounds() {
    for kind in Server::matrix().into_iter().filter(|kind| kind.version() >= (7, 0)) {
        let server = kind.start();
        server.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
        server.fill("s", 10);
        read(&server, "s", 3);
        let receiver = running(&server, "count_entries: 0").await;
        let known = receiver.next().await;
        assert_eq!(lag(&known, "g"), (Some(7.0), Some(4.0)), "{}", kind.name);
        server.run::<()>(&format!("XDEL s {}", ids(&server, "s", None)[5]));
        let points = receiver.until(has("redis.stream.group.lag_quality", 2.0)).await;
        assert_eq!(lag(&points, "g").0, Some(7.0), "{}: at most", kind.name);
        assert_eq!(value_of(&points, "redis.stream.group.lag_least"), Some(6.0), "{}: at least", kind.name);
        read(&server, "s", 100);
        receiver.until(has("redis.stream.group.lag", 0.0)).await;
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_counts_lost_entries_as_lag_for_ever_is_put_right() {
    for kind in Server::matrix().into_iter().filter(|kind| kind.version() >= (7, 0)) {
        let server = kind.start();
        server.run::<()>("XGROUP CREATE s g 0 MKSTREAM");
        server.fill("s", 10);
        read(&server, "s", 2);
        let receiver = running(&server, "").await;
        receiver.until(has("redis.stream.group.lag", 8.0)).await;
        server.run::<()>("XTRIM s MAXLEN = 3");
        let points = receiver.until(has("redis.stream.group.skipped", 5.0)).await;
        assert_eq!(lag(&points, "g").0, Some(3.0), "{}", kind.name);
        let is = |lag: f64| {
            move |points: &[Point]| {
                let (told, quality) = super::lag(points, "g");
                told == Some(lag) && quality >= Some(3.0)
            }
        };
        // Many at once: who counts on cannot be told from who does not, until the group was at the end.
        server.fill("s", 20);
        read(&server, "s", 11);
        let least = |points: &[Point]| value_of(points, "redis.stream.group.lag_least").unwrap_or(12.0);
        let points = receiver.until(|points| lag(points, "g").0 >= Some(12.0) && least(points) <= 12.0).await;
        assert!(lag(&points, "g").1 >= Some(2.0), "{}", kind.name);
        read(&server, "s", 12);
        receiver.until(is(0.0)).await;
        server.fill("s", 9);
        receiver.until(is(9.0)).await;
        // A few at a time are noticed at once.
        read(&server, "s", 1);
        receiver.until(is(8.0)).await;
        server.run::<()>("XTRIM s MAXLEN = 5");
        receiver.until(has("redis.stream.group.skipped", 8.0)).await;
        read(&server, "s", 2);
        let points = receiver.until(is(3.0)).await;
        assert_eq!((lag(&points, "g").0, truth(&server, "s").0), (Some(3.0), 3.0), "{}", kind.name);
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_lag_that_nobody_can_know_is_absent_ends_its_series_and_is_not_0() {
    // Large entries are not read: nothing but the length is left to go by.
    let server = Redis::start();
    let big = "x".repeat(100_000);
    let add = || {
        redis::cmd("XADD").arg("big").arg("*").arg("f").arg(&big).query::<String>(&mut server.connection())
    };
    let ids: Vec<_> = (0..4).map(|_| add().unwrap()).collect();
    server.run::<()>("XGROUP CREATE big g 0");
    let receiver = running(&server, "streams: [big]").await;
    receiver.until(has("redis.stream.group.lag", 4.0)).await;
    server.run::<()>(&format!("XDEL big {}", ids[2]));
    let points = receiver.until(has("redis.stream.group.lag_quality", 0.0)).await;
    let series = of(&points, "redis.stream.group.lag", "group", "g");
    assert_eq!((series.len(), series[0].value), (1, None), "the series ends, and is not 0");
    let next = receiver.next().await;
    assert!(of(&next, "redis.stream.group.lag", "group", "g").is_empty());
    assert_eq!(state(&next, "g"), "UNKNOWN");
    receiver.stop().await;
}

#[tokio::test]
async fn the_lag_time_is_the_age_of_the_next_entry_and_none_for_ids_that_are_no_times() {
    for kind in Server::matrix() {
        let server = kind.start();
        let (seconds, _): (u64, u64) = server.run("TIME");
        for age in [90, 60, 30] {
            server.run::<String>(&format!("XADD timed {}-0 f v", (seconds - age) * 1000));
            server.run::<String>(&format!("XADD chosen {}-0 f v", 100 - age));
        }
        for stream in ["timed", "chosen"] {
            server.run::<()>(&format!("XGROUP CREATE {stream} g 0"));
            read(&server, stream, 1);
        }
        let receiver = running(&server, "").await;
        let points = receiver.next().await;
        let of = |name, stream| number(&points, name, "stream", stream);
        let time = of("redis.stream.group.lag_time", "timed").unwrap();
        assert!((60.0..75.0).contains(&time), "{}: {time}", kind.name);
        assert_eq!(of("redis.stream.group.lag_time_quality", "timed"), Some(3.0));
        assert_eq!(of("redis.stream.group.lag_time", "chosen"), None);
        assert_eq!(of("redis.stream.group.lag_time_quality", "chosen"), Some(0.0));
        read(&server, "timed", 5);
        receiver
            .until(|points| number(points, "redis.stream.group.lag_time", "stream", "timed") == Some(0.0))
            .await;
        receiver.stop().await;
    }
}
