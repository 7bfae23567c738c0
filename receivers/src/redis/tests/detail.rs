//! What the Collector's receiver lacks, on every server that is here.

use std::time::{Duration, Instant};

use streamgauge_harness::{Cluster, Redis, SentinelSet, Server};
use streamgauge_redis::Info;

use super::super::metrics::{ROWS, Source};
use super::super::unknown;
use super::{FACTORY, all_on, running};
use crate::scrape::testing::{Point, Running, named, value_of};

/// What only `redis.info.field` tells, of Redis 8 and Valkey.
const GENERIC: [&str; 10] = [
    "mem_replicas_repl_buffer",
    "clients_hz",
    "engines_count",
    "engines_total_used_memory",
    "engines_total_memory_overhead",
    "mem_clients_normal_shared",
    "mem_clients_normal_unshared",
    "mem_cluster_slot_migration_input_buffer_peak",
    "backup_in_progress",
    "avg_pipeline_length",
];

async fn alone(server: &Redis, more: &str) -> Running {
    running(&server.url(), &format!("topology: single\n{more}")).await
}

fn on(names: &[&str]) -> String {
    let toggles: String = names.iter().map(|name| format!("  {name}: {{enabled: true}}\n")).collect();
    format!("metrics:\n{toggles}")
}

fn with<'a>(points: &'a [Point], name: &str, key: &str, value: &str) -> Option<&'a Point> {
    named(points, name).into_iter().find(|point| point.attribute(key) == value)
}

#[tokio::test]
async fn every_number_that_a_server_tells_has_its_metric_and_none_is_invented() {
    for server in Server::matrix() {
        let (name, has_debug) = (server.name, server.version() >= (7, 2));
        let server = server.builder().config("appendonly yes").start();
        server.run::<()>("SET k v EX 1000");
        let receiver = alone(&server, &all_on()).await;
        let points = receiver.until(|points| value_of(points, "redis.up") == Some(1.0)).await;
        receiver.stop().await;
        let sections =
            if has_debug { vec!["info", "everything", "debug"] } else { vec!["info", "everything"] };
        let text = server.cli(&sections);
        let info = Info::parse(&text);
        let mut seen = 0;
        for row in ROWS.iter() {
            let there = match row.source {
                Source::Int(field) => info.int(field).is_some(),
                Source::Double(field) | Source::Scaled(field, _) => info.double(field).is_some(),
                Source::Is(field, _) => info.text(field).is_some(),
                Source::Several(fields, _) => fields.iter().any(|(field, _)| info.double(field).is_some()),
                _ => continue,
            };
            let points = named(&points, row.metric.name);
            assert_eq!(!points.is_empty(), there, "{} on {name}", row.metric.name);
            seen += points.len();
        }
        assert!(seen > 100, "{seen} on {name}");
        let new: Vec<_> =
            unknown::fields(&info).map(|(_, f, _)| f).filter(|f| !GENERIC.contains(&f.as_str())).collect();
        assert!(new.is_empty(), "{name} tells what no metric has: {new:?}");
    }
}

#[tokio::test]
async fn the_link_to_a_replica_is_seen_from_both_ends() {
    for server in Server::matrix() {
        let name = server.name;
        let (primary, replica) = (server.start(), server.start());
        let seen = alone(&primary, "").await;
        replica.cli(&["replicaof", "127.0.0.1", &primary.port().to_string()]);
        let address = format!("127.0.0.1:{}", replica.port());
        let points = seen
            .until(|points| {
                with(points, "redis.replication.replica.lag_time", "replica", &address).is_some()
                    && value_of(points, "redis.replication.replica.lag") == Some(0.0)
            })
            .await;
        assert!(value_of(&points, "redis.replication.sync.full") >= Some(1.0), "{name}");
        primary.run::<()>("SET k v");
        let points = seen.until(|points| value_of(points, "redis.replication.backlog.time").is_some()).await;
        assert!(value_of(&points, "redis.replication.backlog.time") > Some(0.0), "{name}");
        seen.stop().await;

        let seen = alone(&replica, "").await;
        seen.until(|points| value_of(points, "redis.replication.link.up") == Some(1.0)).await;
        drop(primary);
        let points = seen.until(|points| value_of(points, "redis.replication.link.up") == Some(0.0)).await;
        assert!(value_of(&points, "redis.replication.link.down_time") >= Some(0.0), "{name}");
        seen.stop().await;
    }
}

