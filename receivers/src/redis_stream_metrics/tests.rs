use std::time::Duration;

use streamgauge_component::{ComponentStatus, Host, Kind, State};
use streamgauge_config::Section;
use streamgauge_harness::{Redis, Valkey};

use super::*;
use crate::scrape::table::{Table as _, markdown};
use crate::scrape::testing::{Point, Running, examples_load, named, value_of};

mod insight;
mod lag;
mod many;

const FAST: &str =
    "collection_interval: 30ms\ninitial_delay: 0s\nmax_server_time: unlimited\nrefresh_interval: 50ms\n";

async fn running(server: &Redis, more: &str) -> Running {
    Running::start(&FACTORY, &format!("endpoint: {}\n{FAST}{more}", server.url())).await
}

fn of<'a>(points: &'a [Point], name: &str, key: &str, value: &str) -> Vec<&'a Point> {
    named(points, name).into_iter().filter(|point| point.attribute(key) == value).collect()
}

/// The number of a metric for one stream or group; `None` without a point.
fn number(points: &[Point], name: &str, key: &str, value: &str) -> Option<f64> {
    of(points, name, key, value).first().and_then(|point| point.value)
}

fn lag(points: &[Point], group: &str) -> (Option<f64>, Option<f64>) {
    let number = |name| number(points, name, "group", group);
    (number("redis.stream.group.lag"), number("redis.stream.group.lag_quality"))
}

/// The state of a group; empty without one.
fn state<'a>(points: &'a [Point], group: &str) -> &'a str {
    let mut states = of(points, "redis.stream.group.state", "group", group).into_iter();
    states.rfind(|point| point.value.is_some()).map_or("", |point| point.attribute("state"))
}

fn has(name: &'static str, value: f64) -> impl Fn(&[Point]) -> bool {
    move |points| named(points, name).iter().any(|point| point.value == Some(value))
}

/// How often a command was refused for this reason.
fn failures(receiver: &Running, fault: &str) -> u64 {
    let all = receiver.host.registry().instruments();
    let ours = all.iter().filter(|i| i.name == "streamgauge.redis.stream.failures");
    ours.filter(|i| i.attributes.contains(&("fault", fault.to_owned()))).map(|i| i.value.get()).sum()
}

fn left_out(receiver: &Running, setting: &str) -> u64 {
    let all = receiver.host.registry().instruments();
    let ours = all.iter().filter(|i| i.name == "streamgauge.redis.stream.left_out");
    ours.filter(|i| i.attributes.contains(&("setting", setting.to_owned()))).map(|i| i.value.get()).sum()
}

#[test]
fn the_readme_has_the_table_and_its_examples_load() {
    examples_load(&FACTORY);
    let table = markdown::<StreamMetrics>();
    assert!(FACTORY.description.readme.contains(&table), "put this into the README:\n{table}");
}

#[test]
fn rows_have_the_numbers_that_the_code_calls_them_by() {
    use metrics::*;
    for (row, name) in [
        (LENGTH, "length"),
        (ENTRIES_ADDED, "entries_added"),
        (GROUPS, "groups"),
        (FIRST_ENTRY_TIME, "first_entry_time"),
        (LAST_ENTRY_TIME, "last_entry_time"),
        (RATE_IN, "rate_in"),
        (RATE_REMOVED, "rate_removed"),
        (DETAIL_AGE, "detail_age"),
        (LAG, "group.lag"),
        (LAG_QUALITY, "group.lag_quality"),
        (LAG_LEAST, "group.lag_least"),
        (LAG_TIME, "group.lag_time"),
        (LAG_TIME_QUALITY, "group.lag_time_quality"),
        (SKIPPED, "group.skipped"),
        (RATE_OUT, "group.rate_out"),
        (ACK_RATE, "group.ack_rate"),
        (VELOCITY, "group.velocity"),
        (ETA, "group.eta"),
        (HEADROOM, "group.headroom"),
        (PENDING, "group.pending"),
        (OLDEST_PENDING_AGE, "group.oldest_pending_age"),
        (OLDEST_PENDING_IDLE, "group.oldest_pending_idle"),
        (PENDING_SEEN, "group.pending_seen"),
        (PENDING_BY_DELIVERIES, "group.pending_by_deliveries"),
        (PENDING_BY_IDLE, "group.pending_by_idle"),
        (POISON, "group.poison"),
        (POISON_DELIVERIES, "group.poison_deliveries"),
        (DANGLING, "group.dangling"),
        (CONSUMERS, "group.consumers"),
        (CONSUMERS_ACTIVE, "group.consumers_active"),
        (CONSUMERS_NEEDED, "group.consumers_needed"),
        (CONSUMERS_NEEDED_CONFIDENCE, "group.consumers_needed_confidence"),
        (ENTRIES_READ, "group.entries_read"),
        (LAST_DELIVERED_TIME, "group.last_delivered_time"),
        (STATE, "group.state"),
        (PRESENT, "group.present"),
        (CONSUMER_PENDING, "consumer.pending"),
        (CONSUMER_IDLE, "consumer.idle"),
        (CONSUMER_INACTIVE, "consumer.inactive"),
        (CONSUMER_SHARE, "consumer.share"),
        (CONSUMER_SCORE, "consumer.score"),
        (CLAIMED, "group.claimed"),
        (BATCH, "group.batch"),
    ] {
        assert_eq!(METRICS[row].name, format!("redis.stream.{name}"));
    }
    assert_eq!(METRICS.len(), 43);
}

