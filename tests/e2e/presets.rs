//! The names that other systems' dashboards and rules ask for, read by a real Prometheus.

use streamgauge_harness::{Prometheus, Redis, free_port, poll_until};

use crate::support::{Running, SOON};

const WRITER: &str = r#"{stream_name="orders"}"#;

/// A collector that watches one Redis and shows these presets, and a Prometheus that scrapes it.
fn watched(redis: &Redis, presets: &str) -> (Running, Prometheus) {
    let target = format!("127.0.0.1:{}", free_port());
    let running = Running::start(&format!(
        "receivers:
  redis: {{endpoint: '{url}', collection_interval: 200ms, metrics: {{redis.maxmemory: {{enabled: true}}, redis.cmd.calls: {{enabled: true}}}}}}
  redis_stream_metrics: {{endpoint: '{url}', collection_interval: 200ms, metrics: {{redis.stream.group.claimed: {{enabled: true}}, redis.stream.group.batch: {{enabled: true}}}}}}
processors:
  project: {{rules: [{{value: shop}}]}}
exporters:
  prometheus: {{endpoint: '{target}', presets: {presets}}}
service:
  pipelines:
    metrics: {{receivers: [redis, redis_stream_metrics], processors: [project], exporters: [prometheus]}}
",
        url = redis.url()
    ));
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs: [{{job_name: us, honor_labels: true, static_configs: [{{targets: ['{target}']}}]}}]
"
    );
    (running, Prometheus::builder().config(&config).start())
}

#[track_caller]
fn becomes(prometheus: &Prometheus, query: &str, expected: f64) {
    let mut last = None;
    poll_until(&format!("{query} is {expected}"), SOON, || {
        last = prometheus.value(query);
        (last == Some(expected)).then_some(())
    });
}

fn groups(redis: &Redis, groups: &[(&str, u64)]) {
    for (group, read) in groups {
        redis.run::<()>(&format!("XGROUP CREATE orders {group} 0"));
        redis.run::<redis::Value>(&format!("XREADGROUP GROUP {group} w COUNT {read} STREAMS orders >"));
    }
}

