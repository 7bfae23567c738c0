//! The rules of configs/postgres-writer.yaml: rates, claims, freshness and memory, as their dashboards have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use streamgauge_harness::{Prometheus, Redis, free_port, http, poll_until};

use crate::support::{Running, SOON, binary, read};

/// A worker that reads and acknowledges ten entries a second, by the clock: what is late is made up for.
struct Worker {
    ended: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(redis: &Redis) -> Worker {
        let (ended, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, count, mut server) = (ended.clone(), read.clone(), redis.connection());
        let begin = Instant::now();
        let thread = std::thread::spawn(move || {
            while !is_over.load(Relaxed) {
                let due = (begin.elapsed().as_millis() / 100) as u64;
                while count.load(Relaxed) < due {
                    redis::cmd("XADD").arg(&["orders", "*", "a", "1"]).exec(&mut server).unwrap();
                    let words = "GROUP postgres-sync w COUNT 1 NOACK STREAMS orders >";
                    let words: Vec<_> = words.split(' ').collect();
                    redis::cmd("XREADGROUP").arg(&words).exec(&mut server).unwrap();
                    count.fetch_add(1, Relaxed);
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
        Worker { ended, read, thread: Some(thread) }
    }

    /// Lets it read no more; how many it has read.
    fn stop(mut self) -> u64 {
        self.ended.store(true, Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.read.load(Relaxed)
    }
}

/// The file with these changes, its waits shortened, writing to a real Prometheus.
fn running(overlay: &str, redis: &str, changes: &[(&str, &str)]) -> (Running, Prometheus) {
    let prometheus = Prometheus::start();
    let mut text = read("configs/postgres-writer.yaml");
    let waits = [
        ("for: 5m", "for: 0s"),
        ("for: 10m", "for: 0s"),
        ("collection_interval: 15s", "collection_interval: 200ms"),
    ];
    for (from, to) in waits.iter().chain(changes) {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let builder = binary()
        .config(&text)
        .env("REDIS_ADDR", redis)
        .env("PROMETHEUS_WRITE_URL", &prometheus.remote_write_url());
    (Running::start_with(overlay, builder), prometheus)
}

/// The values of a label of the alerts that fire, sorted.
fn firing(prometheus: &Prometheus, alert: &str, severity: &str, label: &str) -> Vec<String> {
    let query = format!(r#"ALERTS{{alertname="{alert}",alertstate="firing",severity="{severity}"}}"#);
    let mut found: Vec<_> = prometheus.query(&query).into_iter().map(|s| s.labels[label].clone()).collect();
    found.sort();
    found
}

fn orders() -> Redis {
    let redis = Redis::start();
    redis.fill("orders", 3);
    for group in ["postgres-sync", "surreal-sync"] {
        redis.run::<()>(&format!("XGROUP CREATE orders {group} 0"));
    }
    redis.run::<redis::Value>("XREADGROUP GROUP postgres-sync v COUNT 3 STREAMS orders >");
    redis
}

#[test]
fn messages_a_second_are_within_5_percent_of_the_truth_and_a_claim_warns() {
    let redis = orders();
    let worker = Worker::start(&redis);
    let (_running, prometheus) = running("{}", &redis.addr(), &[]);
    let rate = r#"{__name__=~"redis_stream_group_consumed_rate.*",group="postgres-sync"}"#;
    poll_until("the rate of 5 s or more is 10 a second", SOON, || {
        let known = prometheus.value(
            r#"count_over_time({__name__=~"redis_stream_group_consumed_rate.*",group="postgres-sync"}[1m])"#,
        )?;
        (known >= 25.0 && (prometheus.value(rate)? - 10.0).abs() <= 0.5).then_some(())
    });
    let claimed = || firing(&prometheus, "MessagesClaimed", "warning", "stream");
    assert!(claimed().is_empty(), "nobody took anything over");
    let read = worker.stop() + 3;
    let all = r#"{__name__=~"redis_stream_group_entries_read.*",group="postgres-sync"}"#;
    poll_until("all that was read is known", SOON, || (prometheus.value(all)? == read as f64).then_some(()));
    let entries: redis::streams::StreamRangeReply = redis.run("XRANGE orders - + COUNT 1");
    redis.run::<redis::Value>(&format!("XCLAIM orders postgres-sync w 0 {}", entries.ids[0].id));
    poll_until("a claim warns", SOON, || (claimed() == ["orders"]).then_some(()));
}

#[test]
fn a_group_that_stops_reading_is_stale_and_one_that_never_read_is_not() {
    let redis = orders();
    let worker = Worker::start(&redis);
    let increase = "window: 5m, output: increase";
    let (_running, prometheus) = running("{}", &redis.addr(), &[(increase, "window: 3s, output: increase")]);
    let stale = || firing(&prometheus, "StreamStale", "critical", "group");
    let consumed = r#"{__name__=~"redis_stream_group_consumed(_total|_ratio)?",group="postgres-sync"}"#;
    poll_until("it reads and is not stale", SOON, || {
        (prometheus.value(consumed)? >= 10.0 && stale().is_empty()).then_some(())
    });
    worker.stop();
    poll_until("it is stale", SOON, || (stale() == ["postgres-sync"]).then_some(()));
}

#[test]
fn memory_is_elevated_from_50_percent_and_high_above_80_and_silent_without_a_limit() {
    let overlay = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:{http}'}}}}
service: {pipelines: {metrics: {receivers: [otlp]}}}
";
    let (running, prometheus) = running(overlay, "127.0.0.1:1", &[]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let of = |port: &str, metric: &str, value: f64| {
        json!({
            "resource": {"attributes": [
                {"key": "server.address", "value": {"stringValue": "h"}},
                {"key": "server.port", "value": {"stringValue": port}},
            ]},
            "scopeMetrics": [{"metrics": [{"name": metric, "gauge": {
                "dataPoints": [{"timeUnixNano": now.to_string(), "asDouble": value}],
            }}]}],
        })
    };
    let share = "redis.maxmemory.utilization";
    let servers =
        [("1", 0.499), ("2", 0.5), ("3", 0.8), ("4", 0.801)].map(|(port, value)| of(port, share, value));
    let unlimited = of("5", "redis.memory.used", 1e12);
    let body = json!({"resourceMetrics": servers.iter().chain([&unlimited]).collect::<Vec<_>>()});
    let url = format!("{}/v1/metrics", running.http_url());
    let answer = http::post(&url, "application/json", body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ports = |alert, severity| firing(&prometheus, alert, severity, "server_port");
    poll_until("those from a half on", SOON, || {
        (ports("RedisMemoryElevated", "warning") == ["2", "3", "4"]).then_some(())
    });
    poll_until("the one above", SOON, || (ports("RedisMemoryHigh", "critical") == ["4"]).then_some(()));
}

#[test]
fn eight_of_ten_connections_are_a_warning() {
    let redis = Redis::builder().config("maxclients 10").start();
    let page = free_port();
    let yaml = format!(
        "receivers: {{redis: {{endpoint: '{url}', collection_interval: 200ms, initial_delay: 0s}}}}
processors: {{alerting: {{rules: [{{alert: Pool, metric: redis.clients.utilization, op: '>=', warning: 0.8, critical: 0.95}}]}}}}
exporters: {{prometheus: {{endpoint: '127.0.0.1:{page}'}}}}
service: {{pipelines: {{metrics: {{receivers: [redis], processors: [alerting], exporters: [prometheus]}}}}}}
",
        url = redis.url()
    );
    let _running = Running::start(&yaml);
    let lines = |name: &str| -> Vec<String> {
        let text = http::get(&format!("http://127.0.0.1:{page}/metrics")).map_or(String::new(), |a| a.text());
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    };
    let share = |value: &str| lines("redis_clients_utilization").iter().any(|line| line.ends_with(value));
    let mut clients: Vec<_> = (0..6).map(|_| redis.connection()).collect();
    // Six, and the receiver.
    poll_until("seven of ten", SOON, || share(" 0.7").then_some(()));
    assert!(lines("ALERTS").is_empty());
    clients.push(redis.connection());
    poll_until("eight of ten warn", SOON, || {
        let alerts = lines("ALERTS");
        let is = |severity| {
            alerts
                .iter()
                .any(|line| line.contains(&format!("severity=\"{severity}\"")) && line.ends_with(" 1"))
        };
        (share(" 0.8") && is("warning") && !is("critical")).then_some(())
    });
}
