//! configs/event-transport.yaml as it is: events into streams, the rest and what Redis does not take to HTTP.

#![allow(clippy::unwrap_used)] // an integration test: nothing but a test calls its helpers

use std::time::{Duration, Instant};

use streamgauge_harness::{Collector, OtlpSink, Redis, free_port, http, poll_until};

const SOON: Duration = Duration::from_secs(30);

/// The collector, and where events are posted.
struct Rig {
    _collector: Collector,
    url: String,
    sink: OtlpSink,
}

impl Rig {
    fn start(redis: &Redis, env: &[(&str, &str)]) -> Rig {
        let (grpc, door, health, sink) = (free_port(), free_port(), free_port(), OtlpSink::http());
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/event-transport.yaml");
        let doors = format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}, \
             http: {{endpoint: '127.0.0.1:{door}'}}}}}}}}\n\
             extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}\n\
             service: {{telemetry: {{metrics: {{level: none}}}}}}"
        );
        let mut builder =
            Collector::builder(env!("CARGO_BIN_EXE_streamgauge")).config_file(file).config(&doors);
        let (redis, sink_url) = (redis.url(), sink.url());
        for (name, value) in
            [("REDIS_URL", &*redis), ("EVENT_TRANSPORT_HTTP_URL", &*sink_url)].iter().chain(env)
        {
            builder = builder.env(name, value);
        }
        let mut collector = builder.start();
        collector.wait_for_ok(&format!("http://127.0.0.1:{health}/"), SOON);
        Rig { _collector: collector, url: format!("http://127.0.0.1:{door}/v1/logs"), sink }
    }

    /// Posts events one by one, in turn of the three topics.
    fn post(&self, events: usize) {
        for n in 0..events {
            let topic = ["chat", "ticket", "remote"][n % 3];
            let event = format!(
                r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{n}"}},
                "attributes":[{{"key":"topic","value":{{"stringValue":"{topic}"}}}}]}}]}}]}}]}}"#
            );
            let answer = http::post(&self.url, "application/json", event.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    /// Waits until so many are at the HTTP endpoint.
    fn at_http(&self, events: usize) {
        poll_until("the events are at the HTTP endpoint", SOON, || {
            (self.sink.log_records().len() >= events).then_some(())
        });
        assert_eq!(self.sink.log_records().len(), events);
    }
}

fn length(redis: &Redis) -> usize {
    ["chat", "ticket", "remote"].iter().map(|s| redis.run::<usize>(&format!("XLEN events:{s}"))).sum()
}

#[test]
fn thirty_percent_go_to_the_streams_and_the_rest_by_http() {
    let redis = Redis::start();
    let rig = Rig::start(&redis, &[("EVENT_TRANSPORT_REDIS_STREAMS_PERCENTAGE", "30")]);
    rig.post(1000);
    poll_until("the events are in the streams", SOON, || (length(&redis) >= 300).then_some(()));
    rig.at_http(700);
    assert_eq!(length(&redis), 300);
    let clients = redis.cli(&["CLIENT", "LIST"]);
    assert!(clients.lines().count() <= 30, "{clients}");
}

#[test]
fn without_redis_http_gets_all_and_switched_off_too() {
    let mut redis = Redis::start();
    let rig = Rig::start(&redis, &[]);
    rig.post(30);
    poll_until("the events are in the streams", SOON, || (length(&redis) == 30).then_some(()));
    redis.stop();
    let began = Instant::now();
    rig.post(100);
    rig.at_http(100);
    assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for retries");
    redis.start_again();
    let off = Rig::start(&redis, &[("EVENT_TRANSPORT_USE_REDIS_STREAMS", "false")]);
    off.post(50);
    off.at_http(50);
    assert_eq!(length(&redis), 0);
}
