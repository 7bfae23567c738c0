//! A file written for the OpenTelemetry Collector runs unchanged.

use prost::Message as _;
use streamgauge_harness::{OtlpSink, Redis, http, poll_until};

use crate::support::{Running, SOON, logs};

/// As people write it for the Go Collector: its names (the old ones too), its keys, its quoting. Only addresses, which
/// come from the environment, are the test's.
const FILE: &str = r#"
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: ${env:GRPC_ENDPOINT}
      http:
        endpoint: ${env:HTTP_ENDPOINT}
  redis:
    endpoint: "${env:REDIS_ENDPOINT}"
    collection_interval: 1s
    tls:
      insecure: true
    metrics:
      redis.maxmemory:
        enabled: true
      redis.uptime:
        enabled: false

processors:
  batch:
    timeout: 200ms
    send_batch_size: 1000
  resource:
    attributes:
      - key: deployment.environment
        value: ${env:ENVIRONMENT:-staging}
        action: upsert
      - key: price
        value: $$5
        action: insert

exporters:
  otlp:
    endpoint: ${env:SINK_ENDPOINT}
    tls:
      insecure: true
    sending_queue:
      enabled: true
      num_consumers: 2
      queue_size: 500
    retry_on_failure:
      enabled: true
      initial_interval: 1s
      max_interval: 10s
      max_elapsed_time: 60s
  debug:
    verbosity: detailed

service:
  pipelines:
    metrics:
      receivers: [otlp, redis]
      processors: [resource, batch]
      exporters: [otlp, debug]
    traces:
      receivers: [otlp]
      processors: [batch]
      exporters: [otlp]
    logs:
      receivers: [otlp]
      processors: [resource, batch]
      exporters: [otlp, debug]
"#;

#[test]
fn a_collector_file_with_otlp_redis_batch_resource_otlp_and_debug_runs_unchanged() {
    let redis = Redis::builder().config("maxmemory 64mb").start();
    let sink = OtlpSink::grpc();
    let (grpc, http_port) = (streamgauge_harness::free_port(), streamgauge_harness::free_port());
    let builder = crate::support::binary()
        .env("GRPC_ENDPOINT", &format!("127.0.0.1:{grpc}"))
        .env("HTTP_ENDPOINT", &format!("127.0.0.1:{http_port}"))
        .env("REDIS_ENDPOINT", &redis.addr())
        .env("SINK_ENDPOINT", &sink.addr());
    let running = Running::start_with(FILE, builder);

    let point = sink.wait_for_point("redis.maxmemory", SOON, |p| p.value == Some(64.0 * 1024.0 * 1024.0));
    assert_eq!((point.unit.as_str(), point.is_int), ("By", true));
    assert_eq!(point.resource["deployment.environment"], "staging");
    assert_eq!(point.resource["price"], "$5");
    assert!(sink.points("redis.uptime").is_empty(), "switched off in the file");

    let body = logs(&["from a service"]).encode_to_vec();
    let url = format!("http://127.0.0.1:{http_port}/v1/logs");
    assert_eq!(http::post(&url, "application/x-protobuf", &body).unwrap().status, 200);
    poll_until("the log record", SOON, || (sink.log_records().len() == 1).then_some(()));
    let (code, log) = running.collector.terminate(SOON);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("from a service"), "debug shows bodies when it is detailed:\n{log}");
    assert!(log.contains("alias is deprecated"), "the old name is taken with a warning:\n{log}");
}