#[test]
fn the_postgres_writers_series_are_those_of_its_group() {
    let redis = Redis::start();
    redis.fill("orders", 17);
    groups(&redis, &[("postgres-sync", 7), ("surreal-sync", 8)]);
    redis.run::<String>("XADD unread * a 1");
    redis.run::<()>("XGROUP CREATE unread postgres-sync 0");
    let (_running, prometheus) = watched(&redis, "[redis_exporter, postgres_writer]");

    becomes(&prometheus, &format!("postgres_writer_stream_lag{WRITER}"), 10.0);
    becomes(&prometheus, &format!("postgres_writer_stream_pending_messages{WRITER}"), 7.0);
    for (group, lag) in [("postgres-sync", 10.0), ("surreal-sync", 9.0)] {
        becomes(&prometheus, &format!(r#"redis_stream_group_lag{{stream="orders",group="{group}"}}"#), lag);
    }
    let entries: redis::streams::StreamRangeReply = redis.run("XRANGE orders - + COUNT 7");
    let ids: Vec<&str> = entries.ids.iter().map(|entry| entry.id.as_str()).collect();
    let seconds = ids[6].split('-').next().unwrap().parse::<f64>().unwrap() / 1000.0;
    becomes(&prometheus, &format!("postgres_writer_stream_last_message_timestamp{WRITER}"), seconds);
    let unread = r#"postgres_writer_stream_last_message_timestamp{stream_name="unread"}"#;
    assert_eq!(prometheus.value(unread), None, "nothing was delivered yet");

    redis.run::<i64>(&format!("XACK orders postgres-sync {} {}", ids[0], ids[1]));
    becomes(&prometheus, &format!("postgres_writer_stream_pending_messages{WRITER}"), 5.0);

    let consumed = format!("postgres_writer_stream_messages_consumed_total{WRITER}");
    becomes(&prometheus, &consumed, 7.0);
    redis.fill("orders", 1000);
    redis.run::<redis::Value>("XREADGROUP GROUP postgres-sync w COUNT 1000 STREAMS orders >");
    becomes(&prometheus, &consumed, 1007.0);
    becomes(&prometheus, &format!("postgres_writer_stream_lag{WRITER}"), 10.0);

    // The server does not know the lag any more; what waits is counted, and nobody says 0.
    let waiting: redis::streams::StreamRangeReply = redis.run("XREVRANGE orders + - COUNT 4");
    redis.run::<i64>(&format!("XDEL orders {}", waiting.ids[3].id));
    becomes(&prometheus, &format!("postgres_writer_stream_lag{WRITER}"), 9.0);
}

#[test]
fn the_postgres_writers_batch_in_work_and_its_claims_are_told() {
    let redis = Redis::start();
    redis.fill("orders", 50);
    groups(&redis, &[("postgres-sync", 20), ("surreal-sync", 7)]);
    let (_running, prometheus) = watched(&redis, "[postgres_writer]");
    let (batch, claimed) = (
        format!("postgres_writer_stream_batch_size{WRITER}"),
        format!("postgres_writer_stream_messages_claimed_total{WRITER}"),
    );
    becomes(&prometheus, &batch, 20.0);
    becomes(&prometheus, &claimed, 0.0);
    let entries: redis::streams::StreamRangeReply = redis.run("XRANGE orders - + COUNT 3");
    let ids: Vec<&str> = entries.ids.iter().map(|entry| entry.id.as_str()).collect();
    redis.run::<redis::Value>(&format!("XCLAIM orders postgres-sync other 0 {}", ids.join(" ")));
    becomes(&prometheus, &claimed, 3.0);
    becomes(&prometheus, &batch, 3.0);
    let types = prometheus.api("/api/v1/metadata");
    assert_eq!(types["postgres_writer_stream_messages_claimed_total"][0]["type"], "counter");
    assert_eq!(types["postgres_writer_stream_batch_size"][0]["type"], "gauge");
}

#[test]
fn the_consumer_lag_apis_queries_answer() {
    let redis = Redis::start();
    redis.fill("orders", 1200);
    groups(&redis, &[("a", 100), ("b", 500)]);
    let (_running, prometheus) = watched(&redis, "[consumer_lag]");
    becomes(&prometheus, r#"event_consumer_lag{stream="orders",consumer_group="a"}"#, 1100.0);
    becomes(&prometheus, "sum(event_consumer_lag)", 1800.0);
    becomes(&prometheus, "count(event_consumer_lag > 1000)", 1.0);
    becomes(&prometheus, "count(rate(event_consumer_lag[5m]))", 2.0);
    // The metrics' own names go on beside it.
    becomes(&prometheus, r#"redis_stream_group_lag{stream="orders",group="b"}"#, 700.0);
}

#[test]
fn jeex_reads_memory_connections_hits_commands_and_errors_by_project() {
    let redis = Redis::builder().config("maxmemory 50mb").start();
    redis.run::<()>("SET k v");
    for key in ["k", "k", "k", "none"] {
        redis.run::<Option<String>>(&format!("GET {key}"));
    }
    let (_running, prometheus) = watched(&redis, "[jeex]");
    let project = r#"project_id="shop""#;
    // A search for streams looks keys up too, so the numbers are not ours alone.
    let rate = "redis_keyspace_hits_total / (redis_keyspace_hits_total + redis_keyspace_misses_total)";
    becomes(&prometheus, &format!("abs(jeex_redis_hit_rate{{{project}}} - on() {rate}) < bool 0.0001"), 1.0);
    becomes(&prometheus, "jeex_redis_hit_rate >= bool 0.75", 1.0);
    becomes(&prometheus, &format!("jeex_redis_up{{{project}}}"), 1.0);
    becomes(&prometheus, &format!(r#"jeex_redis_commands_total{{command_type="get",{project}}}"#), 4.0);
    let percentage = "jeex_redis_memory_percentage - on() jeex_redis_memory_bytes / 52428800 * 100";
    becomes(&prometheus, &format!("abs({percentage}) < bool 0.0001"), 1.0);
    becomes(&prometheus, "jeex_redis_connections_active > bool 0", 1.0);
    let types = prometheus.api("/api/v1/metadata");
    for (name, kind) in [
        ("jeex_redis_memory_bytes", "gauge"),
        ("jeex_redis_memory_percentage", "gauge"),
        ("jeex_redis_hit_rate", "gauge"),
        ("jeex_redis_commands_total", "counter"),
    ] {
        assert_eq!(types[name][0]["type"], kind, "{name}");
    }
}