#[test]
fn what_is_wrong_in_a_section_is_said_at_its_place() {
    for (yaml, place) in [
        ("{}", "endpoint"),
        ("endpoint: redis://h/1\ndb: 2", "db"),
        ("endpoint: h\nstreams: []", "streams"),
        ("endpoint: h\nstreams: ['a[']", "streams"),
        ("endpoint: h\nmax_streams: 0", "max_streams"),
        ("endpoint: h\nconsumers: {maximum: 0}", "maximum"),
        ("endpoint: h\nmetrics: {redis.stream.lag: {}}", "redis.stream.lag"),
    ] {
        let diagnostics = (FACTORY.config.read)(&Section::from_yaml("test", yaml).unwrap()).unwrap_err();
        assert!(format!("{diagnostics:?}").contains(place), "{yaml}: {diagnostics:?}");
    }
}

/// What takes two rounds, trouble, a newer server or a setting to be seen.
const NOT_AT_ONCE: [&str; 17] = [
    "group.claimed",
    "group.batch",
    "rate_in",
    "rate_removed",
    "group.lag_least",
    "group.rate_out",
    "group.ack_rate",
    "group.velocity",
    "group.eta",
    "group.headroom",
    "group.poison_deliveries",
    "group.consumers_needed",
    "group.consumers_needed_confidence",
    "group.present",
    "consumer.inactive",
    "consumer.share",
    "consumer.score",
];

#[tokio::test]
async fn a_lag_of_exactly_123_arrives_as_123_and_everything_else_is_what_the_server_says() {
    for server in [Redis::start(), Valkey::start()] {
        server.run::<()>("XGROUP CREATE orders billing 0 MKSTREAM");
        server.fill("orders", 130);
        server.run::<redis::Value>("XREADGROUP GROUP billing alice COUNT 5 STREAMS orders >");
        server.run::<redis::Value>("XREADGROUP GROUP billing bob COUNT 2 STREAMS orders >");
        let oldest = server.cli(&["xpending", "orders", "billing"]).lines().nth(1).unwrap().to_owned();
        let receiver = running(&server, "").await;
        // Of a round that asks for consumers.
        let points = receiver.until(|points| !named(points, "redis.stream.consumer.idle").is_empty()).await;
        receiver.stop().await;
        let one = |name| value_of(&points, name);
        assert_eq!(lag(&points, "billing"), (Some(123.0), Some(4.0)));
        assert_eq!(one("redis.stream.length"), Some(130.0));
        assert_eq!(one("redis.stream.entries_added"), Some(130.0));
        assert_eq!(one("redis.stream.groups"), Some(1.0));
        assert_eq!(one("redis.stream.group.pending"), Some(7.0));
        assert_eq!(one("redis.stream.group.consumers"), Some(2.0));
        assert_eq!(one("redis.stream.group.entries_read"), Some(7.0));
        let consumer = |name, metric| number(&points, metric, "consumer", name);
        assert_eq!(consumer("alice", "redis.stream.consumer.pending"), Some(5.0));
        assert_eq!(consumer("bob", "redis.stream.consumer.pending"), Some(2.0));
        assert!(consumer("bob", "redis.stream.consumer.idle").unwrap() < 60.0);
        let ms: f64 = oldest.split('-').next().unwrap().parse().unwrap();
        let age = one("redis.stream.group.oldest_pending_age").unwrap();
        let here = points[0].time as f64 / 1e9 - ms / 1000.0;
        assert!((age - here).abs() < 5.0, "{age} {here}");
        assert_eq!(one("redis.stream.first_entry_time"), Some(ms / 1000.0));
        assert!(one("redis.stream.last_entry_time") >= one("redis.stream.group.last_delivered_time"));
        let missing: Vec<_> = StreamMetrics::names()
            .iter()
            .filter(|name| {
                named(&points, name).is_empty()
                    && !NOT_AT_ONCE.contains(&name.trim_start_matches("redis.stream."))
            })
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
        for metric in StreamMetrics::metrics() {
            for point in named(&points, metric.name) {
                let mut keys: Vec<_> = point.attributes.keys().map(String::as_str).collect();
                let mut expected = metric.attributes.to_vec();
                keys.sort_unstable();
                expected.sort_unstable();
                assert_eq!((keys, point.attribute("db")), (expected, "0"));
            }
        }
    }
}

