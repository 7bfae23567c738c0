//! Remote write with its queue on the disk: what could not be sent before a restart arrives after it, in order.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message as _;
use streamgauge_harness::{Collector, Prometheus, free_port, http, poll_until};

use crate::support::{SOON, binary};

/// How many samples go in before the restart, and after it.
const SAMPLES: [u64; 2] = [200, 20];

fn start(dir: &Path, port: u16, api: u16, receiver: &str) -> Collector {
    let yaml = format!(
        "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{port}'}}}}}}}}
exporters:
  prometheus_remote_write:
    endpoint: '{receiver}'
    retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms, max_elapsed_time: 200ms}}
    circuit_breaker: {{open_for: 100ms}}
    remote_write_queue: {{storage: file_storage, when_full: block}}
    dead_letter: {{file: '{dir}/dead.jsonl'}}
extensions:
  file_storage: {{directory: '{dir}/storage', create_directory: true}}
  api: {{endpoint: '127.0.0.1:{api}'}}
service:
  shutdown_timeout: 200ms
  extensions: [file_storage, api]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus_remote_write]}}}}
",
        dir = dir.display(),
    );
    let mut collector = binary().config(&yaml).start();
    collector.wait_for_log("Everything is ready", SOON);
    collector
}

/// One sample, a second after the one before it; the last of all is now.
fn sample(number: u64, now: u64) -> Vec<u8> {
    let before = SAMPLES.iter().sum::<u64>() - number;
    let point = NumberDataPoint {
        time_unix_nano: (now - before) * 1_000_000_000,
        value: Some(number_data_point::Value::AsInt(number as i64)),
        ..NumberDataPoint::default()
    };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: "numbered".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn send(port: u16, numbers: std::ops::Range<u64>, now: u64) {
    for number in numbers {
        let url = format!("http://127.0.0.1:{port}/v1/metrics");
        let answer = http::post(&url, "application/x-protobuf", &sample(number, now)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn samples_that_waited_on_the_disk_over_a_restart_arrive_all_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let [before, after] = SAMPLES;
    let (port, api) = (free_port(), free_port());
    let nobody = format!("http://127.0.0.1:{}/api/v1/write", free_port());
    let mut collector = start(dir.path(), port, api, &nobody);
    send(port, 0..before / 2, now);
    collector.signal("KILL");
    assert_eq!(collector.exit_code(SOON), None);
    let collector = start(dir.path(), port, api, &nobody);
    send(port, before / 2..before, now);
    let (code, log) = collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");

    let prometheus = Prometheus::start();
    let collector = start(dir.path(), port, api, &prometheus.remote_write_url());
    send(port, before..before + after, now);
    let all = before + after;
    let expression = format!("count_over_time(numbered[{}s])", all + 600);
    poll_until("every sample", SOON, || (prometheus.value(&expression) == Some(all as f64)).then_some(()));
    let range = http::escape(&format!("numbered[{}s]", all + 600));
    let matrix = prometheus.api(&format!("/api/v1/query?query={range}"));
    let values = matrix["result"][0]["values"].as_array().unwrap();
    let numbers: Vec<u64> = values.iter().map(|pair| pair[1].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers, (0..all).collect::<Vec<_>>());
    let ledger = http::get(&format!("http://127.0.0.1:{api}/api/v1/ledger")).unwrap().json();
    let lines = ledger["components"].as_array().unwrap();
    assert!(lines.iter().all(|line| line["dropped"] == serde_json::json!({})), "{ledger:#}");
    assert!(!dir.path().join("dead.jsonl").exists());
    collector.terminate(SOON);
}
