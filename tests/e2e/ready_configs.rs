//! Every file in configs/ runs as it is, on a real Redis; so does what the README shows.

use streamgauge_harness::{CollectorBuilder, OtlpSink, Prometheus, Redis, free_port, poll_until};

use crate::support::{Running, SOON, binary, read, root, yaml_blocks};

/// The addresses that a file does not take from the environment, moved to free ports.
const DOORS: &str = "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:{grpc}'}, http: {endpoint: '127.0.0.1:{http}'}}}}";

#[track_caller]
fn start(name: &str, redis: &Redis, more: &[(&str, &str)], overlay: &str) -> Running {
    start_with(name, redis, more, overlay, binary())
}

#[track_caller]
fn start_with(
    name: &str,
    redis: &Redis,
    more: &[(&str, &str)],
    overlay: &str,
    builder: CollectorBuilder,
) -> Running {
    let url = redis.url();
    let mut builder = builder.config_file(root().join("configs").join(name));
    for (key, value) in
        [("REDIS_URL", url.as_str()), ("REDIS_ADDR", &redis.addr())].into_iter().chain(more.iter().copied())
    {
        builder = builder.env(key, value);
    }
    Running::start_with(overlay, builder)
}

fn redis_with_a_stream() -> Redis {
    let redis = Redis::start();
    redis.fill("shop:orders", 20);
    redis.run::<()>("XGROUP CREATE shop:orders postgres-sync 0");
    redis.run::<redis::Value>("XREADGROUP GROUP postgres-sync w COUNT 7 STREAMS shop:orders >");
    redis
}

#[test]
fn quickstart_watches_a_redis_and_writes_the_log() {
    let redis = redis_with_a_stream();
    let mut running = start("quickstart.yaml", &redis, &[("INTERVAL", "500ms")], DOORS);
    // The debug exporter's line for a batch of metrics.
    running.collector.wait_for_log("Metrics", SOON);
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
}

/// The waits and bounds of each file are made small; which pipelines the alert goes through is the file's own.
#[test]
fn wherever_rules_are_ready_the_log_says_which_alert_fires_and_why() {
    let redis = redis_with_a_stream();
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    for (file, doors, expected) in [
        ("src/builtin.yaml", "{}", "postgres-sync is 13 entries behind on shop:orders"),
        ("configs/quickstart.yaml", DOORS, "postgres-sync lags 13 entries behind on shop:orders"),
        ("configs/gateway.yaml", DOORS, "shop:orders lags by 13"),
        ("configs/postgres-writer.yaml", "{}", "High consumer lag on shop:orders"),
    ] {
        let mut text = read(file);
        for (from, to) in [
            ("for: 5m", "for: 0s"),
            ("for: 1m", "for: 0s"),
            ("warning: 1000\n", "warning: 5\n"),
            ("warning: 99\n", "warning: 5\n"),
            ("clear: {warning: 800}\n", "\n"),
        ] {
            text = text.replace(from, to);
        }
        let mut builder = binary().config(&text);
        for (key, value) in [
            ("REDIS_URL", redis.url().as_str()),
            ("REDIS_ADDR", &redis.addr()),
            ("PROMETHEUS_WRITE_URL", &nowhere),
            ("LAG_WARNING", "5"),
            ("LAG_FOR", "0s"),
        ] {
            builder = builder.env(key, value);
        }
        let mut running = Running::start_with(doors, builder);
        running.collector.wait_for_log(&format!("HighConsumerLag firing: {expected}"), SOON);
    }
}