#[tokio::test]
async fn a_commands_histogram_has_all_its_calls_in_buckets_where_the_server_keeps_them() {
    for server in Server::matrix() {
        let (name, version) = (server.name, server.version());
        let server = server.start();
        for _ in 0..20 {
            server.run::<()>("SET k v");
        }
        let receiver = alone(&server, &on(&["redis.cmd.duration", "redis.cmd.calls"])).await;
        let points = receiver.next().await;
        receiver.stop().await;
        let histogram = with(&points, "redis.cmd.duration", "cmd", "set");
        if version < (7, 0) {
            assert!(histogram.is_none(), "{name}");
            continue;
        }
        let histogram = histogram.unwrap_or_else(|| panic!("{name}: {points:?}"));
        assert_eq!((histogram.value, histogram.unit.as_str()), (Some(20.0), "ns"), "{name}");
        assert_eq!(with(&points, "redis.cmd.calls", "cmd", "set").unwrap().value, Some(20.0));
        assert!(histogram.start > 0, "{name}");
    }
}

#[tokio::test]
async fn a_spike_is_told_with_its_length_and_time() {
    for server in Server::matrix() {
        let name = server.name;
        let server = server.builder().config("latency-monitor-threshold 5").start();
        server.run::<()>("DEBUG SLEEP 0.02");
        let names = ["redis.latency.event.last", "redis.latency.event.max", "redis.latency.event.time"];
        let receiver = alone(&server, &on(&names)).await;
        let points = receiver.until(|points| !named(points, names[2]).is_empty()).await;
        receiver.stop().await;
        for name in &names[..2] {
            let seconds = with(&points, name, "event", "command").unwrap().value.unwrap();
            assert!((0.02..1.0).contains(&seconds), "{seconds} {name}");
        }
        assert!(with(&points, names[2], "event", "command").unwrap().value > Some(1.6e9), "{name}");
    }
}

#[tokio::test]
async fn sizes_of_keys_are_histograms_of_the_moment_where_the_server_keeps_them() {
    let Some(server) = Server::find("redis-8") else { return };
    let server = server.start();
    server.run::<()>("RPUSH l a b c");
    server.run::<()>("RPUSH l2 a");
    server.run::<()>("SET s 0123456789");
    let receiver = alone(&server, &on(&["redis.db.key.size", "redis.db.key.items"])).await;
    let points = receiver.next().await;
    let lists = with(&points, "redis.db.key.items", "type", "lists").unwrap();
    assert_eq!((lists.value, lists.attribute("db"), lists.start), (Some(2.0), "0", lists.time));
    assert_eq!(with(&points, "redis.db.key.size", "type", "strings").unwrap().value, Some(1.0));
    server.run::<()>("DEL l");
    receiver
        .until(|points| with(points, "redis.db.key.items", "type", "lists").unwrap().value == Some(1.0))
        .await;
    receiver.stop().await;
}

#[tokio::test]
async fn clients_are_added_up_by_user_name_and_library_and_none_is_missed_or_kept() {
    for server in Server::matrix() {
        let name = server.name;
        let server = server.start();
        let mut web: Vec<_> = (0..250).map(|_| named_client(&server, "web")).collect();
        let job = named_client(&server, "job");
        let metrics = [
            "redis.client.count",
            "redis.client.idle_time",
            "redis.client.age",
            "redis.client.memory",
            "redis.client.observed",
        ];
        let receiver = alone(&server, &on(&metrics)).await;
        let counted = |name: &'static str, count: f64| {
            move |points: &[Point]| {
                with(points, "redis.client.count", "name", name).and_then(|point| point.value) == Some(count)
            }
        };
        let points = receiver.until(counted("web", 250.0)).await;
        let point = |metric| with(&points, metric, "name", "web").unwrap();
        assert_eq!(point("redis.client.count").attribute("user"), "default", "{name}");
        assert_eq!(
            (point("redis.client.idle_time").value, point("redis.client.age").value),
            (Some(250.0), Some(250.0))
        );
        assert!(point("redis.client.memory").value > Some(250.0 * 1000.0), "{name}");
        receiver.until(counted("job", 1.0)).await;
        receiver.until(|points| value_of(points, "redis.client.observed") == Some(252.0)).await;
        drop(job);
        web.truncate(30);
        receiver.until(counted("web", 30.0)).await;
        receiver.until(|points| with(points, "redis.client.count", "name", "job").is_none()).await;
        web.extend((0..10).map(|_| named_client(&server, "web")));
        receiver.until(counted("web", 40.0)).await;
        receiver.stop().await;
    }
}

