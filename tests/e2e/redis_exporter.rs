//! In the place of redis_exporter: its variables in, its metrics out, read by a real Prometheus.

use std::io::Write as _;
use std::process::{Command, Stdio};

use streamgauge_harness::{Cluster, Collector, Prometheus, Redis, Server, free_port, http, poll_until};

use crate::support::{SOON, binary};

/// A collector that was told nothing but redis_exporter's variables.
struct Exporter {
    collector: Collector,
    target: String,
}

impl Exporter {
    #[track_caller]
    fn start(redis: &Redis, more: &[(&str, &str)]) -> Exporter {
        let target = format!("127.0.0.1:{}", free_port());
        let addr = redis.addr();
        let own = [("REDIS_ADDR", addr.as_str()), ("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", &target)];
        let builder =
            own.iter().chain(more).fold(binary(), |builder, (name, value)| builder.env(name, value));
        let mut collector = builder.start();
        collector.wait_for_ok(&format!("http://{target}/metrics"), SOON);
        Exporter { collector, target }
    }
}

fn prometheus(exporters: &[&Exporter]) -> Prometheus {
    let targets: Vec<_> = exporters.iter().map(|exporter| format!("'{}'", exporter.target)).collect();
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs: [{{job_name: redis, static_configs: [{{targets: [{}]}}]}}]
",
        targets.join(", ")
    );
    Prometheus::builder().config(&config).start()
}

/// Each metric that Grafana's dashboard 763, redis-mixin and the community's alert rules ask for.
const ASKED: &[&str] = &[
    // 763
    "redis_uptime_in_seconds",
    "redis_connected_clients",
    "redis_memory_used_bytes",
    "redis_memory_max_bytes",
    "redis_commands_total",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
    "redis_net_input_bytes_total",
    "redis_net_output_bytes_total",
    "redis_db_keys",
    "redis_db_keys_expiring",
    "redis_expired_keys_total",
    "redis_evicted_keys_total",
    "redis_blocked_clients",
    "redis_commands_duration_seconds_total",
    // redis-mixin
    "redis_up",
    "redis_memory_used_rss_bytes",
    "redis_connected_slaves",
    "redis_master_last_io_seconds_ago",
    "redis_total_system_memory_bytes",
    "redis_cluster_slots_fail",
    "redis_cluster_slots_pfail",
    "redis_cluster_state",
    // awesome-prometheus-alerts
    "redis_instance_info",
    "redis_master_link_up",
    "redis_config_maxclients",
    "redis_rejected_connections_total",
    "redis_rdb_last_save_timestamp_seconds",
];

