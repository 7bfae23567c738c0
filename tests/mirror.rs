//! Receiver and exporter `redis_stream` speak of the same entries: what one reads the other writes again.

#![allow(clippy::unwrap_used)] // an integration test: nothing but a test calls its helpers

use std::time::Duration;

use streamgauge_harness::{Collector, OtlpSink, Redis, free_port, poll_until};

const SOON: Duration = Duration::from_secs(30);

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The fields of a stream's entries.
fn fields(redis: &Redis, stream: &str) -> Vec<Fields> {
    let mut range = redis::cmd("XRANGE");
    let all: Vec<(String, Vec<Vec<u8>>)> =
        range.arg(stream).arg("-").arg("+").query(&mut redis.connection()).unwrap();
    let pairs =
        |words: Vec<Vec<u8>>| words.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    all.into_iter().map(|(_, words)| pairs(words)).collect()
}

fn add(redis: &Redis, stream: &str, fields: &[(&[u8], &[u8])]) {
    let mut command = redis::cmd("XADD");
    command.arg(stream).arg("*");
    for (name, value) in fields {
        command.arg(*name).arg(*value);
    }
    command.query::<String>(&mut redis.connection()).unwrap();
}

/// A collector that reads `from` and writes `to`.
fn mirror(redis: &Redis, encoding: &str) -> Collector {
    let health = free_port();
    let yaml = format!(
        "receivers: {{redis_stream: {{endpoint: '{address}', streams: [from], encoding: {encoding}, consumer: {{name: one}}}}}}
exporters: {{redis_stream: {{endpoint: '{address}', stream: to, encoding: {encoding}}}}}
extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [redis_stream], exporters: [redis_stream]}}}}",
        address = redis.addr()
    );
    let mut collector = Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config(&yaml).start();
    collector.wait_for_ok(&format!("http://127.0.0.1:{health}/"), SOON);
    collector
}

fn is_mirrored(redis: &Redis) {
    let from = fields(redis, "from");
    poll_until("every entry is in the other stream", SOON, || {
        (fields(redis, "to").len() >= from.len()).then_some(())
    });
    assert_eq!(fields(redis, "to"), from);
    poll_until("all is acknowledged", SOON, || {
        redis.cli(&["XPENDING", "from", "streamgauge"]).starts_with('0').then_some(())
    });
}

#[test]
fn any_fields_are_the_same_in_the_other_stream() {
    let redis = Redis::start();
    add(&redis, "from", &[(b"body", b"paid"), (b"amount", b"7"), (b"amount", b"8")]);
    add(&redis, "from", &[(b"a", b"\xff\x00"), (b"\xfe", b"1"), (b"body", b"last"), (b"", b"")]);
    add(
        &redis,
        "from",
        &[(b"redis.stream.entry_id", b"ours"), (b"traceparent", b"00-x"), (b"time_unix_nano", b"1")],
    );
    add(&redis, "from", &[(b"correlation_id", b"0af7651916cd43dd8448eb211c80319c"), (b"severity", b"x")]);
    let _collector = mirror(&redis, "fields");
    is_mirrored(&redis);
}

#[test]
fn messages_of_opsconductor_are_the_same_in_the_other_stream() {
    let redis = Redis::start();
    for (_, types) in streamgauge_streams::encoding::opsconductor::EVENT_TYPES {
        for event_type in types {
            add(
                &redis,
                "from",
                &[
                    (b"stream", b"identity"),
                    (b"event_type", event_type.as_bytes()),
                    (b"service", b"identity-service"),
                    (b"data", br#"{"user":{"id":7},"tags":["a",null]}"#),
                    (b"priority", b"CRITICAL"),
                    (b"timestamp", b"1700000000.123456"),
                    (b"retry_count", b"0"),
                    (b"max_retries", b"3"),
                    (b"correlation_id", b"c-1"),
                    (b"user_id", b"u1"),
                ],
            );
        }
    }
    let _collector = mirror(&redis, "opsconductor");
    is_mirrored(&redis);
}

#[test]
fn metrics_go_to_a_stream_and_by_otlp() {
    let (redis, sink, health) = (Redis::start(), OtlpSink::http(), free_port());
    let yaml = format!(
        "receivers: {{redis: {{endpoint: '{address}', collection_interval: 1s, initial_delay: 0s}}}}
exporters:
  redis_stream: {{endpoint: '{address}', stream: 'opsconductor:metrics:events', encoding: otlp_json, max_len: 1000}}
  otlp_http: {{endpoint: '{url}'}}
extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [redis], exporters: [redis_stream, otlp_http]}}}}",
        address = redis.addr(),
        url = sink.url(),
    );
    let _collector = Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config(&yaml).start();
    sink.wait_for_point("redis.clients.connected", SOON, |_| true);
    poll_until("metrics are in the stream", SOON, || {
        let entries = fields(&redis, "opsconductor:metrics:events");
        let (_, value) = entries.first()?.first()?;
        String::from_utf8_lossy(value).contains("redis.clients.connected").then_some(())
    });
}