/// Lag, pending entries and memory at the borders of the bands that the writers' dashboards have.
#[test]
fn the_writers_bands_begin_and_end_where_their_dashboards_have_them() {
    let redis = Redis::start();
    for (stream, lag, pending) in [("ok", 99, 49), ("low", 100, 50), ("high", 1000, 500), ("bad", 1001, 501)]
    {
        redis.fill(stream, lag + pending);
        redis.run::<()>(&format!("XGROUP CREATE {stream} postgres-sync 0"));
        let read = format!("XREADGROUP GROUP postgres-sync w COUNT {pending} STREAMS {stream} >");
        redis.run::<redis::Value>(&read);
    }
    let prometheus = Prometheus::start();
    let text = read("configs/postgres-writer.yaml")
        .replace("for: 5m", "for: 0s")
        .replace("for: 10m", "for: 0s")
        .replace("collection_interval: 15s", "collection_interval: 200ms");
    let builder = binary()
        .config(&text)
        .env("REDIS_ADDR", &redis.addr())
        .env("PROMETHEUS_WRITE_URL", &prometheus.remote_write_url());
    let _running = Running::start_with("{}", builder);
    let firing = |alert: &str, severity: &str| {
        format!(r#"ALERTS{{alertname="{alert}",alertstate="firing",severity="{severity}"}}"#)
    };
    let streams = |alert: &str, severity: &str| {
        let mut found: Vec<_> = prometheus
            .query(&firing(alert, severity))
            .into_iter()
            .map(|s| s.labels["stream"].clone())
            .collect();
        found.sort();
        found
    };
    for alert in ["HighConsumerLag", "PendingMessagesGrowing"] {
        poll_until(&format!("{alert}: the worst is critical"), SOON, || {
            (streams(alert, "critical") == ["bad"]).then_some(())
        });
        poll_until(&format!("{alert}: those between are warnings"), SOON, || {
            let warned = streams(alert, "warning");
            (["high", "low"].iter().all(|s| warned.contains(&(*s).to_owned()))).then_some(())
        });
        assert!(!streams(alert, "warning").contains(&"ok".to_owned()), "{alert}");
    }
    let memory = || {
        let is = |alert, severity| !prometheus.query(&firing(alert, severity)).is_empty();
        (is("RedisMemoryElevated", "warning"), is("RedisMemoryHigh", "critical"))
    };
    assert_eq!(memory(), (false, false), "without a limit there is nothing to say");
    let used: u64 = redis.info("used_memory").unwrap().parse().unwrap();
    for (limit, expected) in
        [(used * 4, (false, false)), (used * 3 / 2, (true, false)), (used * 11 / 10, (true, true))]
    {
        redis.cli(&["config", "set", "maxmemory", &limit.to_string()]);
        poll_until(&format!("memory {expected:?}"), SOON, || (memory() == expected).then_some(()));
    }
}

#[test]
fn a_server_that_is_down_is_named_in_the_alert() {
    let addr = format!("127.0.0.1:{}", free_port());
    for (file, doors) in
        [("src/builtin.yaml", "{}"), ("configs/quickstart.yaml", DOORS), ("configs/gateway.yaml", DOORS)]
    {
        let text = read(file).replace("for: 30s", "for: 0s");
        let builder = binary().config(&text).env("REDIS_URL", &addr);
        let mut running = Running::start_with(doors, builder);
        running.collector.wait_for_log(&format!("RedisDown firing: Redis at {addr} does not answer"), SOON);
    }
}

#[test]
fn agent_hands_everything_to_the_gateway() {
    let redis = redis_with_a_stream();
    let gateway = OtlpSink::grpc();
    let more = [("GATEWAY_ENDPOINT", gateway.addr()), ("PROJECT", "p-7".to_owned())];
    let more: Vec<_> = more.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let _running = start("agent.yaml", &redis, &more, DOORS);
    let lag = gateway.wait_for_point("redis.stream.group.lag", SOON, |_| true);
    assert_eq!(lag.value, Some(13.0));
    assert_eq!(lag.resource["project.id"], "p-7");
}

#[test]
fn gateway_writes_to_prometheus_by_project() {
    let redis = redis_with_a_stream();
    let prometheus = Prometheus::start();
    let more = [("PROMETHEUS_WRITE_URL", prometheus.remote_write_url())];
    let more: Vec<_> = more.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let _running = start("gateway.yaml", &redis, &more, DOORS);
    let found = prometheus.wait_for("redis_stream_group_lag{project_id=\"shop\"}", SOON);
    assert_eq!(found[0].value, 13.0);
}

#[test]
fn postgres_writer_has_lag_pending_and_memory_of_its_groups() {
    let redis = redis_with_a_stream();
    redis.run::<()>("XGROUP CREATE shop:orders somebody-else 0");
    let prometheus = Prometheus::start();
    let more = [("PROMETHEUS_WRITE_URL", prometheus.remote_write_url())];
    let more: Vec<_> = more.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let _running = start("postgres-writer.yaml", &redis, &more, "");
    let lag = prometheus.wait_for("redis_stream_group_lag", SOON);
    assert_eq!((lag.len(), lag[0].value), (1, 13.0), "its own groups only: {lag:?}");
    assert_eq!(prometheus.wait_for("redis_stream_group_pending", SOON)[0].value, 7.0);
    assert_eq!(prometheus.wait_for("redis_stream_length", SOON)[0].value, 20.0);
    for series in ["redis_memory_used_bytes", "redis_clients_connected", "redis_commands_processed_total"] {
        prometheus.wait_for(series, SOON);
    }
}

#[test]
fn prometheus_scrapes_the_exporters_and_the_writers_names() {
    let redis = redis_with_a_stream();
    let listen = format!("127.0.0.1:{}", free_port());
    let _running = start("prometheus.yaml", &redis, &[("LISTEN", &listen), ("INTERVAL", "500ms")], "{}");
    let job = format!("{{job_name: redis, honor_labels: true, static_configs: [{{targets: ['{listen}']}}]}}");
    let config =
        format!("global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs: [{job}]\n");
    let prometheus = Prometheus::builder().config(&config).start();
    for (query, value) in [
        (r#"postgres_writer_stream_lag{stream_name="shop:orders"}"#.to_owned(), 13.0),
        (r#"redis_stream_group_messages_pending{stream="shop:orders"}"#.to_owned(), 7.0),
        (format!("redis_up{{instance=\"{}\"}}", redis.addr()), 1.0),
        (r#"count(redis_instance_info{role="master"})"#.to_owned(), 1.0),
    ] {
        assert_eq!(prometheus.wait_for(&query, SOON)[0].value, value, "{query}");
    }
}

#[test]
fn redis_logs_tells_a_slow_command_once_over_a_restart() {
    let (redis, sink) = (Redis::builder().config("slowlog-log-slower-than 150000").start(), OtlpSink::http());
    let state = redis.dir().join("state").display().to_string();
    let url = sink.url();
    let more =
        [("OTLP_ENDPOINT", url.as_str()), ("STATE", &state), ("INTERVAL", "200ms"), ("KEYS", "hashed")];
    let named = |event: &str| {
        sink.log_records().into_iter().filter(|record| record.event_name == event).collect::<Vec<_>>()
    };
    for sleeps in 1..=2 {
        redis.run::<()>("DEBUG SLEEP 0.2");
        let builder = binary().arg("--set").arg("service.extensions=[health_check, file_storage]");
        let running = start_with("redis-logs.yaml", &redis, &more, "{}", builder);
        let records = poll_until("a slow command", SOON, || {
            Some(named("redis.slowlog.entry")).filter(|records| records.len() >= sleeps)
        });
        assert_eq!(records.len(), sleeps);
        let (code, log) = running.collector.terminate(SOON);
        assert_eq!(code, Some(0), "{log}");
    }
}

#[test]
fn no_file_in_configs_is_without_a_test() {
    let names = std::fs::read_dir(root().join("configs")).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "agent.yaml",
            "event-bus.yaml",       // tests/stream_consumers.rs
            "event-transport.yaml", // tests/event_transport.rs
            "gateway.yaml",
            "postgres-writer.yaml",
            "prometheus.yaml",
            "quickstart.yaml",
            "redis-logs.yaml",
            "stream-workers.yaml", // tests/stream_consumers.rs
        ]
    );
}

#[test]
fn the_configurations_that_the_readme_shows_are_valid() {
    let readme = read("README.md");
    let blocks = yaml_blocks(&readme);
    assert!(!blocks.is_empty());
    for block in blocks {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(["validate", "--config", &format!("yaml:{block}")])
            .output()
            .unwrap();
        assert!(out.status.success(), "{block}\n{}", String::from_utf8_lossy(&out.stderr));
    }
}