#[tokio::test]
async fn wrong_type_missing_key_and_missing_group_hit_that_stream_alone() {
    let server = Redis::start();
    server.fill("good", 3);
    server.fill("groupless", 2);
    server.run::<()>("XGROUP CREATE good g 0");
    server.run::<()>("SET text x");
    let receiver = running(&server, "streams: [good, text, missing, groupless]\ngroups: [g]").await;
    let points = receiver.next().await;
    assert_eq!(number(&points, "redis.stream.length", "stream", "good"), Some(3.0));
    assert_eq!(number(&points, "redis.stream.length", "stream", "groupless"), Some(2.0));
    assert_eq!(named(&points, "redis.stream.length").len(), 2);
    assert_eq!(lag(&points, "g").0, Some(3.0));
    for fault in ["wrong_type", "no_such_key", "no_such_group"] {
        assert!(failures(&receiver, fault) > 0, "{fault}");
    }
    for (stream, present) in [("good", 1.0), ("text", 0.0), ("missing", 0.0), ("groupless", 0.0)] {
        assert_eq!(
            number(&points, "redis.stream.group.present", "stream", stream),
            Some(present),
            "{stream}"
        );
    }
    let status = status(&receiver);
    assert_eq!(status.state, State::Ok, "{status:?}");
    server.run::<()>("DEL text");
    server.fill("text", 4);
    receiver.until(has("redis.stream.length", 4.0)).await;
    receiver.stop().await;
}

fn status(receiver: &Running) -> ComponentStatus {
    let mut all = receiver.host.board().components().into_iter();
    all.find(|status| status.id == FACTORY.description.name).unwrap()
}

#[tokio::test]
async fn a_user_who_may_read_only_some_streams_gets_those() {
    let rule = "m on >p -@all +info +client|setname +xinfo +xpending +xlen +scan resetkeys %R~open*";
    let server = Redis::builder().user(rule).start();
    for stream in ["open1", "open2", "closed"] {
        server.fill(stream, 2);
        server.run::<()>(&format!("XGROUP CREATE {stream} g 0"));
    }
    let yaml = format!("endpoint: redis://m:p@{}\n{FAST}", server.addr());
    let receiver = Running::start(&FACTORY, &yaml).await;
    let points = receiver.next().await;
    assert_eq!(named(&points, "redis.stream.length").len(), 2);
    assert_eq!(named(&points, "redis.stream.group.lag").len(), 2);
    assert!(failures(&receiver, "no_permission") > 0);
    receiver.stop().await;
}

#[tokio::test]
async fn streams_and_groups_are_chosen_by_name_and_glob_found_when_they_come_and_ended_when_they_go() {
    let server = Redis::start();
    for stream in ["orders:eu", "orders:us", "other"] {
        server.fill(stream, 1);
        server.run::<()>(&format!("XGROUP CREATE {stream} bill 0"));
        server.run::<()>(&format!("XGROUP CREATE {stream} ship 0"));
    }
    server.run::<()>("SET orders:text x");
    let receiver = running(&server, "streams: ['orders:*']\ngroups: ['b*']").await;
    let points = receiver.next().await;
    let streams: Vec<_> =
        named(&points, "redis.stream.length").iter().map(|p| p.attribute("stream")).collect();
    assert_eq!(streams, ["orders:eu", "orders:us"]);
    assert!(named(&points, "redis.stream.group.lag").iter().all(|p| p.attribute("group") == "bill"));
    assert_eq!(number(&points, "redis.stream.groups", "stream", "orders:eu"), Some(2.0));

    server.fill("orders:asia", 1);
    receiver.until(|points| number(points, "redis.stream.length", "stream", "orders:asia").is_some()).await;

    server.run::<()>("XGROUP DESTROY orders:eu bill");
    let ended = |points: &[Point]| {
        let lag = of(points, "redis.stream.group.lag", "stream", "orders:eu");
        lag.first().is_some_and(|point| point.value.is_none())
    };
    receiver.until(ended).await;
    server.run::<()>("DEL orders:us");
    let gone = |points: &[Point]| {
        let length = of(points, "redis.stream.length", "stream", "orders:us");
        length.first().is_some_and(|point| point.value.is_none())
    };
    let last = receiver.until(gone).await;
    assert!(of(&last, "redis.stream.group.lag", "stream", "orders:us").iter().all(|p| p.value.is_none()));
    let after = receiver.next().await;
    assert!(of(&after, "redis.stream.length", "stream", "orders:us").is_empty(), "it ends once");
    assert_eq!(failures(&receiver, "no_such_key"), 0, "a stream that was found and is gone is no failure");
    receiver.stop().await;
}

