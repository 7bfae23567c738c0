//! `wait_for: delivered` through whatever stands between: batches, a connector, queues.

use std::time::Duration;

use prost::Message as _;
use streamgauge_harness::{OtlpSink, Reply, http};

use crate::support::{Running, logs};

const CONFIG: &str = "receivers:
  otlp: {wait_for: delivered, protocols: {http: {endpoint: '127.0.0.1:{http}'}}}
processors:
  batch: {timeout: 10s}
connectors:
  forward:
exporters:
  otlp_grpc: {endpoint: SINK, tls: {insecure: true}, retry_on_failure: {enabled: false}}
service:
  pipelines:
    logs/in: {receivers: [otlp], processors: [batch], exporters: [forward]}
    logs/out: {receivers: [forward], processors: [batch], exporters: [otlp_grpc]}
";

#[test]
fn the_client_hears_what_became_of_its_data_behind_batches_a_connector_and_a_queue() {
    let sink = OtlpSink::grpc();
    let running = Running::start(&CONFIG.replace("SINK", &sink.addr()));
    let send = || {
        let url = format!("{}/v1/logs", running.http_url());
        http::post(&url, "application/x-protobuf", &logs(&["x"]).encode_to_vec()).unwrap().status
    };
    let before = std::time::Instant::now();
    assert_eq!((send(), sink.log_records().len()), (200, 1));
    assert!(before.elapsed() < Duration::from_secs(9), "nobody waits for a batch that nobody else joins");
    sink.next(Reply::status(3));
    assert_eq!(send(), 400, "what the backend refuses for its content");
    sink.next(Reply::status(14));
    assert_eq!(send(), 503, "what the backend does not take now");
}
