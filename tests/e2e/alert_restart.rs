//! Alerts over a kill: a running `for` goes on, and nothing is told twice.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use streamgauge_harness::{OtlpSink, Redis, poll_until};

use crate::support::{Running, SOON, binary};

const FOR: Duration = Duration::from_secs(4);

fn start(redis: &Redis, sink: &OtlpSink, directory: &str) -> Running {
    let yaml = format!(
        "
extensions:
  file_storage: {{directory: {directory}, create_directory: true}}
receivers:
  redis_stream_metrics: {{endpoint: {}, collection_interval: 200ms, initial_delay: 0s, streams: [orders]}}
connectors:
  alerting:
    storage: file_storage
    rules:
      - {{alert: Lag, metric: redis.stream.group.lag, op: '>', warning: 5, for: {}s}}
exporters:
  otlp_http: {{endpoint: '{}', compression: none, sending_queue: {{enabled: false}}}}
service:
  pipelines:
    metrics: {{receivers: [redis_stream_metrics], exporters: [alerting]}}
    logs: {{receivers: [alerting], exporters: [otlp_http]}}
",
        redis.addr(),
        FOR.as_secs(),
        sink.url()
    );
    Running::start_with(&yaml, binary().arg("--set").arg("service.extensions=[file_storage, health_check]"))
}

/// The states that the sink was told, in order, and when they came.
fn told(sink: &OtlpSink) -> Vec<(String, u64)> {
    let state = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
        let found = record.attributes.iter().find(|attribute| attribute.key == "alert.state")?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(state) => Some((state.clone(), record.time_unix_nano)),
            _ => None,
        }
    };
    sink.log_records().iter().filter_map(state).collect()
}

fn wait_for(sink: &OtlpSink, state: &str) {
    poll_until(state, SOON, || told(sink).iter().any(|(found, _)| found == state).then_some(()));
}

#[test]
fn a_kill_neither_begins_a_for_anew_nor_tells_of_an_alert_twice() {
    let (redis, sink) = (Redis::start(), OtlpSink::http());
    redis.run::<()>("XGROUP CREATE orders billing 0 MKSTREAM");
    redis.fill("orders", 10);
    let directory = redis.dir().join("alerts").display().to_string();

    let first = start(&redis, &sink, &directory);
    wait_for(&sink, "pending");
    kill(first);
    let second = start(&redis, &sink, &directory);
    wait_for(&sink, "firing");
    kill(second);
    let _third = start(&redis, &sink, &directory);
    redis.run::<()>("XGROUP SETID orders billing $");
    wait_for(&sink, "resolved");

    let told = told(&sink);
    let states: Vec<&str> = told.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(states, ["pending", "firing", "resolved"]);
    let waited = Duration::from_nanos(told[1].1 - told[0].1);
    assert!(waited >= FOR, "{waited:?}");
}

fn kill(mut running: Running) {
    running.collector.signal("KILL");
    assert_eq!(running.collector.exit_code(SOON), None, "killed");
}