#[tokio::test]
async fn a_large_keyspace_is_walked_over_several_rounds() {
    let server = Redis::start();
    let mut pipe = redis::pipe();
    for n in 0..3000 {
        pipe.cmd("SET").arg(format!("k{n}")).arg("x").ignore();
    }
    pipe.query::<()>(&mut server.connection()).unwrap();
    for n in 0..20 {
        server.fill(&format!("s{n}"), 1);
    }
    server.cli(&["config", "resetstat"]);
    let receiver = running(&server, "scan_keys: 250").await;
    receiver.next().await;
    let calls = server.info("cmdstat_scan").unwrap();
    let calls: u32 = calls.trim_start_matches("calls=").split(',').next().unwrap().parse().unwrap();
    assert!(calls < 8, "a round looks at no more keys than it may: {calls}");
    receiver.until(|points| named(points, "redis.stream.length").len() == 20).await;
    receiver.stop().await;
}

#[tokio::test]
async fn limits_on_streams_groups_and_consumers_hold_and_are_counted() {
    let server = Redis::start();
    for stream in ["a", "b", "c"] {
        server.fill(stream, 5);
        for group in ["g1", "g2", "g3"] {
            server.run::<()>(&format!("XGROUP CREATE {stream} {group} 0"));
            server.run::<redis::Value>(&format!("XREADGROUP GROUP {group} lazy COUNT 1 STREAMS {stream} >"));
            server.run::<redis::Value>(&format!("XREADGROUP GROUP {group} busy COUNT 3 STREAMS {stream} >"));
        }
    }
    let receiver = running(&server, "max_streams: 2\nmax_groups: 2\nconsumers: {max: 1}").await;
    let points = receiver.next().await;
    assert_eq!(named(&points, "redis.stream.length").len(), 2);
    assert_eq!(named(&points, "redis.stream.group.lag").len(), 4);
    let of_group =
        |name, group| of(&points, name, "group", group).iter().map(|point| point.value).collect::<Vec<_>>();
    let of_consumer = |name| {
        of(&points, "redis.stream.consumer.pending", "consumer", name)
            .iter()
            .map(|p| p.value)
            .collect::<Vec<_>>()
    };
    assert_eq!(of_consumer("busy"), [Some(3.0); 4]);
    assert_eq!(
        (of_consumer("lazy"), of_consumer("other")),
        (vec![], vec![Some(1.0); 4]),
        "the rest is one bucket"
    );
    assert_eq!(of_group("redis.stream.group.pending", "other"), [Some(4.0); 2], "so are the groups");
    assert_eq!(of_group("redis.stream.group.consumers", "other"), [Some(2.0); 2]);
    for (setting, count) in [("max_streams", 1), ("max_groups", 2), ("consumers.max", 4)] {
        assert_eq!(left_out(&receiver, setting), count, "{setting}");
    }
    receiver.stop().await;
    server.cli(&["config", "resetstat"]);
    let receiver = running(&server, "consumers: {enabled: false}").await;
    let points = receiver.next().await;
    assert!(named(&points, "redis.stream.consumer.pending").is_empty());
    assert_eq!(server.info("cmdstat_xinfo|consumers"), None, "what is off is not asked");
    receiver.stop().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_counted_whether_they_were_named_or_found() {
    let server = Redis::start();
    for stream in ["a", "b", "c", "d", "x1", "x2", "x3"] {
        server.fill(stream, 1);
    }
    for (yaml, watched, count) in [
        ("streams: [a, b, c, d]\nmax_streams: 2", vec!["a", "b"], 2),
        ("streams: [d, 'x*']\nmax_streams: 2", vec!["d", "x1"], 2),
        ("streams: [c, b, a, '*']\nmax_streams: 2", vec!["a", "b"], 1 + 4),
        ("streams: ['x*']\nmax_streams: 3", vec!["x1", "x2", "x3"], 0),
        ("scan_keys: 1\nmax_streams: 3", vec!["a", "b", "c"], 4),
    ] {
        let receiver = running(&server, yaml).await;
        let seen = |points: &[Point]| {
            let lengths = named(points, "redis.stream.length").into_iter();
            let alive: Vec<_> =
                lengths.filter(|p| p.value.is_some()).map(|p| p.attribute("stream")).collect();
            alive == watched && left_out(&receiver, "max_streams") == count
        };
        receiver.until(seen).await;
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_stream_with_large_entries_is_asked_for_its_payload_once() {
    let server = Redis::start();
    let big = "x".repeat(100_000);
    redis::cmd("XADD")
        .arg("big")
        .arg("*")
        .arg("f")
        .arg(big)
        .query::<String>(&mut server.connection())
        .unwrap();
    server.run::<()>("XGROUP CREATE big g 0");
    let receiver = running(&server, "streams: [big]").await;
    let first = receiver.next().await;
    assert_eq!(value_of(&first, "redis.stream.entries_added"), Some(1.0));
    receiver.next().await;
    server.cli(&["config", "resetstat"]);
    let later = receiver.next().await;
    assert_eq!(value_of(&later, "redis.stream.length"), Some(1.0));
    assert_eq!(lag(&later, "g"), (Some(1.0), Some(4.0)));
    assert_eq!(server.info("cmdstat_xinfo|stream"), None);
    receiver.stop().await;
}

#[tokio::test]
async fn another_database_is_read_and_told() {
    let server = Redis::start();
    let mut connection = server.connection();
    redis::cmd("SELECT").arg(3).query::<()>(&mut connection).unwrap();
    redis::cmd("XADD").arg("three").arg("*").arg("f").arg("v").query::<String>(&mut connection).unwrap();
    server.fill("zero", 1);
    let receiver = running(&server, "db: 3").await;
    let points = receiver.next().await;
    let lengths = named(&points, "redis.stream.length");
    assert_eq!(lengths.len(), 1);
    assert_eq!((lengths[0].attribute("stream"), lengths[0].attribute("db")), ("three", "3"));
    receiver.stop().await;
}

#[tokio::test]
async fn it_shares_the_connection_with_the_redis_receiver() {
    let server = Redis::start();
    server.fill("s", 1);
    let process = Host::for_test(Kind::Receiver, "test");
    let yaml = format!("endpoint: {}\ncollection_interval: 30ms\ninitial_delay: 0s\n", server.url());
    let info = Running::beside(&process, &crate::redis::FACTORY, &yaml).await;
    let streams = Running::beside(&process, &FACTORY, &yaml).await;
    info.next().await;
    streams.next().await;
    let clients = server.cli(&["client", "list"]);
    assert_eq!(clients.matches("name=streamgauge ").count(), 1, "{clients}");
    info.stop().await;
    streams.stop().await;
}

#[tokio::test]
async fn a_server_that_is_down_or_frozen_ends_no_series_and_comes_back() {
    let mut server = Redis::start();
    server.fill("s", 1);
    let receiver = running(&server, "timeout: 200ms").await;
    receiver.next().await;
    server.freeze();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while status(&receiver).state != State::Recoverable {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.thaw();
    receiver.until(has("redis.stream.length", 1.0)).await;
    server.restart();
    server.fill("s", 2);
    receiver.until(has("redis.stream.length", 2.0)).await;
    receiver.stop().await;
}

#[tokio::test]
async fn in_an_interval_everything_is_asked_for_once() {
    let server = Redis::start();
    server.fill("s", 3);
    let slow = format!("endpoint: {}\ncollection_interval: 60s\ninitial_delay: 0s", server.url());
    let receiver = Running::start(&FACTORY, &slow).await;
    receiver.until(|points| value_of(points, "redis.stream.length") == Some(3.0)).await;
    // Another one, by whose rounds time is told.
    let other = Redis::start();
    other.fill("s", 1);
    let quick = running(&other, "").await;
    for _ in 0..20 {
        quick.next().await;
    }
    assert!(receiver.rounds().is_empty());
    let calls = server.info("cmdstat_xlen").unwrap();
    assert!(calls.starts_with("calls=1,"), "{calls}");
    receiver.stop().await;
    quick.stop().await;
}