#[tokio::test]
async fn clients_that_the_budget_left_are_looked_for_before_the_next_round() {
    let server = Redis::start();
    let clients: Vec<_> = (0..1800).map(|_| std::net::TcpStream::connect(server.addr()).unwrap()).collect();
    let pages = || {
        let stats = server.cli(&["info", "commandstats"]);
        let info = Info::parse(&stats);
        let calls = info.field("cmdstat_client|list").and_then(|line| line.member("calls")?.parse().ok());
        calls.unwrap_or(0)
    };
    // 0.3 ms a second pay for a page of a hundred clients, what is saved at the start for thirteen.
    let rare = "topology: single\ncollection_interval: 20s\ninitial_delay: 0s\nmax_server_time: 0.03%\n";
    let receiver = Running::start(
        &FACTORY,
        &format!("endpoint: {}\n{rare}{}", server.url(), on(&["redis.client.observed"])),
    )
    .await;
    let observed = value_of(&receiver.next().await, "redis.client.observed");
    assert!(observed > Some(0.0) && observed < Some(1800.0), "{observed:?} fit into the first round");
    let begin = Instant::now();
    while pages() < 1800 / 100 {
        assert!(begin.elapsed() < Duration::from_secs(17), "{} pages were read", pages());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    receiver.stop().await;
    drop(clients);
}

fn named_client(server: &Redis, name: &str) -> redis::Connection {
    let mut connection = server.connection();
    redis::cmd("CLIENT").arg("SETNAME").arg(name).exec(&mut connection).unwrap();
    connection
}

#[tokio::test]
async fn settings_are_told_without_those_that_hold_a_secret() {
    for server in Server::matrix() {
        let name = server.name;
        let server = server.builder().config("maxmemory 123mb").config("masterauth hunter2").start();
        let names = ["redis.config.value", "redis.config.text", "redis.config.client_output_buffer_limit"];
        let receiver = alone(&server, &on(&names)).await;
        let points = receiver.next().await;
        receiver.stop().await;
        let value = |setting| with(&points, "redis.config.value", "setting", setting).and_then(|p| p.value);
        assert_eq!(
            (value("maxmemory"), value("appendonly")),
            (Some(123.0 * 1024.0 * 1024.0), Some(0.0)),
            "{name}"
        );
        let policy = with(&points, "redis.config.text", "setting", "maxmemory-policy").unwrap();
        assert_eq!(policy.attribute("value"), "noeviction");
        let limit = named(&points, names[2])
            .into_iter()
            .find(|point| (point.attribute("class"), point.attribute("limit")) == ("replica", "hard"));
        assert_eq!(limit.unwrap().value, Some(256.0 * 1024.0 * 1024.0), "{name}");
        assert!(!format!("{points:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn databases_beyond_the_limit_are_one_other_that_adds_up() {
    let server = Redis::start();
    for db in 0..6 {
        server.cli(&["-n", &db.to_string(), "set", "k", "v"]);
    }
    let receiver = alone(&server, "cardinality_limit: 4").await;
    let points = receiver.next().await;
    receiver.stop().await;
    let keys = named(&points, "redis.db.keys");
    assert_eq!(keys.len(), 5);
    assert_eq!(keys.iter().filter_map(|point| point.value).sum::<f64>(), 6.0);
    assert_eq!(with(&points, "redis.db.keys", "db", "other").unwrap().value, Some(2.0));
}

#[tokio::test]
async fn the_main_threads_time_is_told_by_what_it_went_to_and_adds_up() {
    for server in Server::matrix() {
        let (name, version) = (server.name, server.version());
        let server = server.start();
        let receiver = alone(&server, "").await;
        receiver.until(|points| !named(points, "redis.main_thread.share").is_empty()).await;
        server.run::<()>("DEBUG SLEEP 0.3");
        let share = |points: &[Point], activity| {
            with(points, "redis.main_thread.share", "activity", activity).and_then(|point| point.value)
        };
        let points = receiver.until(|points| share(points, "commands") > Some(0.5)).await;
        let all = ["commands", "io", "aof", "timers", "idle"].map(|activity| share(&points, activity));
        if version >= (7, 2) {
            let sum: f64 = all.iter().map(|share| share.unwrap()).sum();
            assert!((sum - 1.0).abs() < 0.05, "{name}: {all:?}");
        } else {
            assert_eq!(all[1..], [None; 4], "{name}");
        }
        server.cli(&["bgsave"]);
        let cause = |points: &[Point], cause| {
            with(points, "redis.main_thread.cause.share", "cause", cause).and_then(|point| point.value)
        };
        let points = receiver.until(|points| cause(points, "fork") > Some(0.0)).await;
        assert!(
            cause(&points, "monitoring") >= Some(0.0) && cause(&points, "monitoring") < Some(0.5),
            "{name}"
        );
        let trip = receiver.until(|points| value_of(points, "redis.round_trip").is_some()).await;
        assert!(value_of(&trip, "redis.round_trip").is_some_and(|s| s > 0.0 && s < 1.0), "{name}");
        // What is set back is no time spent.
        server.cli(&["config", "resetstat"]);
        for _ in 0..3 {
            let points = receiver.next().await;
            let all = named(&points, "redis.main_thread.share");
            assert!(all.iter().all(|p| p.value.is_none_or(|v| (0.0..=1.0).contains(&v))), "{name}: {all:?}");
        }
        receiver.stop().await;
    }
}

#[tokio::test]
async fn while_a_child_writes_the_data_only_the_basic_set_and_what_explains_it_is_asked_for() {
    for server in Server::matrix() {
        let name = server.name;
        let server = server.builder().config("rdb-key-save-delay 500000").start();
        server.run::<()>("MSET a 1 b 2 c 3");
        let names = ["redis.latency.event.last", "redis.config.value"];
        let more = format!("{}custom_metrics: [{{name: app.keys, command: DBSIZE}}]", on(&names));
        let receiver = alone(&server, &more).await;
        receiver.until(|points| value_of(points, "redis.collector.resting") == Some(0.0)).await;
        server.cli(&["bgsave"]);
        receiver.until(|points| value_of(points, "redis.collector.resting") == Some(1.0)).await;
        let calls = || server.info("cmdstat_latency|latest").or(server.info("cmdstat_latency"));
        let _ = receiver.rounds();
        receiver.next().await;
        let before = calls();
        let points = receiver.next().await;
        assert_eq!(calls(), before, "{name}: it can wait");
        assert_eq!(value_of(&points, "app.keys"), Some(3.0), "what somebody declares does not wait");
        assert!(!named(&points, "redis.uptime").is_empty());
        assert!(with(&points, "redis.collector.shed", "cmd", "latency|latest").is_some(), "{name}");
        receiver.until(|points| value_of(points, "redis.collector.resting") == Some(0.0)).await;
        receiver.until(|_| calls() != before).await;
        receiver.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_tells_its_masters_and_what_it_thinks_of_them() {
    for server in Server::matrix() {
        let name = server.name;
        let mut set = SentinelSet::start(&server);
        let receiver = alone(&set.sentinels[0], &all_on()).await;
        let points = receiver.until(|points| value_of(points, "redis.up") == Some(1.0)).await;
        let one =
            |points: &[Point], metric: &str| with(points, metric, "master", "main").and_then(|p| p.value);
        assert_eq!(one(&points, "redis.sentinel.master.ok"), Some(1.0), "{name}");
        assert_eq!(one(&points, "redis.sentinel.master.replicas"), Some(2.0), "{name}");
        assert_eq!(one(&points, "redis.sentinel.master.sentinels"), Some(3.0), "{name}");
        assert_eq!(with(&points, "redis.sentinel.master.status", "status", "ok").unwrap().value, Some(1.0));
        for (metric, value) in [
            ("redis.sentinel.masters", 1.0),
            ("redis.sentinel.tilt", 0.0),
            ("redis.sentinel.running_scripts", 0.0),
            ("redis.sentinel.scripts_queue_length", 0.0),
            ("redis.sentinel.simulate_failure_flags", 0.0),
        ] {
            assert_eq!(value_of(&points, metric), Some(value), "{metric} on {name}");
        }
        assert_eq!(with(&points, "redis.mode", "mode", "sentinel").unwrap().value, Some(1.0), "{name}");
        // Alone it may not replace the master.
        set.sentinels[1].stop();
        set.sentinels[2].stop();
        set.servers[0].stop();
        let points = receiver.until(|points| one(points, "redis.sentinel.master.ok") == Some(0.0)).await;
        let down = with(&points, "redis.sentinel.master.status", "status", "sdown");
        assert_eq!(down.and_then(|point| point.value), Some(1.0), "{name}");
        receiver.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_tells_its_slots_and_its_neighbours() {
    for server in Server::matrix() {
        let name = server.name;
        let cluster = Cluster::start(&server);
        let receiver = alone(&cluster.nodes[0], &all_on()).await;
        let is_told = |points: &[Point]| value_of(points, "redis.cluster.slots_ok") == Some(16384.0);
        let points = receiver.until(is_told).await;
        for (metric, value) in [
            ("redis.cluster.cluster_enabled", 1.0),
            ("redis.cluster.slots_assigned", 16384.0),
            ("redis.cluster.slots_pfail", 0.0),
            ("redis.cluster.slots_fail", 0.0),
            ("redis.cluster.known_nodes", 6.0),
            ("redis.cluster.node.count", 3.0),
        ] {
            assert_eq!(value_of(&points, metric), Some(value), "{metric} on {name}");
        }
        assert_eq!(with(&points, "redis.cluster.state", "cluster_state", "ok").unwrap().value, Some(1.0));
        for metric in ["redis.cluster.stats_messages_sent", "redis.cluster.stats_messages_received"] {
            assert!(value_of(&points, metric) > Some(0.0), "{metric} on {name}");
        }
        assert_eq!(points[0].resource["redis.mode"], "cluster");
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_process_is_told_apart_and_a_replica_names_its_primary() {
    for server in Server::matrix() {
        let name = server.name;
        let (primary, replica) = (server.start(), server.start());
        replica.cli(&["replicaof", "127.0.0.1", &primary.port().to_string()]);
        let seen =
            alone(&replica, &on(&["redis.replication.link.offset", "redis.replication.link.info"])).await;
        let points = seen.until(|points| value_of(points, "redis.replication.link.up") == Some(1.0)).await;
        let address = format!("127.0.0.1:{}", primary.port());
        for metric in ["up", "offset", "info", "sync_in_progress"] {
            let metric = format!("redis.replication.link.{metric}");
            assert!(with(&points, &metric, "primary", &address).is_some(), "{metric} on {name}");
        }
        let instance = named(&points, "redis.instance")[0];
        assert_eq!(instance.attribute("role"), "replica");
        for (attribute, field) in
            [("run_id", "run_id"), ("tcp_port", "tcp_port"), ("maxmemory_policy", "maxmemory_policy")]
        {
            assert_eq!(
                Some(instance.attribute(attribute)),
                replica.info(field).as_deref(),
                "{field} on {name}"
            );
        }
        assert_eq!(instance.attribute("valkey_version").is_empty(), !server.is_valkey(), "{name}");
        seen.stop().await;
    }
}

#[tokio::test]
async fn how_full_memory_and_connections_are_is_told_where_there_is_a_limit() {
    for server in Server::matrix() {
        let name = server.name;
        let server = server.builder().config("maxclients 10").start();
        let mut clients: Vec<_> = Vec::new();
        let receiver = alone(&server, "").await;
        let points = receiver.next().await;
        assert!(named(&points, "redis.maxmemory.utilization").is_empty(), "no limit, no share: {name}");
        let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
        server.cli(&["config", "set", "maxmemory", &(used * 2).to_string()]);
        let half = |points: &[Point]| {
            value_of(points, "redis.maxmemory.utilization").is_some_and(|v| (v - 0.5).abs() < 0.2)
        };
        receiver.until(half).await;
        while clients.len() < 7 {
            clients.push(server.connection());
        }
        // Seven, and the receiver.
        receiver.until(|points| value_of(points, "redis.clients.utilization") == Some(0.8)).await;
        receiver.stop().await;
    }
}
