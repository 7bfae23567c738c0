use std::time::Duration;

use streamgauge_component::{ComponentStatus, Host, Kind, State};
use streamgauge_config::Section;
use streamgauge_harness::{Redis, Valkey};

use super::*;
use crate::scrape::table::{Table as _, markdown};
use crate::scrape::testing::{Point, Running, examples_load, named, value_of};

mod detail;

const FAST: &str = "collection_interval: 30ms\ninitial_delay: 0s\nmax_server_time: unlimited\n";

async fn running(endpoint: &str, more: &str) -> Running {
    // On a busy machine an answer may take longer than one of these short intervals.
    let timeout = if more.contains("timeout: ") { "" } else { "timeout: 5s\n" };
    Running::start(&FACTORY, &format!("endpoint: {endpoint}\n{FAST}{timeout}{more}")).await
}

/// Everything switched on.
fn all_on() -> String {
    let mut yaml = "metrics:\n".to_owned();
    for name in RedisMetrics::names() {
        yaml.push_str(&format!("  {name}: {{enabled: true}}\n"));
    }
    yaml
}

/// Whether the Collector lacks it; which server tells it is tested in `detail`.
fn is_more(name: &str) -> bool {
    rows::ROWS.iter().any(|row| row.metric.name == name)
}

fn status(receiver: &Running) -> ComponentStatus {
    let mut all = receiver.host.board().components().into_iter();
    all.find(|status| status.id == "redis").unwrap()
}

fn up(value: f64) -> impl Fn(&[Point]) -> bool {
    move |points| value_of(points, "redis.up") == Some(value)
}

#[test]
fn the_readme_has_the_table_and_its_examples_load() {
    examples_load(&FACTORY);
    let table = markdown::<RedisMetrics>();
    assert!(FACTORY.description.readme.contains(&table), "put this into the README:\n{table}");
}

#[test]
fn the_defaults_are_the_collectors() {
    let config: RedisConfig = Section::from_yaml("t", "").unwrap().read().unwrap();
    assert_eq!((config.collection_interval.as_secs(), config.initial_delay.as_secs()), (10, 1));
    assert_eq!(config.timeout, Duration::ZERO);
    let on = config.metrics.enabled().into_iter().filter(|on| *on).count();
    let more = rows::ROWS.iter().filter(|row| row.metric.enabled).count();
    assert_eq!(on - more, 29 + 8, "the Collector's 29, redis.up, redis.errors and redis.collector.*");
    assert_eq!(RedisMetrics::names().len() - rows::ROWS.len(), 58 + 8);
}

#[test]
fn what_is_wrong_in_a_section_is_said_at_its_place_and_without_the_password() {
    for (yaml, place) in [
        ("{}", "endpoint"),
        ("endpoint: redis://u:hunter2@h\nusername: v", "username"),
        ("endpoint: h\ncollection_interval: 0s", "collection_interval"),
        ("endpoint: h\nmetrics: {redis.uptim: {enabled: true}}", "redis.uptime"),
        ("endpoint: h\nmetrics: {redis.uptime: {enable: true}}", "enabled"),
        ("endpoint: h\ntls: {cert_file: a}", "cert_file"),
        ("endpoint: redis://h\ntls: {ca_file: a}", "tls"),
        ("endpoint: h\nfoo: 1", "foo"),
    ] {
        let diagnostics = (FACTORY.config.read)(&Section::from_yaml("test", yaml).unwrap()).unwrap_err();
        let text = format!("{diagnostics:?}");
        assert!(text.contains(place) && !text.contains("hunter2"), "{yaml}: {text}");
    }
}

