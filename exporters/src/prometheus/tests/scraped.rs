//! Scraped by Debian's Prometheus: what it answers is what was sent.

use std::time::{SystemTime, UNIX_EPOCH};

use streamgauge_harness::{Certs, Prometheus};

use super::*;

const SOON: Duration = Duration::from_secs(20);
const RESOURCE: [(&str, &str); 4] = [
    ("service.name", "cache"),
    ("service.namespace", "shop"),
    ("service.instance.id", "r1"),
    ("redis.version", "7.0.15"),
];

fn job(address: &str, more: &str) -> String {
    format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: us
    honor_labels: true
    static_configs: [{{targets: ['{address}']}}]
{more}"
    )
}

async fn scraped_in(format: &str) {
    let exporter = started(format).await;
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let batch = request_of(&RESOURCE, |scope| {
        {
            let mut lag = scope.gauge("redis.stream.group.lag", "{entry}", "Entries not read \"yet\".\n");
            lag.point(at).attribute("stream", "orders").attribute("group", "bill \"1\"\n\\").int(123);
            lag.point(at).attribute("stream", "gone").attribute("group", "g").int(7);
        }
        let mut uptime = scope.sum("redis.uptime", "s", "", Cumulative, true);
        uptime.point(at).double(12.5).exemplar(at, 1.0, [0xab; 16], [0xcd; 8]);
        drop(uptime);
        let mut latency = scope.histogram("latency", "s", "", Cumulative);
        latency
            .point(at)
            .count(10)
            .sum(4.25)
            .buckets(&[0.1, 1.0], &[1, 2, 7])
            .exemplar(at, 0.5, [1; 16], [2; 8]);
        drop(latency);
        let mut exponential = scope.exponential_histogram("exponential", "", "", Cumulative);
        exponential.point(at).count(11).sum(5.5).scale(1).zero(1, 0.0).positive(-2, [4, 0, 3, 3]);
        drop(exponential);
        scope.summary("quick", "", "").point(at).count(2).sum(9.0).quantile(0.5, 3.0);
    });
    assert_eq!(taken(&exporter, &batch).await, []);
    let address = exporter.address();
    let prometheus = blocking(move || {
        let flag = "--enable-feature=exemplar-storage";
        let prometheus = Prometheus::builder().config(&job(&address, "")).flag(flag).start();
        let lag = prometheus.wait_for(r#"redis_stream_group_lag{stream="orders"}"#, SOON);
        assert_eq!((lag.len(), lag[0].value), (1, 123.0));
        assert_eq!(lag[0].labels["group"], "bill \"1\"\n\\");
        let base = r#"instance="r1",job="shop/cache""#;
        for (query, value) in [
            (format!("redis_uptime_seconds_total{{{base}}}"), 12.5),
            (format!("latency_seconds_sum{{{base}}}"), 4.25),
            (format!("latency_seconds_count{{{base}}}"), 10.0),
            (format!("latency_seconds_bucket{{le=\"0.1\",{base}}}"), 1.0),
            (format!("latency_seconds_bucket{{le=~\"1(.0)?\",{base}}}"), 3.0),
            (format!("latency_seconds_bucket{{le=\"+Inf\",{base}}}"), 10.0),
            // Scale 1, indices -2 to 1: four values up to 1 (one of them 0), six more up to 2.
            (format!("exponential_bucket{{le=~\"0(.0)?\",{base}}}"), 1.0),
            (format!("exponential_bucket{{le=~\"1(.0)?\",{base}}}"), 5.0),
            (format!("exponential_bucket{{le=~\"2(.0)?\",{base}}}"), 11.0),
            (format!("exponential_sum{{{base}}}"), 5.5),
            (format!("quick{{quantile=\"0.5\",{base}}}"), 3.0),
            (format!("quick_count{{{base}}}"), 2.0),
            (format!("target_info{{redis_version=\"7.0.15\",{base}}}"), 1.0),
            (r#"redis_stream_group_lag{stream="gone"}"#.to_owned(), 7.0),
            (r#"up{job="us"}"#.to_owned(), 1.0),
        ] {
            assert_eq!(prometheus.value(&query), Some(value), "{query}");
        }
        prometheus
    })
    .await;
    let end = request_of(&RESOURCE, |scope| {
        let mut lag = scope.gauge("redis.stream.group.lag", "{entry}", "");
        let time = at + 1_000 * MS;
        lag.point(time).attribute("stream", "gone").attribute("group", "g").no_recorded_value();
    });
    assert_eq!(taken(&exporter, &end).await, []);
    let open = format.contains("true");
    blocking(move || {
        streamgauge_harness::poll_until("the series' end", SOON, || {
            prometheus.query(r#"redis_stream_group_lag{stream="gone"}"#).is_empty().then_some(())
        });
        assert_eq!(
            prometheus.value(r#"redis_stream_group_lag{stream="orders"}"#),
            Some(123.0),
            "the other goes on"
        );
        let types = prometheus.api("/api/v1/metadata?metric=latency_seconds");
        assert_eq!(types["latency_seconds"][0]["type"], "histogram");
        let range = "start=0&end=9999999999";
        let exemplars =
            prometheus.api(&format!("/api/v1/query_exemplars?query=latency_seconds_bucket&{range}"));
        let found = &exemplars[0]["exemplars"][0];
        if open {
            assert_eq!(
                (&found["value"], &found["labels"]["span_id"]),
                (&"0.5".into(), &"02".repeat(8).into())
            );
        } else {
            assert!(found.is_null(), "the text format has no exemplars");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_the_text_format_as_it_was_meant() {
    scraped_in("enable_open_metrics: false").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_openmetrics_as_it_was_meant_exemplars_included() {
    scraped_in("enable_open_metrics: true").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_discovers_the_servers_and_scrapes_each_by_its_name() {
    let exporter = started("presets: [redis_exporter]").await;
    for (port, used) in [("6379", 5), ("6380", 7)] {
        let server = [("server.address", "cache"), ("server.port", port)];
        let batch = request_of(&server, |s| _ = s.gauge("redis.memory.used", "By", "").point(MS).int(used));
        assert_eq!(taken(&exporter, &batch).await, []);
    }
    assert_eq!(get(&exporter, "/scrape", &[]).await.status, 400);
    assert_eq!(get(&exporter, "/scrape?target=elsewhere:6379", &[]).await.status, 404);
    let address = exporter.address();
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: redis
    metrics_path: /scrape
    http_sd_configs: [{{url: 'http://{address}/discover-cluster-nodes', refresh_interval: 200ms}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__address__], target_label: instance}}
      - {{target_label: __address__, replacement: '{address}'}}
"
    );
    blocking(move || {
        let prometheus = Prometheus::builder().config(&config).start();
        for (port, used) in [("6379", 5.0), ("6380", 7.0)] {
            let query = format!("redis_memory_used_bytes{{instance=\"cache:{port}\"}}");
            let found = prometheus.wait_for(&query, SOON);
            assert_eq!((found.len(), found[0].value), (1, used));
            let names: Vec<_> = found[0].labels.keys().map(String::as_str).collect();
            assert_eq!(names, ["__name__", "instance", "job"], "what redis_exporter's series have");
        }
        assert_eq!(prometheus.value("count(redis_memory_used_bytes)"), Some(2.0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_by_tls() {
    let dir = std::env::temp_dir().join(format!("streamgauge-prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let certs = Certs::generate(&dir);
    let (cert, key) = (certs.server_cert.display(), certs.server_key.display());
    let exporter = started(&format!("tls: {{cert_file: {cert}, key_file: {key}}}")).await;
    taken(&exporter, &gauge(MS, &[("a", 4.0)])).await;
    let tls = format!(
        "    scheme: https\n    tls_config: {{ca_file: {}, server_name: localhost}}\n",
        certs.ca.display()
    );
    let config = job(&exporter.address(), &tls);
    blocking(move || {
        let prometheus = Prometheus::builder().config(&config).start();
        assert_eq!(prometheus.wait_for("g", SOON)[0].value, 4.0);
    })
    .await;
    std::fs::remove_dir_all(dir).unwrap();
}