#[test]
fn every_metric_that_known_dashboards_and_alerts_ask_for_has_data() {
    let primary = Redis::builder().config("maxmemory 100mb").start();
    primary.run::<()>("SET k v EX 1000");
    let replica = Redis::builder().config(&format!("replicaof 127.0.0.1 {}", primary.port())).start();
    let node = Redis::builder()
        .config("cluster-enabled yes")
        .config(&format!("cluster-port {}", free_port()))
        .start();
    node.run::<()>("CLUSTER ADDSLOTSRANGE 0 16383");
    let exporters = [&primary, &replica, &node].map(|redis| Exporter::start(redis, &[]));
    let prometheus = prometheus(&exporters.each_ref());
    for name in ASKED {
        prometheus.wait_for(name, SOON);
    }
    for (query, expected) in [
        (r#"count(redis_instance_info{role="master"})"#, 2.0),
        (r#"count(redis_instance_info{role="slave"})"#, 1.0),
        (r#"sum(redis_commands_total{cmd="set"}) > bool 0"#, 1.0),
        (r#"max(redis_db_keys_expiring{db="db0"})"#, 1.0),
        ("max(redis_memory_max_bytes)", 104_857_600.0),
        ("max(redis_connected_slaves)", 1.0),
        ("redis_cluster_state", 1.0),
        ("count(redis_up == 1)", 3.0),
    ] {
        poll_until(query, SOON, || (prometheus.value(query) == Some(expected)).then_some(()));
    }
}

#[test]
fn the_variables_alone_serve_the_streams_and_groups_that_they_name() {
    let redis = Redis::start();
    redis.fill("orders", 50);
    redis.fill("other", 1);
    for (group, read) in [("postgres-sync", 20), ("surreal-sync", 41), ("unasked", 1)] {
        redis.run::<()>(&format!("XGROUP CREATE orders {group} 0"));
        redis.run::<redis::Value>(&format!("XREADGROUP GROUP {group} w COUNT {read} STREAMS orders >"));
    }
    let exporter = Exporter::start(
        &redis,
        &[
            ("REDIS_EXPORTER_CHECK_STREAMS", "ord*"),
            ("REDIS_EXPORTER_CHECK_STREAM_GROUPS", "postgres-sync,surreal-sync"),
        ],
    );
    let prometheus = prometheus(&[&exporter]);
    let instance = format!(r#"instance="{}",job="redis""#, exporter.target);
    let group = |group| format!(r#"{{db="db0",stream="orders",group="{group}",{instance}}}"#);
    let (writer, other) = (group("postgres-sync"), group("surreal-sync"));
    prometheus.wait_for("redis_stream_group_lag", SOON);
    for (query, expected) in [
        (format!(r#"redis_stream_length{{db="db0",stream="orders",{instance}}}"#), 50.0),
        (format!(r#"redis_stream_groups{{db="db0",stream="orders",{instance}}}"#), 3.0),
        (format!("redis_stream_group_consumers{writer}"), 1.0),
        (format!("redis_stream_groups_consumers{writer}"), 1.0),
        (format!("redis_stream_group_lag{writer}"), 30.0),
        (format!("redis_stream_group_lag{other}"), 9.0),
        (format!("redis_stream_group_lag_known{other}"), 1.0),
        (format!("redis_stream_group_messages_pending{other}"), 41.0),
        (format!("redis_stream_group_entries_read{writer}"), 20.0),
        ("count(redis_stream_group_lag)".to_owned(), 2.0),
        ("count(redis_stream_length)".to_owned(), 1.0),
        (format!("redis_memory_max_bytes{{{instance}}}"), 0.0),
        // Prometheus adds these two; nothing of ours is in their way.
        ("count({exported_instance!=\"\"}) or vector(0)".to_owned(), 0.0),
    ] {
        poll_until(&query, SOON, || (prometheus.value(&query) == Some(expected)).then_some(()));
    }
    for name in ["redis_memory_used_bytes", "redis_connected_clients", "redis_commands_processed_total"] {
        prometheus.wait_for(name, SOON);
    }
    let answer = http::get(&format!("http://{}/metrics", exporter.target)).unwrap();
    assert!(answer.text().contains("# TYPE redis_commands_processed_total counter\n"));
}

#[test]
fn the_scrape_file_of_the_variables_alone_passes_promtool_and_is_scraped_again_and_again() {
    let redis = Redis::start();
    let exporter = Exporter::start(&redis, &[]);
    let export = |interval: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(["export", "scrape-config", "--interval", interval])
            .env("REDIS_ADDR", redis.addr())
            .env("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", &exporter.target)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let file = redis.dir().join("prometheus.yml");
    std::fs::write(&file, export("15s")).unwrap();
    let told = Command::new("promtool").arg("check").arg("config").arg(&file).output().unwrap();
    assert!(told.status.success(), "{told:?}");

    let page = || http::get(&format!("http://{}/metrics", exporter.target)).unwrap();
    let mut check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(page().text().as_bytes()).unwrap();
    let told = check.wait_with_output().unwrap();
    // 3 is for names that promtool would choose otherwise: they are redis_exporter's.
    assert!(matches!(told.status.code(), Some(0 | 3)), "{told:?}");

    let prometheus = Prometheus::builder().config(&export("1s")).start();
    poll_until("scraped twice and more", SOON, || {
        (prometheus.value(r#"count_over_time(up{job="redis"}[1m])"#)? >= 3.0).then_some(())
    });
    assert_eq!(prometheus.value(r#"min_over_time(up{job="redis"}[1m])"#), Some(1.0));
    assert_eq!(prometheus.value("redis_up"), Some(1.0));
}

#[test]
fn a_lag_that_the_server_cannot_tell_is_not_zero() {
    let redis = Redis::start();
    redis.fill("orders", 10);
    let entries: redis::streams::StreamRangeReply = redis.run("XRANGE orders - + COUNT 5");
    redis.run::<()>(&format!("XGROUP CREATE orders middle {}", entries.ids[4].id));
    let exporter = Exporter::start(&redis, &[("REDIS_EXPORTER_CHECK_SINGLE_STREAMS", "db0=orders")]);
    let prometheus = prometheus(&[&exporter]);
    prometheus.wait_for("redis_stream_group_lag_known", SOON);
    let lag = prometheus.query("redis_stream_group_lag");
    let known = prometheus.value("redis_stream_group_lag_known");
    assert_eq!(known, Some(f64::from(u8::from(!lag.is_empty()))), "{lag:?}");
    assert!(lag.iter().all(|sample| sample.value > 0.0), "{lag:?}");
}

#[test]
fn passwords_of_the_environment_open_the_server_and_guard_the_scrape() {
    let redis = Redis::builder().password("p$$w${env:HOME}").start();
    let target = format!("127.0.0.1:{}", free_port());
    let mut collector = [
        ("REDIS_ADDR", redis.addr().as_str()),
        ("REDIS_PASSWORD", "p$$w${env:HOME}"),
        ("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", &target),
        ("REDIS_EXPORTER_BASIC_AUTH_USERNAME", "ann"),
        ("REDIS_EXPORTER_BASIC_AUTH_PASSWORD", "secret"),
        ("REDIS_EXPORTER_LOG_FORMAT", "json"),
    ]
    .iter()
    .fold(binary(), |builder, (name, value)| builder.env(name, value))
    .start();
    collector.wait_for_log("\"", SOON);
    let url = format!("http://{target}/metrics");
    let ask = |headers: &[(&str, &str)]| http::request("GET", &url, headers, &[]).ok();
    let text = poll_until("the server is up", SOON, || {
        let answer = ask(&[("authorization", "Basic YW5uOnNlY3JldA==")])?; // ann:secret
        Some(answer.text()).filter(|text| text.contains("\nredis_up 1\n"))
    });
    assert!(text.contains("\nredis_connected_clients "), "{text}");
    for headers in [&[][..], &[("authorization", "Basic YW5uOnNlY3JldHM=")]] {
        let refused = ask(headers).unwrap();
        assert_eq!(refused.status, 401);
        assert!(refused.headers["www-authenticate"].starts_with("Basic "));
    }
    let (code, log) = collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("p$$w") && !log.contains("secret"), "{log}");
}

#[test]
fn a_cluster_is_discovered_and_each_node_scraped_by_its_name() {
    let cluster = Cluster::start(&Server::find("redis-7.0").unwrap());
    let exporter = Exporter::start(&cluster.nodes[0], &[("REDIS_EXPORTER_IS_CLUSTER", "true")]);
    let target = &exporter.target;
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: redis
    metrics_path: /scrape
    http_sd_configs: [{{url: 'http://{target}/discover-cluster-nodes', refresh_interval: 500ms}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__address__], target_label: instance}}
      - {{target_label: __address__, replacement: '{target}'}}
"
    );
    let prometheus = Prometheus::builder().config(&config).start();
    let first = cluster.nodes[0].addr();
    for (query, expected) in [
        ("count(redis_up == 1)".to_owned(), 6.0),
        (r#"count(redis_instance_info{role="master",redis_mode="cluster"})"#.to_owned(), 3.0),
        (r#"count(redis_instance_info{role="slave"})"#.to_owned(), 3.0),
        (format!(r#"redis_cluster_state{{instance="{first}"}}"#), 1.0),
        ("count({exported_instance!=\"\"}) or vector(0)".to_owned(), 0.0),
    ] {
        poll_until(&query, SOON, || (prometheus.value(&query) == Some(expected)).then_some(()));
    }
    let (_, log) = exporter.collector.terminate(SOON);
    assert!(log.contains(" dropped 0,"), "no two nodes have one series:\n{log}");
}