#[tokio::test]
async fn every_metric_that_is_on_by_default_is_what_info_says() {
    for server in [Redis::start(), Valkey::start()] {
        server.run::<()>("SET k v EX 1000");
        server.run::<()>("SET k2 v");
        server.run::<Option<String>>("GET missing");
        let _ = redis::cmd("NOSUCHCOMMAND").query::<()>(&mut server.connection());
        let receiver = running(&server.url(), "").await;
        let points = receiver.next().await;
        receiver.stop().await;
        let valkey = server.info("server_name").is_some();
        let missing: Vec<_> = RedisMetrics::metrics()
            .filter(|metric| metric.enabled && named(&points, metric.name).is_empty())
            .map(|metric| metric.name)
            .filter(|name| !["redis.collector.shed", "redis.collector.refused"].contains(name))
            .filter(|name| !is_more(name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}, valkey {valkey}");
        for (name, field) in [
            ("redis.keyspace.misses", "keyspace_misses"),
            ("redis.keys.expired", "expired_keys"),
            ("redis.connections.rejected", "rejected_connections"),
            ("redis.clients.blocked", "blocked_clients"),
            ("redis.rdb.changes_since_last_save", "rdb_changes_since_last_save"),
        ] {
            let info: f64 = server.info(field).unwrap().parse().unwrap();
            assert_eq!(value_of(&points, name), Some(info), "{name}");
        }
        assert_eq!(named(&points, "redis.db.keys")[0].attribute("db"), "0");
        assert_eq!(value_of(&points, "redis.db.keys"), Some(2.0));
        assert_eq!(value_of(&points, "redis.db.expires"), Some(1.0));
        let errors = named(&points, "redis.errors");
        assert!(errors.iter().any(|point| point.attribute("error") == "ERR" && point.value >= Some(1.0)));
        assert_eq!(named(&points, "redis.cpu.time").len(), 6);
        let version = if valkey { server.info("valkey_version") } else { server.info("redis_version") };
        assert_eq!(points[0].resource.get("redis.version"), version.as_ref());
        assert_eq!(points[0].resource["server.address"], "127.0.0.1");
        assert_eq!(points[0].resource["server.port"], server.port().to_string());
        assert_eq!(points[0].resource["server.name"], if valkey { "valkey" } else { "redis" });
        assert_eq!(points[0].resource["redis.mode"], "standalone");
        assert_eq!(points[0].resource["redis.role"], "primary");
        assert_eq!(points[0].resource.len(), 6);
        for metric in RedisMetrics::metrics() {
            for point in named(&points, metric.name) {
                assert_eq!(point.unit, metric.unit);
                let keys: Vec<_> = point.attributes.keys().map(String::as_str).collect();
                let mut declared = metric.attributes.to_vec();
                declared.sort_unstable();
                assert_eq!(keys, declared);
                assert_eq!(point.kind != "gauge", point.start > 0, "sums have a start: {point:?}");
            }
        }
        let uptime = &named(&points, "redis.uptime")[0];
        let seconds = (uptime.time - uptime.start) / 1_000_000_000;
        assert_eq!(uptime.value, Some(seconds as f64), "counters count from the server's start");
    }
}

#[tokio::test]
async fn what_is_off_by_default_can_be_switched_on() {
    let server = Redis::builder().config("cluster-enabled yes").start();
    let receiver = running(&server.url(), &all_on()).await;
    let points = receiver.until(|points| !named(points, "redis.cmd.latency").is_empty()).await;
    receiver.stop().await;
    let missing: Vec<_> = RedisMetrics::names()
        .iter()
        .filter(|name| named(&points, name).is_empty() && !is_more(name))
        .copied()
        .collect();
    let elsewhere = [
        "redis.db.keys",
        "redis.db.expires",
        "redis.db.avg_ttl",
        "redis.replication.replica_offset",
        "redis.collector.shed",
        "redis.collector.refused",
    ];
    assert!(
        missing.iter().all(|name| name.starts_with("redis.sentinel.") || elsewhere.contains(name)),
        "{missing:?}"
    );
    assert_eq!(named(&points, "redis.cluster.state")[0].attribute("cluster_state"), "fail");
    assert_eq!(value_of(&points, "redis.cluster.cluster_enabled"), Some(1.0));
    assert_eq!(named(&points, "redis.role")[0].attribute("role"), "primary");
    assert_eq!(named(&points, "redis.mode")[0].attribute("mode"), "cluster");
    let percentiles: Vec<_> = named(&points, "redis.cmd.latency")
        .iter()
        .map(|p| p.attribute("percentile").to_owned())
        .take(3)
        .collect();
    assert_eq!(percentiles, ["p50", "p99", "p99.9"]);
}

#[tokio::test]
async fn two_servers_are_two_resources_unless_address_and_port_are_switched_off() {
    let (one, two) = (Redis::start(), Redis::builder().unix_socket().start());
    let socket = two.socket().display().to_string();
    let version = one.info("redis_version").unwrap();
    let off = "resource_attributes: {server.address: {enabled: false}, server.port: {enabled: false}}";
    for (endpoint, more, wanted) in [
        (
            one.url(),
            "",
            vec![("server.address", "127.0.0.1".into()), ("server.port", one.port().to_string())],
        ),
        (
            two.url(),
            "",
            vec![("server.address", "127.0.0.1".into()), ("server.port", two.port().to_string())],
        ),
        (format!("unix://{socket}"), "", vec![("server.address", socket.clone())]),
        (one.url(), off, vec![]),
    ] {
        for factory in [&FACTORY, &crate::redis_stream_metrics::FACTORY] {
            let yaml = format!("endpoint: {endpoint}\n{FAST}{more}");
            one.fill("s", 1);
            two.fill("s", 1);
            let receiver = Running::start(factory, &yaml).await;
            let points = receiver.next().await;
            receiver.stop().await;
            let mut wanted = wanted.clone();
            wanted.push(("redis.version", version.clone()));
            for (key, value) in
                [("server.name", "redis"), ("redis.mode", "standalone"), ("redis.role", "primary")]
            {
                wanted.push((key, value.to_owned()));
            }
            let wanted = wanted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            assert_eq!(points[0].resource, wanted, "{} {yaml}", factory.description.name);
        }
    }
}

#[tokio::test]
async fn a_metric_can_be_switched_off() {
    let server = Redis::start();
    let receiver = running(&server.url(), "metrics: {redis.uptime: {enabled: false}}").await;
    let points = receiver.next().await;
    receiver.stop().await;
    assert!(named(&points, "redis.uptime").is_empty() && !named(&points, "redis.memory.used").is_empty());
}

#[tokio::test]
async fn a_restart_and_a_resetstat_are_resets_of_the_counters_they_set_back() {
    let mut server = Redis::start();
    for _ in 0..50 {
        server.run::<()>("PING");
    }
    let receiver = running(&server.url(), "").await;
    let counter = |points: &[Point], name| named(points, name)[0].clone();
    let first = receiver.next().await;
    let processed = counter(&first, "redis.commands.processed");
    server.cli(&["config", "resetstat"]);
    let fell = |points: &[Point]| {
        value_of(points, "redis.commands.processed").is_some_and(|value| Some(value) < processed.value)
    };
    let after = receiver.until(fell).await;
    let reset = counter(&after, "redis.commands.processed");
    assert!(reset.start >= processed.time && reset.start < reset.time, "{processed:?} {reset:?}");
    assert_eq!(counter(&after, "redis.uptime").start, counter(&first, "redis.uptime").start);
    assert_eq!(counter(&after, "redis.net.input").start, reset.start);
    let calm = receiver.next().await;
    assert_eq!(counter(&calm, "redis.commands.processed").start, reset.start, "one reset is one reset");

    server.restart();
    let started = |points: &[Point]| named(points, "redis.uptime").iter().any(|p| p.start > reset.start);
    let after = receiver.until(started).await;
    assert!(counter(&after, "redis.commands.processed").start > reset.start);
    receiver.stop().await;
}

#[tokio::test]
async fn a_server_that_is_down_is_up_0_and_nothing_else_and_comes_back() {
    let mut server = Redis::start();
    server.run::<()>("SET k v");
    let receiver = running(&server.url(), "").await;
    receiver.until(up(1.0)).await;
    server.stop();
    let down = receiver.until(up(0.0)).await;
    assert_eq!(down.len(), 1, "no number is invented and no series ends: {down:?}");
    let seen = status(&receiver);
    assert_eq!(seen.state, State::Recoverable);
    assert!(seen.message.unwrap().contains(&server.addr()));
    server.start_again();
    let back = receiver.until(up(1.0)).await;
    let ended = named(&back, "redis.db.keys");
    assert_eq!((ended.len(), ended[0].value), (1, None), "the empty server has no db0 any more");
    assert_eq!(status(&receiver).state, State::Ok);
    receiver.stop().await;
}

#[tokio::test]
async fn down_before_the_version_is_known_ends_when_it_is_known_and_down_after_stays_with_the_version() {
    let mut server = Redis::start();
    let version = server.info("redis_version").unwrap();
    let url = server.url();
    server.stop();
    let receiver = running(&url, "").await;
    let down = receiver.until(up(0.0)).await;
    assert_eq!((down.len(), down[0].resource.get("redis.version")), (1, None));
    assert_eq!(down[0].resource["server.port"], server.port().to_string());

    server.start_again();
    let first = receiver.until(up(1.0)).await;
    let state = |points: &[Point]| -> Vec<_> {
        let up = named(points, "redis.up").into_iter();
        up.map(|p| (p.resource.get("redis.version").cloned(), p.value)).collect()
    };
    assert_eq!(state(&first), [(None, None), (Some(version.clone()), Some(1.0))], "the old series ends");
    assert!(first.iter().filter(|p| p.resource.len() < 3).all(|p| p.name == "redis.up"));
    assert_eq!(state(&receiver.next().await), [(Some(version.clone()), Some(1.0))], "and ends once");

    server.stop();
    let again = receiver.until(up(0.0)).await;
    assert_eq!((again.len(), state(&again)), (1, vec![(Some(version.clone()), Some(0.0))]));
    server.start_again();
    assert_eq!(state(&receiver.until(up(1.0)).await), [(Some(version), Some(1.0))], "nothing has ended");
    receiver.stop().await;
}

#[tokio::test]
async fn a_frozen_server_is_down_after_the_timeout_and_stopping_does_not_wait_for_it() {
    let server = Redis::start();
    let receiver = running(&server.url(), "timeout: 100ms").await;
    receiver.until(up(1.0)).await;
    server.freeze();
    let begin = std::time::Instant::now();
    receiver.until(up(0.0)).await;
    assert!(begin.elapsed() < Duration::from_secs(2));
    let begin = std::time::Instant::now();
    receiver.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    server.thaw();
}

#[tokio::test]
async fn tls_user_and_socket_are_taken_from_the_section() {
    let server =
        Redis::builder().tls().unix_socket().user("monitor on >hunter2 -@all +info +client|setname").start();
    let ca = server.certs().ca.display().to_string();
    for yaml in [
        format!(
            "endpoint: {}\ntls: {{ca_file: {ca}}}\nusername: monitor\npassword: hunter2",
            server.tls_addr()
        ),
        format!(
            "endpoint: rediss://monitor:hunter2@{}\ntls: {{insecure_skip_verify: true}}",
            server.tls_addr()
        ),
        format!("endpoint: {}\ntransport: unix", server.socket().display()),
        format!("endpoint: unix://{}", server.socket().display()),
        format!("endpoint: {}\ntls: {{insecure: true}}", server.addr()),
    ] {
        let receiver = Running::start(&FACTORY, &format!("{yaml}\n{FAST}")).await;
        // A handshake on a busy machine may take longer than one of these short rounds.
        receiver.until(up(1.0)).await;
        receiver.stop().await;
    }
}

#[tokio::test]
async fn two_receivers_of_one_server_and_user_share_a_connection() {
    let server = Redis::start();
    let process = Host::for_test(Kind::Receiver, "test");
    let yaml = format!("endpoint: {}\n{FAST}timeout: 5s", server.url());
    let one = Running::beside(&process, &FACTORY, &yaml).await;
    let two = Running::beside(&process, &FACTORY, &yaml).await;
    for _ in 0..5 {
        one.next().await;
        two.next().await;
        let clients = server.cli(&["client", "list"]);
        assert_eq!(clients.matches("name=streamgauge ").count(), 1, "{clients}");
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_round_is_one_info_and_one_ping_and_nothing_else() {
    let server = Redis::start();
    let receiver = running(&server.url(), "").await;
    receiver.next().await;
    server.cli(&["config", "resetstat"]);
    for _ in 0..5 {
        receiver.next().await;
    }
    receiver.stop().await;
    let text = server.cli(&["info", "commandstats"]);
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("cmdstat_")).collect();
    let info = commands.iter().find_map(|line| line.strip_prefix("info:calls=")).unwrap();
    let calls: u32 = info.split(',').next().unwrap().parse().unwrap();
    assert!((5..40).contains(&calls), "{text}");
    let ours = ["info:", "ping:", "config|resetstat:"];
    assert!(commands.iter().all(|line| ours.iter().any(|name| line.starts_with(name))), "{text}");
}
